//! What must outlive this program and Cloud Run can't keep: for which reason Longshore had an execution stopped.

use longshore_core::{ErrorKind, LaunchToken, Result, StopReason};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The notes of one host's executions, each in a file of its own.
#[derive(Debug, Clone)]
pub(crate) struct Notes(PathBuf);

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    stop: StopReason,
}

impl Notes {
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    fn file(&self, token: LaunchToken) -> PathBuf {
        self.0.join(format!("{token}.json"))
    }

    /// The reason for which the execution was to be stopped; none when nothing is noted.
    pub(crate) fn stop_reason(&self, token: LaunchToken) -> Option<StopReason> {
        let text = fs::read(self.file(token)).ok()?;
        serde_json::from_slice::<Note>(&text).ok().map(|note| note.stop)
    }

    /// Notes the reason of the first stop; what later stops say changes nothing.
    pub(crate) fn stopping(&self, token: LaunchToken, reason: StopReason) -> Result<()> {
        if self.stop_reason(token).is_some() {
            return Ok(());
        }
        self.write(token, &Note { stop: reason }).map_err(|error| {
            let message = format!("the reason of a stop can't be noted in {}", self.0.display());
            longshore_core::Error::new(ErrorKind::Unexpected, message).with_source(error)
        })
    }

    fn write(&self, token: LaunchToken, note: &Note) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let new = self.file(token).with_extension("json.new");
        fs::write(&new, serde_json::to_vec(note)?)?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, self.file(token))
    }

    /// Forgets the execution.
    pub(crate) fn forget(&self, token: LaunchToken) {
        if let Err(error) = fs::remove_file(self.file(token))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%token, "a note of a removed execution is left: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_until_it_is_forgotten() {
        let folder = tempfile::TempDir::new().unwrap();
        let notes = Notes::new(&folder.path().join("host"));
        let token: LaunchToken = "ls-0190a1b2c3d47e5f8a9b0c1d2e3f4a5b-1".parse().unwrap();
        assert_eq!(notes.stop_reason(token), None);
        notes.stopping(token, StopReason::TimedOut).unwrap();
        notes.stopping(token, StopReason::Cancelled).unwrap();
        assert_eq!(notes.stop_reason(token), Some(StopReason::TimedOut));
        notes.forget(token);
        notes.forget(token);
        assert_eq!(notes.stop_reason(token), None);
    }
}
