//! Locks on files and folders, by which several programs share a store. The kernel drops them with their holder, so
//! that nothing a dead program held stays held.

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// For how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// For everybody who wants it to stay.
    Shared,
    /// For the one who changes or removes it.
    Exclusive,
}

/// Takes a lock on what is there, without waiting; `None` when somebody else's is in the way. What is locked is what
/// still has the name, and not something that was removed meanwhile.
///
/// # Errors
/// `NotFound` when nothing is there.
pub(super) fn take(path: &Path, hold: Hold) -> io::Result<Option<File>> {
    take_opened(path, hold, || File::open(path))
}

/// The same on a file that is made if it is not there.
pub(super) fn take_made(path: &Path, hold: Hold) -> io::Result<Option<File>> {
    take_opened(path, hold, || OpenOptions::new().create(true).append(true).mode(0o600).open(path))
}

fn take_opened(path: &Path, hold: Hold, open: impl Fn() -> io::Result<File>) -> io::Result<Option<File>> {
    loop {
        let file = open()?;
        if !lock(&file, hold)? {
            return Ok(None);
        }
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
}

fn lock(file: &File, hold: Hold) -> io::Result<bool> {
    let operation = match hold {
        Hold::Shared => FlockOperation::NonBlockingLockShared,
        Hold::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// True when the path leads to the open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changes_what_nobody_holds_and_many_hold_what_nobody_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(take(&path, Hold::Shared).unwrap_err().kind(), io::ErrorKind::NotFound);
        let one = take_made(&path, Hold::Shared).unwrap().unwrap();
        let two = take(&path, Hold::Shared).unwrap().unwrap();
        assert!(take(&path, Hold::Exclusive).unwrap().is_none());
        drop((one, two));
        let _only = take(&path, Hold::Exclusive).unwrap().unwrap();
        assert!(take_made(&path, Hold::Shared).unwrap().is_none());
    }

    #[test]
    fn a_folder_is_held_like_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let _held = take(folder.path(), Hold::Shared).unwrap().unwrap();
        assert!(take(folder.path(), Hold::Exclusive).unwrap().is_none());
    }
}
