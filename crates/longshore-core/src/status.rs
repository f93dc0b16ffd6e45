//! States of executions and jobs, and the typed causes of their end.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{Signal, clock::since, units::duration};

/// What the provider says of an execution now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExecutionStatus {
    /// Accepted, and not yet running.
    Pending,
    /// Running.
    Running {
        /// Since when, by the provider's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started_at: Option<Timestamp>,
    },
    /// Ended.
    Terminated(Termination),
    /// The provider, asked and answering, has no such execution.
    NotFound,
}

impl ExecutionStatus {
    /// How it ended, if it has.
    #[must_use]
    pub const fn termination(&self) -> Option<&Termination> {
        match self {
            Self::Terminated(termination) => Some(termination),
            _ => None,
        }
    }

    /// True when it has not ended.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Pending | Self::Running { .. })
    }
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Termination {
    /// Why.
    pub cause: Cause,
    /// The exit code, where the provider tells one. Independent of the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When it began to run, by the provider's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended, by the provider's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What the cause rests on.
    pub evidence: Evidence,
}

impl Termination {
    /// An end with the given cause and evidence, without times.
    #[must_use]
    pub const fn new(cause: Cause, evidence: Evidence) -> Self {
        let exit_code = match cause {
            Cause::Exited { code } => Some(code),
            _ => None,
        };
        Self { cause, exit_code, started_at: None, finished_at: None, evidence }
    }

    /// The same with the exit code that the provider tells.
    #[must_use]
    pub const fn with_exit_code(mut self, code: Option<i32>) -> Self {
        self.exit_code = code;
        self
    }

    /// The same with the provider's times.
    #[must_use]
    pub const fn with_times(mut self, started_at: Option<Timestamp>, finished_at: Option<Timestamp>) -> Self {
        self.started_at = started_at;
        self.finished_at = finished_at;
        self
    }

    /// How long it ran, where the provider tells both times.
    #[must_use]
    pub fn run_time(&self) -> Option<Duration> {
        Some(since(self.finished_at?, self.started_at?))
    }

    /// The job's status that follows from this end.
    #[must_use]
    pub const fn job_status(&self) -> JobStatus {
        match self.cause {
            Cause::Exited { code: 0 } => JobStatus::Completed,
            Cause::TimedOut => JobStatus::TimedOut,
            Cause::Cancelled => JobStatus::Cancelled,
            Cause::LostByProvider => JobStatus::Lost,
            _ => JobStatus::Failed,
        }
    }
}

/// Why an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// The program ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal that was not Longshore's ended it.
    Signalled {
        /// The signal.
        signal: Signal,
    },
    /// It was killed for want of memory.
    OutOfMemory,
    /// Longshore stopped it at its time limit.
    TimedOut,
    /// Longshore stopped it because somebody asked.
    Cancelled,
    /// The provider took the machine away.
    Preempted,
    /// Its image could not be had.
    ImagePull,
    /// The provider had no room.
    Capacity,
    /// A quota was used up.
    Quota,
    /// The provider found the request wrong after it had accepted it, or could not start the program.
    Invalid,
    /// The provider lost it.
    LostByProvider,
    /// The provider does not say.
    Unknown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Exited { code } => return f.pad(&format!("exited with {code}")),
            Self::Signalled { signal } => return f.pad(&format!("killed by {signal}")),
            Self::OutOfMemory => "out of memory",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::Preempted => "preempted",
            Self::ImagePull => "image pull failed",
            Self::Capacity => "no capacity",
            Self::Quota => "quota reached",
            Self::Invalid => "refused by the provider",
            Self::LostByProvider => "lost by the provider",
            Self::Unknown => "unknown",
        };
        f.pad(text)
    }
}

