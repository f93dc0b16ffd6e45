//! The history of a job: what happened, when, who did it and why. Only ever added to.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Actor;

/// One thing that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct JobEvent {
    /// When.
    pub at: Timestamp,
    /// The attempt that it happened to, if to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What: `submitted`, `claimed`, `launched`, `started`, `ended`, `closed`, `cancel-requested` and so on.
    pub kind: String,
    /// Who did it.
    pub by: Actor,
    /// More about it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl JobEvent {
    /// Something happened.
    #[must_use]
    pub fn new(at: Timestamp, kind: &str, by: Actor) -> Self {
        Self { at, attempt: None, kind: kind.to_owned(), by, detail: None }
    }

    /// The same, to an attempt.
    #[must_use]
    pub const fn of_attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// The same with more about it.
    #[must_use]
    pub fn with_detail(mut self, detail: Option<String>) -> Self {
        self.detail = detail;
        self
    }
}
