//! Opening the database: its file, its settings, its schema.

use longshore_core::{Owner, Result};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    fault::{Outcome, foreign, not_writable, of_io, too_new},
    neighbours::folder_of,
    values::Parsed,
};
use crate::ids::new_owner;

/// Marks the file as one of ours: `Lngs`.
const APPLICATION: i32 = 0x4c6e_6773;

/// A step from one version of the schema to the next, made in one transaction. Steps only add, so that a program that
/// knows the version before goes on working; where one can't be made so, `needs` keeps older programs out.
struct Migration {
    version: i64,
    /// The version that a program must know that uses the database from then on.
    needs: i64,
    sql: &'static str,
}

const MIGRATIONS: [Migration; 1] = [Migration { version: 1, needs: 1, sql: include_str!("schema/1.sql") }];

/// How many pages the log of changes gathers before they are moved into the database: 64 MiB.
const CHECKPOINT_PAGES: u32 = 16_384;

/// Where the database is, and how it is opened.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) patience: Duration,
}

impl Place {
    /// Opens the database for writing, and makes it where there is none.
    pub(super) fn prepare(&self) -> Result<Connection> {
        let path = &self.path;
        make_file(path)?;
        let folder = folder_of(path);
        make_folder(&folder)?;
        // Two processes that open a new database at once take turns.
        let turn = folder.join("opening");
        let _turn = take_turn(&turn).map_err(|error| of_io(error, "can't lock", &turn))?;
        let open = || -> Outcome<Connection> {
            let mut connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            if connection.is_readonly(rusqlite::MAIN_DB)? {
                return Err(not_writable(path).into());
            }
            self.check_owner(&connection)?;
            set_up(&connection)?;
            self.migrate(&mut connection)?;
            Ok(connection)
        };
        open().map_err(|fault| fault.into_error(path, self.patience))
    }

    /// A connection that only reads.
    pub(super) fn reader(&self) -> Outcome<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    fn connect(&self, flags: OpenFlags) -> Outcome<Connection> {
        let connection = Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(self.patience)?;
        connection.set_prepared_statement_cache_capacity(128);
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        Ok(connection)
    }

    /// Leaves other programs' databases alone.
    fn check_owner(&self, connection: &Connection) -> Outcome<()> {
        let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (application, tables) {
            (APPLICATION, _) => Ok(()),
            (0, 0) => Ok(connection.pragma_update(None, "application_id", APPLICATION)?),
            _ => Err(foreign(&self.path).into()),
        }
    }

    fn migrate(&self, connection: &mut Connection) -> Outcome<()> {
        const TABLE: &str =
            "CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY, needs INTEGER NOT NULL)";
        const VERSIONS: &str = "SELECT coalesce(max(version), 0), coalesce(max(needs), 0) FROM schema_versions";
        const OWNER: &str = "INSERT INTO installation (no, owner) VALUES (1, ?1) ON CONFLICT DO NOTHING";
        let known = MIGRATIONS.last().map_or(0, |last| last.version);
        let exists: bool = connection.table_exists(None, "schema_versions")?;
        let read = |connection: &Connection| -> rusqlite::Result<(i64, i64)> {
            connection.query_row(VERSIONS, [], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        let (version, needs) = if exists { read(connection)? } else { (0, 0) };
        if needs > known {
            return Err(too_new(&self.path, needs, known).into());
        }
        if version >= known {
            return Ok(());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(TABLE, [])?;
        let (version, _) = read(&transaction)?;
        for step in MIGRATIONS.iter().filter(|step| step.version > version) {
            transaction.execute_batch(step.sql)?;
            transaction
                .execute("INSERT INTO schema_versions (version, needs) VALUES (?1, ?2)", [step.version, step.needs])?;
        }
        transaction.execute(OWNER, [new_owner()])?;
        Ok(transaction.commit()?)
    }
}

/// The installation that the database is.
pub(super) fn owner(connection: &Connection) -> Outcome<Owner> {
    let owner = connection.query_row("SELECT owner FROM installation", [], |row| row.get::<_, Parsed<Owner>>(0))?;
    Ok(owner.0)
}

/// Every commit is on the disk before it is answered.
fn set_up(connection: &Connection) -> Outcome<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // macOS alone: sync to the disk itself, not to its cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", i64::from(CHECKPOINT_PAGES) * 4096)?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    Ok(())
}

/// Makes the file where there is none, for its owner's eyes only: jobs tell much of those who submit them. SQLite gives the
/// files beside it the same permissions.
fn make_file(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| of_io(error, "can't make the folder", folder))?;
    }
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(of_io(error, "can't make the database", path))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(of_io(error, "can't make the folder beside the database", folder))
        }
        _ => Ok(()),
    }
}

fn take_turn(path: &Path) -> io::Result<File> {
    let file = private(OpenOptions::new().write(true).create(true).truncate(false)).open(path)?;
    file.lock()?;
    Ok(file)
}
