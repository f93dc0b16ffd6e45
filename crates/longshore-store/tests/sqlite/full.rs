//! Disks that are full, and files that may not be written.

use longshore_store::JobStore;
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use crate::{
    child::{command, open, open_hastily},
    support::{Dispatcher, at, submission, submit_named},
};

const NOBODY: u32 = 65_534;

pub(crate) async fn needs_root() -> Result<(), String> {
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        return Ok(());
    }
    Err("only root can mount a small disk; run it as root".to_owned())
}

/// A small disk.
struct Disk(PathBuf);

impl Disk {
    fn new(at: &Path, size: &str) -> Self {
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).status().unwrap();
        assert!(mounted.success());
        Self(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, for a thread may still close its files.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

pub(crate) async fn a_full_disk_loses_nothing_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path(), "3m");
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let store: Arc<dyn JobStore> = Arc::new(open_hastily(&disk.0.join("jobs.db")).await.unwrap());
    let dispatcher = Dispatcher::new(&store).await;
    let mut acknowledged = Vec::new();
    let error = loop {
        let batch: Vec<_> = (0..5).map(|_| submission("on-a")).collect();
        match store.submit(batch, at(0)).await {
            Ok(submitted) => acknowledged.extend(submitted.into_iter().map(|submitted| submitted.unwrap().id())),
            Err(error) => break error,
        }
    };
    assert!(error.is_lost_contact() && error.message().contains("is full"), "{error:?}");
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    for job in &acknowledged {
        store.job(*job).await.unwrap();
    }
    fs::remove_file(ballast).unwrap();
    acknowledged.push(submit_named(&store, "on-a").await);
    store.beat(dispatcher.session).await.unwrap();
    let kept: Vec<_> = store.archive(None, 100_000).await.unwrap().iter().map(|archive| archive.job.id()).collect();
    acknowledged.sort_unstable();
    assert_eq!(kept, acknowledged);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

/// Root may write anything, so somebody else tries.
pub(crate) async fn what_may_not_be_written_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("jobs.db");
    let said = |path: &Path| {
        let output = command("open", path).uid(NOBODY).gid(NOBODY).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    // No file, in a folder where none can be made.
    assert!(said(&path).starts_with("PermissionDenied"), "{}", said(&path));
    let store = open(&path).await;
    let job = submit_named(&store, "on-a").await;
    // A file that only its owner reads.
    assert!(said(&path).starts_with("PermissionDenied"), "{}", said(&path));
    // One that everybody reads, and nobody else writes.
    for file in ["jobs.db", "jobs.db-wal", "jobs.db-shm"] {
        fs::set_permissions(folder.path().join(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(folder.path().join("jobs.db-live"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(folder.path().join("jobs.db-live/opening"), fs::Permissions::from_mode(0o666)).unwrap();
    let read_only = said(&path);
    assert!(read_only.starts_with("PermissionDenied") && read_only.contains("let this user"), "{read_only}");
    assert_eq!(store.job(job).await.unwrap().id(), job);
}
