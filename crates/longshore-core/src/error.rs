//! The one error of the contract: what kind, what to do about it, where, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{error::Error as StdError, fmt, time::Duration};

use crate::Violations;

/// The result of every operation of the contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Callers match on this, never on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong, and would be wrong anywhere.
    Invalid,
    /// This executor, or this host as its operator configured it, can't do what was asked.
    Unsupported,
    /// The provider, asked and answering, knows no such thing.
    NotFound,
    /// A name is taken by something that is not ours.
    Conflict,
    /// The execution still runs, and the operation needs it to have ended.
    StillRunning,
    /// The launch's deadline had passed before anything was sent.
    DeadlinePassed,
    /// The image does not exist, or the registry does not let us have it.
    ImageUnavailable,
    /// The container was made but its program could not be started; nothing is left behind.
    StartFailed,
    /// The container's program does not exist in the image (a shell's 127); nothing is left behind.
    CommandNotFound,
    /// The container's program exists and can't be executed (a shell's 126); nothing is left behind.
    CommandNotExecutable,
    /// A secret's reference could not be resolved.
    SecretUnavailable,
    /// The credentials are missing, wrong or expired.
    Unauthenticated,
    /// The credentials are good and not allowed to do this.
    PermissionDenied,
    /// The provider has no room now.
    Capacity,
    /// A quota of the account is used up.
    Quota,
    /// Too many requests.
    RateLimited,
    /// The provider could not be reached or did not answer sensibly; nothing is known.
    Unavailable,
    /// No answer within the time that was allowed; nothing is known.
    Timeout,
    /// Another dispatcher has taken over what this one held; nothing was stored.
    LeaseLost,
    /// A stop was asked for before anything was launched; nothing was.
    Cancelled,
    /// The provider answered in a way that its documentation does not allow, or a bug of ours.
    Unexpected,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::StillRunning => "still running",
            Self::DeadlinePassed => "deadline passed",
            Self::ImageUnavailable => "image unavailable",
            Self::StartFailed => "start failed",
            Self::CommandNotFound => "command not found",
            Self::CommandNotExecutable => "command not executable",
            Self::SecretUnavailable => "secret unavailable",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission denied",
            Self::Capacity => "no capacity",
            Self::Quota => "quota reached",
            Self::RateLimited => "rate limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timed out",
            Self::LeaseLost => "lease lost",
            Self::Cancelled => "cancelled",
            Self::Unexpected => "unexpected",
        })
    }
}

/// What the caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Advice {
    /// The same request will fail again.
    Permanent,
    /// The same request may succeed later.
    Temporary,
    /// The same request may succeed after this time.
    After(Duration),
    /// The effect may have happened: ask [`find_launch`](crate::ContainerExecutor::find_launch) before anything is sent again.
    LookUpFirst,
}

/// Why an operation could not be answered. `Display` leaves the source out; the edge prints the chain
/// ([`Error::chain`]), and so does `Debug`, because that is what a `main` that returns an error shows.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    advice: Advice,
    operation: Option<&'static str>,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of the given kind, with the advice that usually goes with it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let advice = match kind {
            ErrorKind::Capacity
            | ErrorKind::Quota
            | ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Timeout => Advice::Temporary,
            _ => Advice::Permanent,
        };
        Self(Box::new(Inner {
            kind,
            advice,
            operation: None,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// The optional ability `operation` is one that this executor does not have.
    #[must_use]
    pub fn unsupported(operation: &'static str, executor_type: &crate::ExecutorType) -> Self {
        Self::new(ErrorKind::Unsupported, format!("the {executor_type} executor does not offer {operation}"))
            .with_operation(operation)
    }

    /// The same error with other advice.
    #[must_use]
    pub fn with_advice(mut self, advice: Advice) -> Self {
        self.0.advice = advice;
        self
    }

    /// The same error with the operation during which it happened; the first one said stays.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// The same error with one more fact. Never a secret.
    #[must_use]
    pub fn with_context(mut self, name: &'static str, value: impl ToString) -> Self {
        self.0.context.push((name, value.to_string()));
        self
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error once more, for each of several questions that one refusal answers; without its source.
    #[must_use]
    pub fn repeated(&self) -> Self {
        Self(Box::new(Inner {
            kind: self.0.kind,
            advice: self.0.advice,
            operation: self.0.operation,
            message: self.0.message.clone(),
            context: self.0.context.clone(),
            source: None,
        }))
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        self.0.advice
    }

    /// The operation during which it happened.
    #[must_use]
    pub const fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The message alone, without operation and context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The facts that were added, in their order.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// True when nothing is known of the effect, or nothing was answered: the job stays as it was.
    #[must_use]
    pub const fn is_lost_contact(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited)
    }

    /// The error and its sources, joined by `: `, for a terminal, a page or a log.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// Any error and its sources, joined by `: `.
#[must_use]
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = source.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.0.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&self.0.message)?;
        if self.0.context.is_empty() {
            return Ok(());
        }
        let pairs: Vec<String> = self.0.context.iter().map(|(name, value)| format!("{name} {value}")).collect();
        write!(f, " ({})", pairs.join(", "))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {:?}]", self.chain(), self.kind(), self.advice())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::new(ErrorKind::Invalid, violations.to_string())
    }
}

impl From<crate::Violation> for Error {
    fn from(violation: crate::Violation) -> Self {
        Self::new(ErrorKind::Invalid, violation.to_string())
    }
}
