//! What goes wrong with PostgreSQL: what it means for a call, and what it is told as.

use longshore_core::{Advice, Error, ErrorKind};

/// Why some work was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// PostgreSQL, or the way to it.
    Sql(sqlx::Error),
    /// The store's own answer.
    Refused(Error),
    /// What the work was told meanwhile has become wrong: it is to be done again from the start.
    Overtaken,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// What may be done about it, as long as nothing of the work was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Work of others was in the way: the same again after a moment.
    Again,
    /// The connection is gone: the same on another one.
    Reconnect,
    /// None.
    GiveUp,
}

impl Failure {
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Overtaken => Remedy::Again,
            Self::Refused(_) => Remedy::GiveUp,
            Self::Sql(error) => match code(error).as_deref() {
                Some("40001" | "40P01" | "55P03") => Remedy::Again,
                Some(code) if is_gone(code) => Remedy::Reconnect,
                Some(_) => Remedy::GiveUp,
                None if is_lost(error) => Remedy::Reconnect,
                None => Remedy::GiveUp,
            },
        }
    }
}

/// A class 08 is the connection's; 57P the server's end or start; 25P03 the end of a transaction that stood idle, as that of
/// a process which was frozen; 25006 is said by a standby, behind which there may be a new primary by now.
fn is_gone(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006")
}

fn is_lost(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed)
}

/// Whether the server itself said that the work failed: then nothing of it is committed.
pub(super) fn is_answer(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| !is_gone(&code))
}

pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// Whether the server is there and will soon take connections, or is not there. Of one that hangs up when it is greeted, as
/// it does when it crashes, and a proxy when there is none behind it, sqlx says that it answers unlike PostgreSQL.
pub(super) fn may_come_back(error: &sqlx::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    match error {
        sqlx::Error::Io(io) => {
            matches!(io.kind(), ConnectionRefused | ConnectionReset | NotFound | UnexpectedEof)
        }
        sqlx::Error::Protocol(_) => true,
        other => code(other).is_some_and(|code| is_gone(&code)),
    }
}

/// What is told when the commit was sent and its answer did not come.
pub(super) fn unknown_whether_stored(server: &str, error: sqlx::Error) -> Error {
    let message = format!(
        "the connection to {server} was lost during the commit: whether the change is stored is not known; the same call \
         may be made again, and changes nothing twice"
    );
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}

/// What is told when no connection can be made.
pub(super) fn not_connected(server: &str, error: sqlx::Error) -> Error {
    if !matches!(error, sqlx::Error::Protocol(_)) {
        return told(server, error);
    }
    let message = format!(
        "{server} hangs up, or answers unlike PostgreSQL: it may be going down, or something else listens there; {NOTHING}, \
         and running jobs run on"
    );
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}

/// What is told of an error of a transaction that was not committed.
pub(super) fn told(server: &str, error: sqlx::Error) -> Error {
    let code = code(&error);
    let (kind, advice, message) = match code.as_deref() {
        Some(code) => of_code(code, server),
        None => of_way(&error, server),
    };
    let told = Error::new(kind, message).with_source(error);
    match advice {
        Some(advice) => told.with_advice(advice),
        None => told,
    }
}

const NOTHING: &str = "nothing of this call was stored, and what was stored before is safe";

fn of_code(code: &str, server: &str) -> (ErrorKind, Option<Advice>, String) {
    use ErrorKind::{Invalid, NotFound, PermissionDenied, Unauthenticated, Unavailable, Unexpected};
    let permanent = Some(Advice::Permanent);
    match code {
        "28P01" | "28000" => {
            (Unauthenticated, None, format!("{server} does not let us in: check user and password of the database URL"))
        }
        "3D000" => (
            NotFound,
            None,
            format!("there is no such database on {server}: create it, or correct its name in the URL"),
        ),
        "42501" => (
            PermissionDenied,
            None,
            format!(
                "{server} does not allow its user to do this; the user needs to own Longshore's tables, or all rights on them"
            ),
        ),
        "53300" => {
            (Unavailable, None, format!("{server} takes no more connections: raise its max_connections; {NOTHING}"))
        }
        "53100" => (Unavailable, None, format!("the disk of {server} is full: make room there; {NOTHING}")),
        "53200" => (Unavailable, None, format!("{server} is out of memory; {NOTHING}")),
        "25006" => (
            Unavailable,
            None,
            format!("{server} is read-only, as a standby is: name the primary in the URL; {NOTHING}"),
        ),
        "40001" | "40P01" | "55P03" | "57014" => {
            (Unavailable, None, format!("others kept what this call needs on {server} for too long; {NOTHING}"))
        }
        "XX001" | "XX002" => (
            Unexpected,
            None,
            format!("the database on {server} is damaged: stop what writes to it, and restore it from a backup"),
        ),
        "22021" | "22P05" => (Invalid, None, format!("{server} can't store a character that was given; {NOTHING}")),
        "42P01" | "42703" => (
            Unexpected,
            None,
            format!("tables of Longshore on {server} are missing or changed by somebody: restore them from a backup"),
        ),
        code if is_gone(code) => {
            (Unavailable, None, format!("{server} ends, or is not ready yet; {NOTHING}, and running jobs run on"))
        }
        _ => (Unexpected, permanent, format!("{server} refused what the store asked; {NOTHING}")),
    }
}

fn of_way(error: &sqlx::Error, server: &str) -> (ErrorKind, Option<Advice>, String) {
    let unavailable = ErrorKind::Unavailable;
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => (
            unavailable,
            None,
            format!(
                "{server} can't be reached: start it, or correct the database URL; {NOTHING}, and running jobs run on"
            ),
        ),
        sqlx::Error::Tls(_) => (
            unavailable,
            Some(Advice::Permanent),
            format!(
                "no encrypted connection to {server}: check sslmode and sslrootcert of the database URL; {NOTHING}"
            ),
        ),
        sqlx::Error::Configuration(_) => {
            (ErrorKind::Invalid, None, format!("the database URL of {server} asks for what can't be done; {NOTHING}"))
        }
        _ => (ErrorKind::Unexpected, None, format!("{server} answered what the store can't read; {NOTHING}")),
    }
}
