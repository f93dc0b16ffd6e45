//! Sessions: who holds what, and how the living tell that another is dead.
//!
//! A dispatcher beats: it raises its session's counter. Others watch the counters by their own clocks, and fence a session
//! off whose counter has stood still for long enough. So no two clocks need to agree. Whoever was fenced off can write
//! nothing any more, and what it held is free to be adopted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AttemptRecord, JobRecord, SessionId};

/// The pulse of another session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Beat {
    /// The session.
    pub session: SessionId,
    /// How often it has beaten.
    pub beats: u64,
    /// Whether the store knows that its process is dead, so that nobody needs to wait.
    pub dead: bool,
    /// Who it is, for people: a machine's name and a process.
    pub name: String,
}

impl Beat {
    /// A session's pulse.
    #[must_use]
    pub const fn new(session: SessionId, beats: u64, dead: bool, name: String) -> Self {
        Self { session, beats, dead, name }
    }
}

/// An attempt that is now held, and its job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Held {
    /// The job.
    pub job: JobRecord,
    /// The attempt.
    pub attempt: AttemptRecord,
}

impl Held {
    /// An attempt and its job.
    #[must_use]
    pub const fn new(job: JobRecord, attempt: AttemptRecord) -> Self {
        Self { job, attempt }
    }
}
