//! The contract that every place to run fulfils.

use async_trait::async_trait;
use futures::{future::join_all, stream::BoxStream};
use jiff::Timestamp;
use std::{fmt, sync::Arc};
use tokio::sync::mpsc;

use crate::{
    Capabilities, CheckedJob, Error, ExecutionHandle, ExecutionStatus, ExecutorType, Finding, Harvest, Health,
    HostFacts, HostName, LaunchRequest, LaunchSearch, LaunchToken, LogPage, LogQuery, OwnedExecution, Owner, Plan,
    Result, StopRequest, Termination,
};

/// News of executions, as they come.
pub type EventStream = BoxStream<'static, ExecutionEvent>;

/// One kind of place to run containers, serving one host.
///
/// # Order
/// `discover` → `plan` → `prepare` → `launch_job` → `check_status`, `get_logs`, `stop_job` in any order and
/// number → `harvest_job` → `cleanup`. Any other program can enter after `launch_job` with the handle alone,
/// and at `find_launch` with the request alone.
///
/// # Rules for every method
/// - `Err` means that the question could not be answered. A job's failure is a status, never an `Err`.
/// - An unreachable provider is [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable), and nothing is
///   concluded from it. `NotFound` is said only when the provider, asked and answering, has no such execution; another
///   provider that stands under the same host's name, such as each machine's own engine, is one that was not reached.
/// - Dropping a future is safe: whatever it had sent may still take effect, and calling again continues.
/// - A handle of another executor or host is refused as [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
/// - No secret is in any error, handle, label, status or trace.
#[async_trait]
pub trait ContainerExecutor: fmt::Debug + Send + Sync {
    /// The kind of executor.
    fn executor_type(&self) -> &ExecutorType;

    /// The host that this instance serves.
    fn host(&self) -> &HostName;

    /// What it can do. Constant for the life of the instance.
    fn capabilities(&self) -> &Capabilities;

    /// What was last discovered; none before the first [`discover`](Self::discover).
    fn facts(&self) -> Option<Arc<HostFacts>>;

    /// Asks the host for its versions, limits and quotas, and keeps the answer for [`plan`](Self::plan).
    ///
    /// - May be repeated at any time; a failure keeps the former facts.
    ///
    /// # Errors
    /// `Unavailable`, `Unauthenticated` or `PermissionDenied`, with what to do next.
    async fn discover(&self) -> Result<Arc<HostFacts>>;

    /// Says what this host will do for the job: asked, granted, dropped. Pure, synchronous, over the facts.
    ///
    /// - The plan holds all that [`launch_job`](Self::launch_job) sends; nothing is read again later.
    /// - The same job, facts and settings give the same plan.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` for what can't be done, naming the field and the way out; `Unavailable` when
    /// nothing has been discovered yet.
    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan>;

