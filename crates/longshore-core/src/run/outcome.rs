//! What became of a run.

use std::fmt;

use crate::{Error, ExecutionHandle, Harvest, JobStatus, LaunchRequest, LogCompleteness, Result, Termination};

/// What became of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunOutcome {
    /// Where the job stands: always a terminal state.
    pub status: JobStatus,
    /// What was launched.
    pub request: LaunchRequest,
    /// Its handle; absent when it can't be proven that it was launched.
    pub handle: Option<ExecutionHandle>,
    /// The final truth; absent when the job is lost.
    pub harvest: Option<Harvest>,
    /// Why the job is lost.
    pub lost: Option<String>,
    /// Whether its log has reached the observer.
    pub logs: LogDelivery,
    /// What became of the container.
    pub cleanup: Cleanup,
}

/// Whether a log has reached its reader.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogDelivery {
    /// All that there is of it has.
    Delivered(LogCompleteness),
    /// It has not.
    Failed(Error),
}

/// What became of a container after its run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cleanup {
    /// It is gone.
    Removed,
    /// It is still there.
    Kept {
        /// Why.
        reason: String,
    },
    /// It could not be removed; a sweep can.
    Failed(Error),
}

/// In a few words: `completed`, `failed: exited with 3`, `timed out`, `lost: the provider no longer knows …`.
impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.status, self.termination(), &self.lost) {
            (JobStatus::Failed, Some(end), _) => write!(f, "failed: {}", end.cause),
            (_, _, Some(reason)) => write!(f, "lost: {reason}"),
            (status, ..) => write!(f, "{status}"),
        }
    }
}

impl RunOutcome {
    /// True when the job has completed: its program has exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == JobStatus::Completed
    }

    /// How the execution ended, where that is known.
    #[must_use]
    pub fn termination(&self) -> Option<&Termination> {
        self.harvest.as_ref().map(|harvest| &harvest.termination)
    }

    /// The program's exit code, where there is one.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.termination().and_then(|termination| termination.exit_code)
    }

    pub(super) fn lost(request: LaunchRequest, handle: Option<ExecutionHandle>, reason: String) -> Self {
        let missing = LogCompleteness::Missing { reason: "the execution is lost".to_owned() };
        Self {
            status: JobStatus::Lost,
            request,
            handle,
            harvest: None,
            lost: Some(reason),
            logs: LogDelivery::Delivered(missing),
            cleanup: Cleanup::Kept { reason: "it can't be proven to have ended".to_owned() },
        }
    }

    pub(super) fn of_harvest(
        request: LaunchRequest,
        handle: ExecutionHandle,
        harvest: Option<Harvest>,
        logs: Result<LogCompleteness>,
    ) -> Self {
        let Some(harvest) = harvest else {
            return Self::lost(
                request,
                Some(handle),
                "the provider no longer knows the execution, and nothing tells how it ended".to_owned(),
            );
        };
        Self {
            status: harvest.termination.job_status(),
            request,
            handle: Some(handle),
            harvest: Some(harvest),
            lost: None,
            logs: logs.map_or_else(LogDelivery::Failed, LogDelivery::Delivered),
            cleanup: Cleanup::Kept { reason: "not yet cleaned up".to_owned() },
        }
    }
}
