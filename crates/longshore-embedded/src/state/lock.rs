//! The lock that tells whether an execution has anybody who looks after it.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};

/// An exclusive lock that its holder can hand on to a child process. The kernel gives it up with the last process that
/// has it.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the file, which is made where there is none; `None` when somebody else holds it.
    pub(crate) fn try_new(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        let taken = tried(&file, FlockOperation::NonBlockingLockExclusive)? && is_at(&file, path)?;
        Ok(taken.then_some(Self(file)))
    }

    /// Waits for the lock on the file, which is made where there is none; `None` when what was waited for has gone from
    /// its place meanwhile. Blocks the thread.
    pub(crate) fn wait(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
        Ok(is_at(&file, path)?.then_some(Self(file)))
    }

    /// Whether somebody holds the lock. A file that is not there is locked by nobody.
    pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(!tried(&file, FlockOperation::NonBlockingLockShared)?)
    }

    /// The same lock for a child process.
    pub(crate) fn for_child(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

/// Whether the path leads to the open file, and not to one that has taken its place.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn tried(file: impl AsFd, operation: FlockOperation) -> io::Result<bool> {
    match rustix::io::retry_on_intr(|| flock(&file, operation)) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_its_last_copy_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!Lock::is_held(&path).unwrap());
        let lock = Lock::try_new(&path).unwrap().unwrap();
        let handed_on = lock.for_child().unwrap();
        drop(lock);
        assert!(Lock::is_held(&path).unwrap() && Lock::try_new(&path).unwrap().is_none());
        drop(handed_on);
        assert!(!Lock::is_held(&path).unwrap() && Lock::try_new(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_on_what_has_gone_is_none_on_what_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::try_new(&path).unwrap().unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Lock::wait(&path).unwrap().is_none()
        });
        let inode = held.0.metadata().unwrap().ino();
        let waits = || {
            let locks = std::fs::read_to_string("/proc/locks").unwrap();
            locks.lines().any(|line| line.contains("-> FLOCK") && line.contains(&format!(":{inode} ")))
        };
        while !waits() {
            std::thread::yield_now();
        }
        std::fs::rename(&path, folder.path().join("gone")).unwrap();
        let _new = Lock::try_new(&path).unwrap().unwrap();
        drop(held);
        assert!(waiting.join().unwrap());
    }
}
