//! How a case says that a promise was broken, and where.

use longshore_core::{Error, ErrorKind, Violation};
use std::{fmt, panic::Location};

/// What a case, or a step of one, comes to.
pub(crate) type CaseResult<T = ()> = Result<T, Halt>;

/// Why a case ends before its last line.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The executor, or the harness, broke a promise.
    Broken {
        /// Which, and what was found in its place.
        message: String,
        /// The line of the case.
        at: &'static Location<'static>,
    },
    /// The harness says that nobody can do to this provider what the case needs.
    NotOffered(String),
}

impl Halt {
    #[track_caller]
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self::Broken { message: message.into(), at: Location::caller() }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { message, at } => write!(f, "{message}\n    at {}:{}", at.file(), at.line()),
            Self::NotOffered(reason) => f.write_str(reason),
        }
    }
}

impl From<Error> for Halt {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::broken(format!("this had to succeed, and was refused as {}: {}", error.kind(), error.chain()))
    }
}

impl From<Violation> for Halt {
    #[track_caller]
    fn from(violation: Violation) -> Self {
        Self::broken(violation.to_string())
    }
}

impl From<serde_json::Error> for Halt {
    #[track_caller]
    fn from(error: serde_json::Error) -> Self {
        Self::broken(format!("what is stored must be read again: {error}"))
    }
}

impl From<std::io::Error> for Halt {
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        Self::broken(format!("the kit could not prepare its own files: {error}"))
    }
}

/// Requires that what was found is what is expected.
#[track_caller]
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> CaseResult {
    if found == expected {
        return Ok(());
    }
    Err(Halt::broken(format!("{what}\n    expected: {expected:?}\n    found:    {found:?}")))
}

/// Requires that a rule holds.
#[track_caller]
pub(crate) fn holds(rule_holds: bool, otherwise: impl Into<String>) -> CaseResult {
    if rule_holds { Ok(()) } else { Err(Halt::broken(otherwise)) }
}

/// Requires that bytes are the same, and shows where the first differs.
#[track_caller]
pub(crate) fn same_bytes(what: &str, found: &[u8], expected: &[u8]) -> CaseResult {
    if found == expected {
        return Ok(());
    }
    let first = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    let around = |bytes: &[u8]| {
        let part = &bytes[first.saturating_sub(20).min(bytes.len())..(first + 20).min(bytes.len())];
        format!("{} bytes, there {:?}", bytes.len(), String::from_utf8_lossy(part))
    };
    Err(Halt::broken(format!(
        "{what}: differs from byte {first} on\n    expected: {}\n    found:    {}",
        around(expected),
        around(found)
    )))
}

/// Requires that the answer is a refusal of one of the given kinds, and returns it.
#[track_caller]
pub(crate) fn refused<T: fmt::Debug>(what: &str, answer: Result<T, Error>, kinds: &[ErrorKind]) -> CaseResult<Error> {
    match answer {
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => Err(Halt::broken(format!(
            "{what}\n    expected: refused as {kinds:?}\n    found:    refused as {:?}: {}",
            error.kind(),
            error.chain()
        ))),
        Ok(answer) => {
            Err(Halt::broken(format!("{what}\n    expected: refused as {kinds:?}\n    found:    {answer:?}")))
        }
    }
}

/// Requires that the question could not be answered because the provider can't be reached.
#[track_caller]
pub(crate) fn lost_contact<T: fmt::Debug>(what: &str, answer: Result<T, Error>) -> CaseResult<Error> {
    refused(what, answer, &[ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::RateLimited])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_shown() {
        assert!(same_bytes("it", b"same", b"same").is_ok());
        for (found, at) in [(b"sane".as_slice(), 2), (b"sam", 3), (b"samel", 4), (b"", 0)] {
            let halt = same_bytes("it", found, b"same").unwrap_err().to_string();
            assert!(halt.contains(&format!("differs from byte {at} on")) && halt.contains("failure.rs"), "{halt}");
        }
    }

    #[test]
    fn a_refusal_must_be_of_the_kind() {
        let answer = |kind| Err::<(), _>(Error::new(kind, "why"));
        assert!(refused("it", answer(ErrorKind::NotFound), &[ErrorKind::NotFound]).is_ok());
        assert!(refused("it", answer(ErrorKind::Invalid), &[ErrorKind::NotFound]).is_err());
        assert!(refused("it", Ok(()), &[ErrorKind::NotFound]).is_err());
        assert!(lost_contact("it", answer(ErrorKind::Timeout)).is_ok());
        assert!(lost_contact("it", answer(ErrorKind::NotFound)).is_err());
    }
}
