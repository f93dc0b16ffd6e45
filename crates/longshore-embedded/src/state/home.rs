//! The folder of a host's embedded runtime.

use longshore_core::{Error, ErrorKind, LaunchToken, Result};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{Folder, RuntimeId, identity};

/// The version of everything in the folder.
const VERSION: &str = "1";

/// The folder of a host's embedded runtime.
#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder where there is none.
    ///
    /// # Errors
    /// `Invalid` for a folder of another version, `Unavailable` for one that can't be used.
    pub(crate) fn open(&self) -> Result<()> {
        self.make().map_err(|error| self.unusable(error))?;
        let found = fs::read_to_string(self.0.join("version")).map_err(|error| self.unusable(error))?;
        if found.trim() == VERSION {
            return Ok(());
        }
        let message = format!(
            "the state folder {} is of version {:?} and this Longshore reads version {VERSION}; use the Longshore that \
             made it, or name another folder by executor_config.state_dir",
            self.0.display(),
            found.trim()
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// Looks at a folder that must be there: what it does not hold is proof only where it is the right one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `Unavailable` where there is none.
    pub(crate) fn find(&self) -> Result<()> {
        if self.0.join("version").exists() {
            return self.open();
        }
        let message = format!(
            "the state folder {} is not there; mount what it lies on, or discover the host to begin a new one",
            self.0.display()
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Which runtime this is.
    ///
    /// # Errors
    /// `Unavailable` where that can't be read.
    pub(crate) fn id(&self) -> Result<RuntimeId> {
        identity::read_or_make(&self.0.join("id")).map_err(|error| self.unusable(error))
    }

    /// Refuses what was launched, or planned, on another runtime. What does not say on which is not compared.
    ///
    /// # Errors
    /// `Unavailable`: of what another runtime has, nothing is known here.
    pub(crate) fn check_is(&self, theirs: Option<&RuntimeId>) -> Result<()> {
        let Some(theirs) = theirs else { return Ok(()) };
        let ours = self.id()?;
        if *theirs == ours {
            return Ok(());
        }
        let message = format!(
            "this belongs to the embedded runtime {}, and the state folder {} is the runtime {}, which knows nothing of it; \
             a host's name must mean the same runtime for everybody who shares the database: give each machine and each \
             state folder a host with a name of its own, or settle the job by `longshore jobs settle --lost` where that \
             runtime is gone",
            theirs.short(),
            self.0.display(),
            ours.short()
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    fn make(&self) -> io::Result<()> {
        if self.0.join("version").exists() {
            return Ok(());
        }
        // To nobody else: what containers write here is as they wrote it, setuid programs too.
        let make = |folder: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        make(&self.0)?;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700))?;
        make(&self.executions())?;
        make(&self.images())?;
        fs::write(self.program(), "")?;
        let new = self.0.join(format!("version.{}", uuid::Uuid::new_v4().simple()));
        fs::write(&new, VERSION)?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(new, self.0.join("version"))
    }

    /// The error for a folder that can't be used.
    pub(crate) fn unusable(&self, error: io::Error) -> Error {
        let message = format!(
            "the state folder {} can't be used; give this user the folder, or name another by executor_config.state_dir",
            self.0.display()
        );
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    }

    pub(crate) fn executions(&self) -> PathBuf {
        self.0.join("executions")
    }

    /// Where supervisors see their own program, each in its own mount namespace. For everybody else it is empty.
    pub(crate) fn program(&self) -> PathBuf {
        self.0.join("program")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    pub(crate) fn execution(&self, token: LaunchToken) -> Folder {
        Folder::new(self.executions().join(token.to_string()))
    }

    /// Every execution that is there, whoever's it is.
    pub(crate) fn all(&self) -> io::Result<Vec<(LaunchToken, Folder)>> {
        let entries = fs::read_dir(self.executions())?;
        let token = |name: std::ffi::OsString| name.to_str()?.parse::<LaunchToken>().ok();
        let found = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| Some((token(entry.file_name())?, Folder::new(entry.path())))).transpose()
        };
        entries.filter_map(found).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_another_version_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("embedded"));
        home.open().unwrap();
        home.open().unwrap();
        fs::write(home.path().join("version"), "2\n").unwrap();
        let error = home.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("is of version \"2\""), "{error}");
        assert_eq!(fs::read_to_string(home.path().join("version")).unwrap(), "2\n");
    }

    #[test]
    fn only_tokens_are_executions() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().to_owned());
        home.open().unwrap();
        let token: LaunchToken = "ls-019237a45c1e7f008000000000000001-1".parse().unwrap();
        for name in [token.to_string(), format!(".new.{token}"), "lost+found".to_owned()] {
            fs::create_dir(home.executions().join(name)).unwrap();
        }
        let found: Vec<LaunchToken> = home.all().unwrap().into_iter().map(|(token, _)| token).collect();
        assert_eq!(found, [token]);
    }

    #[test]
    fn a_folder_that_can_not_be_is_unavailable() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Home::new(file.path().join("below")).open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("executor_config.state_dir"));
    }
}
