//! What goes wrong inside a transaction, and how it is told.

use longshore_core::{Advice, Error, ErrorKind};
use rusqlite::{ErrorCode, ffi};
use std::{path::Path, time::Duration};

/// Why a call has no effect: the store refuses it, or SQLite failed.
#[derive(Debug)]
pub(super) enum Fault {
    Refused(Error),
    Sql(rusqlite::Error),
}

pub(super) type Outcome<T> = Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    pub(super) fn into_error(self, path: &Path, patience: Duration) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Sql(error) => of_sqlite(error, path, patience),
        }
    }
}

/// What SQLite says, in terms of what is safe and what to do.
fn of_sqlite(error: rusqlite::Error, path: &Path, patience: Duration) -> Error {
    let path = path.display();
    let (kind, message) = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => of_code(failure, &path.to_string(), patience),
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => (
            ErrorKind::Unexpected,
            format!(
                "the database {path} holds something that this version can't read; use the newer Longshore that wrote it, \
                 or, if there is none, see what `longshore db check` says"
            ),
        ),
        _ => (ErrorKind::Unexpected, format!("the database {path} answered in an unforeseen way")),
    };
    Error::new(kind, message).with_source(error)
}

fn of_code(failure: &ffi::Error, path: &str, patience: Duration) -> (ErrorKind, String) {
    if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
        return full(path);
    }
    match failure.code {
        ErrorCode::DiskFull => full(path),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            ErrorKind::Unavailable,
            format!(
                "another process has kept the database {path} locked for more than {patience:?}; nothing of this was \
                 stored: end what holds it (a backup, a shell of sqlite3), and try again"
            ),
        ),
        ErrorCode::ReadOnly => read_only(path),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => (
            ErrorKind::PermissionDenied,
            format!("the database {path} can't be opened: let this user read and write the file and its folder"),
        ),
        ErrorCode::DatabaseCorrupt => (
            ErrorKind::Unexpected,
            format!(
                "the database {path} is damaged: end everything that uses it, keep a copy of it with its -wal file, then \
                 restore a backup, or save what can be read with sqlite3's `.recover`"
            ),
        ),
        ErrorCode::NotADatabase => not_a_database(path),
        ErrorCode::SystemIoFailure => (
            ErrorKind::Unavailable,
            format!(
                "the system failed to read or write the database {path}; whether this was stored is open, and what was \
                 acknowledged before is safe: see what the system's log says of the disk"
            ),
        ),
        ErrorCode::OutOfMemory => {
            (ErrorKind::Unavailable, format!("no memory is left for the database {path}; nothing of this was stored"))
        }
        _ => (ErrorKind::Unexpected, format!("the database {path} answered in an unforeseen way")),
    }
}

fn full(path: &str) -> (ErrorKind, String) {
    let message = format!(
        "the disk of the database {path} is full; nothing of this was stored, and what was acknowledged before is safe: \
         free some space, and it goes on by itself"
    );
    (ErrorKind::Unavailable, message)
}

fn read_only(path: &str) -> (ErrorKind, String) {
    let message = format!("the database {path} can't be written to: let this user write the file and its folder");
    (ErrorKind::PermissionDenied, message)
}

/// SQLite opened the file for reading only.
pub(super) fn not_writable(path: &Path) -> Error {
    let (kind, message) = read_only(&path.display().to_string());
    Error::new(kind, message)
}

fn not_a_database(path: &str) -> (ErrorKind, String) {
    (
        ErrorKind::Invalid,
        format!("the file {path} is not a SQLite database; nothing was changed in it: name another file"),
    )
}

/// The file is a database, and not one of ours.
pub(super) fn foreign(path: &Path) -> Error {
    let message = format!(
        "the database {} belongs to another program; nothing was changed in it: name another file",
        path.display()
    );
    Error::new(ErrorKind::Invalid, message)
}

/// A newer version has made changes that this one would not keep to.
pub(super) fn too_new(path: &Path, needs: i64, known: i64) -> Error {
    let message = format!(
        "the database {} is of a newer version: whatever uses it must know version {needs} of its schema, and this \
         Longshore knows up to {known}; nothing was changed in it: use the newer Longshore, or another file",
        path.display()
    );
    Error::new(ErrorKind::Unsupported, message)
}

/// A file or folder beside the database could not be used.
pub(super) fn of_io(error: std::io::Error, what: &str, path: &Path) -> Error {
    use std::io::ErrorKind as Io;
    let kind = match error.kind() {
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        Io::NotADirectory | Io::IsADirectory | Io::AlreadyExists | Io::InvalidInput => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("{what} {}", path.display())).with_source(error)
}

/// What runs the transactions is gone, which only a bug can cause.
pub(super) fn writer_gone() -> Error {
    let message = "the thread that writes to the database has ended; whether this was stored is open: start again";
    Error::new(ErrorKind::Unexpected, message).with_advice(Advice::Permanent)
}

/// What was asked inside a transaction has panicked.
pub(super) fn panicked() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "a bug: what was to be done in the transaction panicked; nothing of it was stored",
    )
}
