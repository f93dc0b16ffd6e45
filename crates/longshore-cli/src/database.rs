//! The database in which jobs are kept, and the place of their logs.

use longshore::store::{Actor, JobStore, LogStore, Request};
use longshore::{ByteSize, Error, ErrorKind, Owner, Result};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    args::StoreArgs,
    commands::{own_variable, own_variables},
    host,
};

/// The owner of what is launched for jobs that are in no database.
pub(crate) const UNRECORDED: &str = "local";

/// How much of a log is kept once its job has ended, at most, unless the job says: as dispatchers have it.
pub(crate) const LOG_CAP: ByteSize = ByteSize::from_mib(64);

/// The place of logs that tests name.
#[cfg(test)]
const MEMORY: &str = "memory";

/// Where jobs are kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A file of SQLite.
    File(PathBuf),
    /// A database of PostgreSQL, by its URL, which may hold a password.
    Postgres(String),
}

impl Address {
    /// What was typed, the variable, or the file in the user's state folder.
    ///
    /// # Errors
    /// `Invalid` for what is neither a path nor a URL that is known.
    pub(crate) fn of(args: &StoreArgs) -> Result<Self> {
        match args.database.clone().or_else(|| text_of("LONGSHORE_DATABASE")) {
            Some(text) => Self::read(&text),
            None => Ok(Self::File(host::state_dir(&own_variable).join("jobs.db"))),
        }
    }

    /// A path, `sqlite:PATH`, `sqlite://PATH` or `postgres://…`.
    fn read(text: &str) -> Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite:").map_or(text, |rest| rest.strip_prefix("//").unwrap_or(rest));
        if path.is_empty() || path.contains("://") {
            // It may be a URL with a password, and is not shown.
            let message = "the database is neither a path, sqlite:PATH nor postgres://USER@HOST/DATABASE";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Self::File(PathBuf::from(path)))
    }

    /// Whether somebody has named it, by an option or a variable.
    pub(crate) fn is_named(args: &StoreArgs) -> bool {
        args.database.is_some() || text_of("LONGSHORE_DATABASE").is_some()
    }

    /// Whether there may be a database, so that opening it makes none.
    pub(crate) fn is_there(args: &StoreArgs) -> bool {
        match Self::of(args) {
            Ok(Self::File(path)) => path.is_file(),
            Ok(Self::Postgres(_)) => true,
            Err(_) => false,
        }
    }
}

/// For people: without the user and the password, and without anything where it can't be told what belongs to them.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let place = match rest.rsplit_once('@') {
                    // The `@` may end a password with a `?` or `#` in it, or stand in a setting that holds another.
                    Some((before, _)) if before.contains(['?', '#']) => "…",
                    Some((_, place)) => place,
                    None => rest,
                };
                write!(f, "postgres://{}", place.split(['?', '#']).next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The opened database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) address: Address,
    logs: Option<String>,
}

impl Database {
    /// Opens the database; makes it, or brings it up to date, where it must be.
    ///
    /// # Errors
    /// As the database can be opened.
    pub(crate) async fn open(args: &StoreArgs) -> Result<Self> {
        let address = Address::of(args)?;
        let store = match &address {
            Address::File(path) => sqlite(path).await,
            Address::Postgres(url) => postgres(url).await,
        };
        let store = store.map_err(|error| error.with_context("database", &address))?;
        Ok(Self { store, address, logs: args.logs.clone().or_else(|| text_of("LONGSHORE_LOGS")) })
    }

