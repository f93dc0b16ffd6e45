//! Why a request gave no answer of use, and what that leaves open.

use longshore_core::{Advice, Error, ErrorKind};
use reqwest::StatusCode;
use std::{fmt, time::Duration};

use crate::body::ErrorBody;

/// Why a request gave no answer of use.
#[derive(Debug)]
pub enum Failure {
    /// Nothing was sent: nothing has happened.
    Unsent(Error),
    /// It was sent, and no answer came that could be read. The error's advice is to look up first where the request
    /// may have had an effect.
    Unanswered(Error),
    /// The answer is longer than was allowed: ask for less. As [`Unanswered`](Self::Unanswered) otherwise.
    TooLong(Error),
    /// The server refused.
    Refused(Refusal),
}

/// A refusal: a status of four or five hundred.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
    /// What it says.
    pub body: ErrorBody,
    /// True when the request may have had its effect all the same, and sending it again would not be the same.
    pub may_have_effect: bool,
    /// What was asked: method and path.
    pub asked: String,
}

impl Refusal {
    /// A refusal as it was answered, for those who test how they read one.
    pub fn new(
        status: StatusCode,
        asked: impl Into<String>,
        body: ErrorBody,
        retry_after: Option<Duration>,
        may_have_effect: bool,
    ) -> Self {
        Self { status, retry_after, body, may_have_effect, asked: asked.into() }
    }

    /// The kind that the status usually stands for.
    #[must_use]
    pub fn usual_kind(&self) -> ErrorKind {
        match self.status.as_u16() {
            400 | 405 | 411 | 413 | 414 | 415 | 422 => ErrorKind::Invalid,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            404 | 410 => ErrorKind::NotFound,
            408 | 504 => ErrorKind::Timeout,
            409 | 412 => ErrorKind::Conflict,
            429 => ErrorKind::RateLimited,
            501 => ErrorKind::Unsupported,
            500 | 502 | 503 => ErrorKind::Unavailable,
            status if status >= 500 => ErrorKind::Unavailable,
            _ => ErrorKind::Unexpected,
        }
    }

    /// The error that the status alone tells of.
    #[must_use]
    pub fn usual_error(&self) -> Error {
        Error::new(self.usual_kind(), self.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was answered {}", self.asked, self.status)?;
        if self.body.text().is_empty() { Ok(()) } else { write!(f, ": {}", self.body.text()) }
    }
}

impl Failure {
    /// Longshore's error, by the status alone.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.explained(Refusal::usual_error)
    }

    /// Longshore's error, a refusal as `explain` reads it. The advice is the request's: whatever may have had an effect
    /// is to be looked up first, and a server that says when is asked again then.
    #[must_use]
    pub fn explained(self, explain: impl FnOnce(&Refusal) -> Error) -> Error {
        match self {
            Self::Unsent(error) | Self::Unanswered(error) | Self::TooLong(error) => error,
            Self::Refused(refusal) => {
                let error = explain(&refusal);
                match (refusal.may_have_effect, refusal.retry_after) {
                    (true, _) => error.with_advice(Advice::LookUpFirst),
                    (false, Some(pause)) if error.advice() != Advice::Permanent => {
                        error.with_advice(Advice::After(pause))
                    }
                    (false, _) => error,
                }
            }
        }
    }

    /// The refusal's status, if it is one.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Unsent(_) | Self::Unanswered(_) | Self::TooLong(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, may_have_effect: bool, retry_after: Option<u64>) -> Error {
        Failure::Refused(Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(Duration::from_secs),
            body: ErrorBody::new(b"words"),
            may_have_effect,
            asked: "GET /things".to_owned(),
        })
        .into_error()
    }

    #[test]
    fn a_status_becomes_its_kind_and_the_effect_decides_the_advice() {
        let after = Advice::After(Duration::from_secs(7));
        let table = [
            (refused(400, false, None), ErrorKind::Invalid, Advice::Permanent),
            (refused(401, false, None), ErrorKind::Unauthenticated, Advice::Permanent),
            (refused(403, false, Some(7)), ErrorKind::PermissionDenied, Advice::Permanent),
            (refused(404, false, None), ErrorKind::NotFound, Advice::Permanent),
            (refused(409, false, None), ErrorKind::Conflict, Advice::Permanent),
            (refused(429, false, None), ErrorKind::RateLimited, Advice::Temporary),
            (refused(429, false, Some(7)), ErrorKind::RateLimited, after),
            (refused(503, false, Some(7)), ErrorKind::Unavailable, after),
            (refused(503, true, Some(7)), ErrorKind::Unavailable, Advice::LookUpFirst),
            (refused(504, true, None), ErrorKind::Timeout, Advice::LookUpFirst),
            (refused(599, false, None), ErrorKind::Unavailable, Advice::Temporary),
            (refused(418, false, None), ErrorKind::Unexpected, Advice::Permanent),
        ];
        for (error, kind, advice) in table {
            assert_eq!((error.kind(), error.advice()), (kind, advice), "{error}");
            assert!(
                error.to_string().starts_with("GET /things was answered ") && error.to_string().ends_with(": words")
            );
        }
    }
}
