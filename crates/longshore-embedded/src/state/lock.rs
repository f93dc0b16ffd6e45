//! The lock that tells whether an execution has anybody who looks after it.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::AsFd,
    path::Path,
};

/// An exclusive lock that its holder can hand on to a child process. The kernel gives it up with the last process that
/// has it.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the file, which is made where there is none; `None` when somebody else holds it.
    pub(crate) fn try_new(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        Ok(tried(&file, FlockOperation::NonBlockingLockExclusive)?.then_some(Self(file)))
    }

    /// Waits for the lock on the file, which is made where there is none. Blocks the thread.
    pub(crate) fn wait(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
        Ok(Self(file))
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
}