    /// Opens the place of the logs. In one that was named, which others may use as well, this database keeps its own apart
    /// under its owner's name.
    ///
    /// # Errors
    /// As the place can be opened, or the database answers.
    pub(crate) async fn logs(&self) -> Result<LogStore> {
        match (&self.logs, &self.address) {
            #[cfg(test)]
            (Some(place), _) if place == MEMORY => Ok(LogStore::in_memory()),
            (Some(place), _) if place.contains("://") => {
                let place = format!("{}/{}", place.trim_end_matches('/'), self.store.owner().await?);
                LogStore::open_with_variables(&place, texts())
            }
            (Some(folder), _) => LogStore::local(Path::new(folder).join(self.store.owner().await?.as_str())),
            (None, Address::File(path)) => LogStore::local(beside(path)),
            (None, Address::Postgres(_)) => {
                let message = "a database that many machines share needs a place for logs that all of them reach: name \
                               it by --logs or LONGSHORE_LOGS";
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    /// The installation that owns what is launched for jobs of this database, unless another one was typed. No two
    /// databases have the same.
    ///
    /// # Errors
    /// `Invalid` for what can't be an owner; as the database answers.
    pub(crate) async fn owner(&self, typed: Option<&str>) -> Result<Owner> {
        match typed {
            Some(name) => Ok(Owner::new(name)?),
            None => self.store.owner().await,
        }
    }

    /// What somebody asks for who types here.
    ///
    /// # Errors
    /// As the database answers.
    pub(crate) async fn request(&self, why: Option<&str>) -> Result<Request> {
        let request = Request::new(Actor::User(user()), self.store.now().await?);
        Ok(match why {
            Some(why) => request.because(why),
            None => request,
        })
    }
}

#[cfg(test)]
impl Database {
    /// Any store, with its logs in memory.
    pub(crate) fn over(store: Arc<dyn JobStore>) -> Self {
        let address = Address::File(std::env::temp_dir().join("no.db"));
        Self { store, address, logs: Some(MEMORY.to_owned()) }
    }
}

/// The owner that a run would have without further options: that of the usual database, where there is one already that can
/// be opened.
///
/// # Errors
/// None.
pub(crate) async fn usual_owner(offline: bool) -> Result<Owner> {
    let args = StoreArgs::default();
    if !offline
        && Address::is_there(&args)
        && let Ok(database) = Database::open(&args).await
    {
        return database.owner(None).await;
    }
    Ok(Owner::new(UNRECORDED)?)
}

/// Where the logs are of a database in a file.
fn beside(path: &Path) -> PathBuf {
    let mut folder = path.as_os_str().to_owned();
    folder.push(".logs");
    PathBuf::from(folder)
}

/// The variables of the environment that are texts.
fn texts() -> impl Iterator<Item = (String, String)> {
    own_variables().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// A variable that says something.
fn text_of(name: &str) -> Option<String> {
    own_variable(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

#[cfg(feature = "sqlite")]
async fn sqlite(path: &Path) -> Result<Arc<dyn JobStore>> {
    let options = longshore::store::SqliteOptions::default();
    Ok(Arc::new(longshore::store::SqliteStore::open(path, options).await?))
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(_: &Path) -> Result<Arc<dyn JobStore>> {
    Err(absent("a database in a file", "sqlite"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<Arc<dyn JobStore>> {
    let options = longshore::store::PostgresOptions::default();
    Ok(Arc::new(longshore::store::PostgresStore::connect(url, options).await?))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &str) -> Result<Arc<dyn JobStore>> {
    Err(absent("a database in PostgreSQL", "postgres"))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn absent(what: &str, feature: &str) -> Error {
    let message = format!("{what} can't be opened: this program was built without the feature `{feature}`");
    Error::new(ErrorKind::Unsupported, message)
}

/// This process, for people: what it does, its number, and the machine's name.
pub(crate) fn process(what: &str) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = if machine.trim().is_empty() { "this machine" } else { machine.trim() };
    format!("{what} {} on {machine}", std::process::id())
}

/// Who types here, for the history of jobs.
pub(crate) fn user() -> String {
    ["LOGNAME", "USER"].iter().find_map(|name| text_of(name)).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_file_or_a_url() {
        for (text, path) in [
            ("jobs.db", "jobs.db"),
            ("/srv/a b.db", "/srv/a b.db"),
            ("sqlite:jobs.db", "jobs.db"),
            ("sqlite:/srv/jobs.db", "/srv/jobs.db"),
            ("sqlite:///srv/jobs.db", "/srv/jobs.db"),
        ] {
            assert_eq!(Address::read(text).unwrap(), Address::File(PathBuf::from(path)), "{text}");
        }
        for text in ["", "sqlite:", "mysql://user:hunter2@db/x", "https://hunter2"] {
            let error = Address::read(text).unwrap_err().to_string();
            assert!(error.contains("postgres://USER@HOST/DATABASE") && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for url in
            ["postgres://ann:hunter2@db:5433/jobs?password=hunter2", "postgresql://a:hunt@er:hunter2@db:5433/jobs"]
        {
            let address = Address::read(url).unwrap();
            assert_eq!(
                (address.to_string(), format!("{address:?}")),
                ("postgres://db:5433/jobs".into(), "postgres://db:5433/jobs".into())
            );
        }
    }

    #[test]
    fn nothing_is_shown_of_an_address_in_which_the_password_has_no_clear_end() {
        for url in [
            "postgres://longshore:pa?ss@db/jobs",
            "postgres://longshore:pa#ss@db/jobs",
            "postgres://longshore:p@a?s@s@db/jobs",
            "postgres://db/jobs?user=longshore&password=pa@ss",
        ] {
            let address = Address::read(url).unwrap();
            assert_eq!((address.to_string(), format!("{address:?}")), ("postgres://…".into(), "postgres://…".into()));
        }
    }

    #[test]
    fn logs_of_a_file_lie_beside_it() {
        assert_eq!(beside(Path::new("/srv/jobs.db")), PathBuf::from("/srv/jobs.db.logs"));
    }
}