/// What a cause rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Evidence {
    /// True when the provider's evidence leaves no other cause.
    pub complete: bool,
    /// The provider's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message: Option<String>,
    /// The facts that were looked at, by the provider's names for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl Evidence {
    /// Evidence that leaves no other cause.
    #[must_use]
    pub fn complete() -> Self {
        Self { complete: true, ..Self::default() }
    }

    /// Evidence that leaves room for another cause.
    #[must_use]
    pub fn incomplete() -> Self {
        Self::default()
    }

    /// The same facts, which leave room for another cause.
    #[must_use]
    pub fn left_open(mut self) -> Self {
        self.complete = false;
        self
    }

    /// The same with one more fact.
    #[must_use]
    pub fn with_fact(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.facts.insert(name.into(), value.to_string());
        self
    }

    /// The same with the provider's own words; empty words are none.
    #[must_use]
    pub fn with_message(mut self, message: Option<String>) -> Self {
        self.provider_message = message.filter(|message| !message.is_empty());
        self
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobStatus {
    /// Waits for an attempt.
    Pending,
    /// An attempt is being launched.
    Launching,
    /// An attempt runs.
    Running,
    /// Ended with exit code 0.
    Completed,
    /// Ended otherwise, by itself or by its platform.
    Failed,
    /// Stopped at its time limit.
    TimedOut,
    /// Stopped because somebody asked.
    Cancelled,
    /// What became of it can't be proven.
    Lost,
}

impl JobStatus {
    /// Every move that a job may make. Whatever moves a job asks this table.
    pub const MOVES: [(Self, Self); 17] = [
        (Self::Pending, Self::Launching),
        (Self::Pending, Self::Failed),
        (Self::Pending, Self::TimedOut),
        (Self::Pending, Self::Cancelled),
        (Self::Launching, Self::Pending),
        (Self::Launching, Self::Running),
        (Self::Launching, Self::Completed),
        (Self::Launching, Self::Failed),
        (Self::Launching, Self::TimedOut),
        (Self::Launching, Self::Cancelled),
        (Self::Launching, Self::Lost),
        (Self::Running, Self::Pending),
        (Self::Running, Self::Completed),
        (Self::Running, Self::Failed),
        (Self::Running, Self::TimedOut),
        (Self::Running, Self::Cancelled),
        (Self::Running, Self::Lost),
    ];

    /// True when the table allows the move.
    #[must_use]
    pub fn can_become(self, next: Self) -> bool {
        Self::MOVES.contains(&(self, next))
    }

    /// True when no move leads on.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Lost)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Launching => "launching",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        })
    }
}

/// Why Longshore stops an execution; it becomes the cause of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// Somebody asked.
    Cancelled,
    /// Its time limit is reached.
    TimedOut,
}

impl From<StopReason> for Cause {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Cancelled => Self::Cancelled,
            StopReason::TimedOut => Self::TimedOut,
        }
    }
}

/// How to stop an execution: why, and how long it may take to end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct StopRequest {
    /// Why.
    pub reason: StopReason,
    /// The time between the stop signal and the kill; zero kills at once.
    #[serde(with = "duration::required")]
    #[schemars(with = "String")]
    pub grace: Duration,
}

impl StopRequest {
    /// A stop for the given reason with the given grace.
    #[must_use]
    pub const fn new(reason: StopReason, grace: Duration) -> Self {
        Self { reason, grace }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [JobStatus; 8] = [
        JobStatus::Pending,
        JobStatus::Launching,
        JobStatus::Running,
        JobStatus::Completed,
        JobStatus::Failed,
        JobStatus::TimedOut,
        JobStatus::Cancelled,
        JobStatus::Lost,
    ];

    #[test]
    fn the_table_leaves_terminal_states_alone_and_reaches_every_state() {
        for status in ALL {
            let leads_on = ALL.iter().any(|next| status.can_become(*next));
            assert_eq!(leads_on, !status.is_terminal(), "{status}");
            assert!(!status.can_become(status), "{status} to itself");
            let reached = status == JobStatus::Pending || ALL.iter().any(|before| before.can_become(status));
            assert!(reached, "{status}");
        }
    }

    #[test]
    fn only_exit_code_zero_completes() {
        let end = |cause| Termination::new(cause, Evidence::complete()).job_status();
        assert_eq!(end(Cause::Exited { code: 0 }), JobStatus::Completed);
        assert_eq!(end(Cause::Exited { code: 1 }), JobStatus::Failed);
        assert_eq!(end(Cause::TimedOut), JobStatus::TimedOut);
        assert_eq!(end(Cause::LostByProvider), JobStatus::Lost);
        assert_eq!(end(Cause::Unknown), JobStatus::Failed);
    }
}
