//! What identifies sessions, submissions and whoever acts.

use jiff::Timestamp;
use longshore_core::{JobId, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// One stay of a dispatcher at a store, from its opening to its end or to its being fenced off. A dispatcher that was
/// fenced off opens another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new session's id. Sessions sort by the time of their opening.
    #[must_use]
    pub fn new(opened_at: Timestamp) -> Self {
        Self(*JobId::new(opened_at).as_uuid())
    }

    /// The id that is this UUID.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// The name of a new store's installation, at random.
pub(crate) fn new_owner() -> String {
    let (random, ..) = Uuid::new_v4().as_fields();
    let (_, more, ..) = Uuid::new_v4().as_fields();
    format!("ls-{random:08x}{more:04x}")
}

/// What a submitter gives so that submitting again, after an answer was lost, makes no second job: 1 to 255 bytes without
/// control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Checks the key against the rule.
    ///
    /// # Errors
    /// A [`Violation`] that names the rule.
    pub fn new(key: impl Into<String>) -> Result<Self, Violation> {
        let key = key.into();
        if (1..=255).contains(&key.len()) && !key.chars().any(char::is_control) {
            return Ok(Self(key));
        }
        Err(Violation::new("idempotency key", key, "use 1 to 255 bytes without control characters"))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = Violation;
    fn try_from(key: String) -> Result<Self, Self::Error> {
        Self::new(key)
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = Violation;
    fn from_str(key: &str) -> Result<Self, Self::Err> {
        Self::new(key)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who did something: somebody by name, or a dispatcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Actor {
    /// Somebody, by the name that the caller gives.
    User(String),
    /// A dispatcher, in one session.
    Dispatcher(SessionId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.pad(name),
            Self::Dispatcher(session) => write!(f, "dispatcher {session}"),
        }
    }
}
