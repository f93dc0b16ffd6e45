//! What is sent to launch an attempt, and what finds it again.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::{
    Clock, ContainerJob, Error, ErrorKind, ExecutorType, HostName, LaunchToken, Owner, Plan, Principal, Result,
    clock::later,
};

/// Everything that an executor will send for one attempt. Stored with the intent before the launch, so that a
/// re-send is the same to the byte. Secrets are in it only as references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct LaunchRequest {
    /// Identifies the attempt, here and at the provider.
    pub token: LaunchToken,
    /// The installation that owns what is created.
    pub owner: Owner,
    /// Who asked for the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Principal>,
    /// What will be launched.
    pub plan: Plan,
    /// When the request was made.
    pub created_at: Timestamp,
    /// After this moment the request is refused unsent.
    pub deadline: Timestamp,
}

impl LaunchRequest {
    /// A request to launch the given attempt of the job, good for `time_to_send` from now.
    #[must_use]
    pub fn new(
        job: &ContainerJob,
        attempt: u32,
        plan: Plan,
        owner: Owner,
        now: Timestamp,
        time_to_send: Duration,
    ) -> Self {
        Self {
            token: LaunchToken::new(job.id, attempt),
            owner,
            created_by: job.created_by.clone(),
            plan,
            created_at: now,
            deadline: later(now, time_to_send),
        }
    }

    /// Executors call this just before each request that could start the execution.
    ///
    /// # Errors
    /// [`ErrorKind::DeadlinePassed`] when the deadline has passed: nothing may be sent any more.
    pub fn check_deadline(&self, clock: &dyn Clock) -> Result<()> {
        if clock.now() <= self.deadline {
            return Ok(());
        }
        let message = format!("the launch was to be sent before {} and was not sent", self.deadline);
        Err(Error::new(ErrorKind::DeadlinePassed, message)
            .with_operation("launch_job")
            .with_context("token", self.token))
    }
}

/// What is kept to find an execution again, by any program, at any later time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ExecutionHandle {
    /// The version of `executor_metadata`'s form; an executor reads its older ones.
    pub version: u32,
    /// The kind of executor that launched it.
    pub executor_type: ExecutorType,
    /// The host that it was launched on.
    pub host: HostName,
    /// The attempt.
    pub token: LaunchToken,
    /// The provider's own id.
    pub external_execution_id: String,
    /// What else its executor wants to remember. Only that executor reads it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub executor_metadata: serde_json::Value,
}

impl ExecutionHandle {
    /// The handle of an execution that the provider knows by the given id.
    pub fn new(
        executor_type: ExecutorType,
        host: HostName,
        token: LaunchToken,
        version: u32,
        external_execution_id: impl Into<String>,
        executor_metadata: serde_json::Value,
    ) -> Self {
        Self {
            version,
            executor_type,
            host,
            token,
            external_execution_id: external_execution_id.into(),
            executor_metadata,
        }
    }

    /// Executors call this first with whatever handle they are given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the handle is another executor's or host's, or of a version that is newer
    /// than `newest`.
    pub fn check_owner(&self, executor_type: &ExecutorType, host: &HostName, newest: u32) -> Result<()> {
        let theirs = (&self.executor_type, &self.host);
        if theirs != (executor_type, host) {
            let message = format!(
                "the handle is of {} on host {}, and was given to {executor_type} on host {host}",
                theirs.0, theirs.1
            );
            return Err(Error::new(ErrorKind::Invalid, message).with_context("token", self.token));
        }
        if self.version > newest {
            let message = format!(
                "the handle is of version {} and this version reads up to {newest}; use the newer Longshore that wrote it",
                self.version
            );
            return Err(Error::new(ErrorKind::Invalid, message).with_context("token", self.token));
        }
        Ok(())
    }
}

/// What became of a launch whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaunchSearch {
    /// It happened, and this is its handle.
    Found(ExecutionHandle),
    /// It never started: the provider answers that there is nothing, and its answer is proof.
    Absent,
    /// There is no proof of either.
    Unprovable {
        /// Why not.
        reason: String,
    },
}

/// Something that an owner has created on a host, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct OwnedExecution {
    /// Finds it again.
    pub handle: ExecutionHandle,
    /// When it was created.
    pub created_at: Timestamp,
    /// True when it may still be running.
    pub live: bool,
}

impl OwnedExecution {
    /// One thing found.
    #[must_use]
    pub const fn new(handle: ExecutionHandle, created_at: Timestamp, live: bool) -> Self {
        Self { handle, created_at, live }
    }
}