    /// Does beforehand what would make the launch long: pulls the image, makes definitions.
    ///
    /// - May be repeated; does only what is still to be done. Starts nothing.
    /// - By default there is nothing to do.
    ///
    /// # Errors
    /// `ImageUnavailable` when the image can't be had, otherwise as the provider answers.
    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        let _ = (request, progress);
        Ok(())
    }

    /// Launches the attempt, once.
    ///
    /// - The same token launched again gives the same execution, within what
    ///   [`Capabilities::launch`] declares. A twin that is not ours is `Conflict`.
    /// - Atomic for the caller: what was created and could not start is removed again.
    /// - Checks the request's deadline just before it sends.
    ///
    /// # Errors
    /// With the advice [`LookUpFirst`](crate::Advice::LookUpFirst) when the effect may have happened; with any
    /// other advice it has not. `StartFailed`, `CommandNotFound`, `CommandNotExecutable`, `ImageUnavailable`,
    /// `Conflict`, `DeadlinePassed`, `Capacity`, `Quota` and what else the provider answers.
    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle>;

    /// Finds out whether the launch of this request happened.
    ///
    /// # Errors
    /// As the provider answers; an unreachable provider is never `Absent`.
    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch>;

    /// Asks how the execution stands.
    ///
    /// # Errors
    /// `Unavailable` and the like; the job stays as it was.
    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus>;

    /// Asks how many executions stand, with an answer for each, in the order of the handles.
    ///
    /// - By default one question each, all at the same time; override it where the provider has a list.
    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        join_all(handles.iter().map(|handle| self.check_status(handle))).await
    }

    /// Stops the execution: the stop signal, the grace period, the kill, the terminal state confirmed.
    ///
    /// - A finished execution is fine: its own end is returned, whatever the reason given.
    /// - The reason becomes the cause where the stop, and not the program itself, ended it.
    /// - May be repeated, with less grace, while another call waits.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution; `Unavailable` when its end could not be confirmed.
    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination>;

    /// Reads a page of the log.
    ///
    /// - The program's bytes, unchanged, in the provider's order; a stream that does not exist yet is empty.
    /// - Reading never slows the job, and a reader that stops reading never freezes it.
    /// - Bounded in memory whatever the length of a line or a log.
    ///
    /// # Errors
    /// `NotFound` after cleanup; `Invalid` for a cursor that is not this log's; `Unavailable`.
    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage>;

    /// Collects the final truth, after the last late log line has come.
    ///
    /// - Deletes nothing; harvesting again gives the same.
    ///
    /// # Errors
    /// `StillRunning` before the end; `NotFound` after cleanup; `Unavailable`.
    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest>;

    /// Removes what the launch created. The caller has saved the logs, and knows that no copy of the launch is
    /// still under way.
    ///
    /// - May be repeated; what is gone is fine.
    ///
    /// # Errors
    /// `StillRunning` for what has not ended: stop it first. `Unavailable`.
    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()>;

    /// Lists what the owner has created on this host, finished or not, and nobody else's.
    ///
    /// # Errors
    /// `Unsupported` by default.
    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        let _ = owner;
        Err(Error::unsupported("list_owned", self.executor_type()))
    }

    /// Removes the owner's definitions on this host that no execution uses any more, and returns how many. By
    /// default there are none.
    ///
    /// # Errors
    /// As the provider answers.
    async fn collect(&self, owner: &Owner) -> Result<u64> {
        let _ = owner;
        Ok(0)
    }

    /// Looks at what a launch needs: reachability, credentials, permissions, versions. By default it discovers.
    ///
    /// # Errors
    /// As [`discover`](Self::discover).
    async fn check_health(&self) -> Result<Health> {
        let facts = self.discover().await?;
        Ok(Health::new(vec![Finding::new("engine", true, facts.engine.clone())]))
    }

    /// News of the owner's executions, from now on.
    ///
    /// - What an event tells of, both kinds of status show by the time that it is heard.
    /// - May double, delay and re-order; what it can't vouch for it says as [`ExecutionEvent::Gap`], and the
    ///   listener asks again. Never ends by itself: while the provider can't be reached there is a gap.
    ///
    /// # Errors
    /// `Unsupported` by default.
    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        let _ = owner;
        Err(Error::unsupported("events", self.executor_type()))
    }
}

/// News of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutionEvent {
    /// Something has changed: ask.
    Changed {
        /// The attempt.
        token: LaunchToken,
        /// When, by the provider's clock.
        at: Option<Timestamp>,
    },
    /// Something may have been missed: ask about everything.
    Gap,
}

/// How far a preparation is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrepareProgress {
    /// What is being done, in the provider's words: `Downloading`, `Extracting`.
    pub step: String,
    /// The part that it is done to, such as a layer's short id.
    pub item: Option<String>,
    /// How much of the part is done, in bytes.
    pub done: Option<u64>,
    /// How much the part is in all, in bytes.
    pub total: Option<u64>,
}

impl PrepareProgress {
    /// A step on a part, with its bytes where they are known.
    pub fn new(step: impl Into<String>, item: Option<String>, done: Option<u64>, total: Option<u64>) -> Self {
        Self { step: step.into(), item, done, total }
    }
}

/// Where [`ContainerExecutor::prepare`] reports how far it is. Reports that nobody reads in time are dropped:
/// they are for a person's eyes, and must slow nothing.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<mpsc::Sender<PrepareProgress>>);

impl Progress {
    const UNREAD: usize = 256;

    /// Reports that nobody reads.
    #[must_use]
    pub const fn ignored() -> Self {
        Self(None)
    }

    /// Reports, and where they can be read.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<PrepareProgress>) {
        let (sender, receiver) = mpsc::channel(Self::UNREAD);
        (Self(Some(sender)), receiver)
    }

    /// Reports how far the preparation is.
    pub fn report(&self, progress: PrepareProgress) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(progress);
        }
    }
}
