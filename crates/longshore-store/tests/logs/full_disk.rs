//! A disk without room.

use longshore_core::{Advice, ErrorKind};
use longshore_store::LogStore;
use longshore_testkit::suite::Test;
use std::{path::Path, process::Command};

use crate::{
    program::{Program, line, token},
    support::{CAP, read_all},
};

pub(crate) const TESTS: &[Test] = &longshore_testkit::tests![a_full_disk_loses_nothing];

/// A small file system in memory, which goes away with it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Result<Self, String> {
        let disk = Self(tempfile::tempdir().map_err(|error| error.to_string())?);
        disk.mount("size=4m")?;
        Ok(disk)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn mount(&self, options: &str) -> Result<(), String> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "longshore-test"]).arg(self.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!(
                "a small disk can't be mounted; run as root: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => Err(format!("a small disk can't be mounted: {error}")),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}

pub(crate) async fn needs() -> Result<(), String> {
    SmallDisk::new().map(drop)
}

async fn a_full_disk_loses_nothing() {
    let disk = SmallDisk::new().unwrap();
    let folder = disk.path().join("logs");
    let store = LogStore::local(&folder).unwrap();
    let (program, token) = (Program::writing(5_400, line), token());
    let error = store.save(&program, &program.handle(token), CAP).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Capacity, Advice::Temporary));
    let shown = error.chain();
    assert!(shown.contains("make room") && shown.contains(folder.to_str().unwrap()), "{shown}");
    disk.mount("remount,size=16m").unwrap();
    let saved = store.save(&program, &program.handle(token), CAP).await.unwrap();
    assert_eq!(store.keep_only(token, Some(&saved.reference)).await.unwrap(), 0);
    assert!(read_all(&store, &saved.reference).await == program.records());
}
