//! A disk that is soon full.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, io::Write, path::PathBuf, process::Command};
use tempfile::TempDir;

/// A disk of sixteen mebibytes; unmounted when this is dropped.
pub(crate) struct SmallDisk(pub(crate) PathBuf);

impl SmallDisk {
    pub(crate) fn below(folder: &TempDir) -> Self {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "none"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success());
        Self(folder.path().to_owned())
    }

    /// Writes until there is no room at all.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for piece in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![b'x'; piece]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
