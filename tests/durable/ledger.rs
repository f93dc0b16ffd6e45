//! What the containers themselves have written of their runs: one file a job, with a line at each beginning and each end.

use longshore::JobId;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub(crate) struct Ledger(PathBuf);

impl Ledger {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("ledger");
        fs::create_dir(&path).unwrap();
        // Whoever containers run as may write here.
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// How many runs of the job have begun.
    pub(crate) fn starts(&self, job: JobId) -> usize {
        self.count(job, "start")
    }

    /// How many runs of the job came to their last instruction.
    pub(crate) fn ends(&self, job: JobId) -> usize {
        self.count(job, "end")
    }

    fn count(&self, job: JobId, word: &str) -> usize {
        let lines = fs::read_to_string(self.0.join(job.to_string())).unwrap_or_default();
        lines.lines().filter(|line| *line == word).count()
    }
}
