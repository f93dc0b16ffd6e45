//! Sessions: who holds what, and how the living tell that another is dead.
//!
//! A dispatcher beats: it raises its session's counter. Others watch the counters by their own clocks, and fence a session
//! off whose counter has stood still for long enough. So no two clocks need to agree. Whoever was fenced off can write
//! nothing any more, and what it held is free to be adopted.

use jiff::Timestamp;
use longshore_core::HostName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::{AttemptRecord, AttemptState, JobRecord, SessionId};

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

/// Which of the open attempts that nobody holds a session takes over: those of the hosts that it serves, and those that are
/// so old that nobody may be left who serves their host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adoption {
    /// How many at most.
    pub most: usize,
    /// Until when those that were launching may still be launched by their former holder.
    pub quiet_at: Timestamp,
    /// The hosts that are served.
    pub hosts: BTreeSet<HostName>,
    /// Attempts that were created before this are taken over whatever their host.
    pub unserved_before: Timestamp,
}

impl Adoption {
    /// So many attempts at most, on these hosts.
    #[must_use]
    pub const fn new(most: usize, quiet_at: Timestamp, hosts: BTreeSet<HostName>) -> Self {
        Self { most, quiet_at, hosts, unserved_before: Timestamp::MIN }
    }

    /// The same, and those of any host that were created before this.
    #[must_use]
    pub const fn with_unserved_before(mut self, unserved_before: Timestamp) -> Self {
        self.unserved_before = unserved_before;
        self
    }

    /// Whether it takes an attempt over.
    pub(crate) fn wants(&self, attempt: &AttemptRecord) -> bool {
        self.hosts.contains(attempt.host()) || attempt.created_at < self.unserved_before
    }

    /// What becomes of an attempt that a session takes over.
    pub(crate) fn take(&self, session: SessionId, attempt: &mut AttemptRecord) {
        attempt.session = Some(session);
        if attempt.state == AttemptState::Launching {
            attempt.quiet_at = attempt.quiet_at.max(Some(self.quiet_at));
        }
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
