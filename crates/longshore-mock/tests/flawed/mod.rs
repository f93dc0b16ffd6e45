//! An executor that breaks one promise.

use async_trait::async_trait;
use futures::StreamExt;
use longshore_core::{
    Capabilities, Cause, CheckedJob, ContainerExecutor, Error, ErrorKind, EventStream, Evidence, ExecutionHandle,
    ExecutionStatus, ExecutorType, Harvest, Health, HostFacts, HostName, LaunchRequest, LaunchSearch, LaunchToken,
    LogCompleteness, LogPage, LogQuery, LogStream, LogSummary, OwnedExecution, Owner, Plan, Progress, Result,
    SecretReference, StopRequest, Termination, Usage,
};
use std::{sync::Arc, time::Duration};

/// A promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// None: what the wrapper itself does must not matter.
    None,
    /// Every launch makes two executions.
    LaunchesTwins,
    /// A launch is sent whatever the deadline.
    IgnoresTheDeadline,
    /// What another owner has launched is adopted.
    AdoptsFromOthers,
    /// What was launched is denied.
    DeniesItsLaunches,
    /// An unreachable provider is taken for one that has nothing.
    TakesSilenceForAbsence,
    /// The last record of a log is dropped.
    DropsTheLastLine,
    /// A log is read from the beginning, wherever its cursor stands.
    ForgetsItsCursors,
    /// A cursor that is not its own is taken for the beginning.
    TakesAnyCursor,
    /// Line breaks are stripped.
    StripsLineBreaks,
    /// stderr is told to be stdout.
    MixesTheStreams,
    /// A log that was cut off is called complete.
    CutsOffInSilence,
    /// What is not UTF-8 is replaced.
    ReplacesBytes,
    /// Whatever ends with 137 is taken for want of memory.
    GuessesAtMemory,
    /// A death by any signal is taken for a stop of ours.
    TakesEverySignalForItsOwn,
    /// A non-zero exit is an error.
    FailsWithItsJobs,
    /// A harvest is given before the end.
    HarvestsTooEarly,
    /// What runs is stopped and removed.
    CleansUpWhatRuns,
    /// Nothing is ever removed.
    NeverCleansUp,
    /// What is finished is called cancelled when it is stopped.
    RewritesTheEnd,
    /// The grace is not given.
    GivesNoGrace,
    /// Handles of other hosts are taken.
    TakesForeignHandles,
    /// Handles of a version that it can't know are taken.
    TakesNewerHandles,
    /// A batch is answered in another order.
    ShufflesTheBatch,
    /// An owner is shown what others have.
    ShowsOthersThings,
    /// Events end, and tell nothing.
    EndsItsEvents,
    /// Secrets are written into the handle.
    WritesSecretsDown,
    /// Options that it does not know are ignored.
    IgnoresOptions,
    /// A job that is being launched hangs for ever.
    Hangs,
    /// A harvest panics.
    Panics,
}

/// Another executor with a flaw.
#[derive(Debug)]
pub(crate) struct Flawed {
    inner: Arc<dyn ContainerExecutor>,
    flaw: Flaw,
}

impl Flawed {
    pub(crate) fn new(inner: Arc<dyn ContainerExecutor>, flaw: Flaw) -> Self {
        Self { inner, flaw }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn retell(&self, mut end: Termination) -> Termination {
        match self.flaw {
            Flaw::GuessesAtMemory if end.exit_code == Some(137) => end.cause = Cause::OutOfMemory,
            Flaw::TakesEverySignalForItsOwn if matches!(end.cause, Cause::Signalled { .. }) => {
                end.cause = Cause::Cancelled;
            }
            _ => {}
        }
        end
    }

    fn own(&self, handle: &ExecutionHandle) -> ExecutionHandle {
        let mut handle = handle.clone();
        match self.flaw {
            Flaw::TakesForeignHandles => handle.host = self.inner.host().clone(),
            Flaw::TakesNewerHandles => handle.version = 1,
            _ => {}
        }
        handle
    }

    fn rewrite(&self, page: &mut LogPage) {
        if self.is(Flaw::DropsTheLastLine) && page.ended.is_some() {
            page.records.pop();
        }
        if self.is(Flaw::CutsOffInSilence) && page.ended.is_some() {
            page.ended = Some(LogCompleteness::Complete);
        }
        for record in &mut page.records {
            match self.flaw {
                Flaw::StripsLineBreaks => {
                    let kept: Vec<u8> = record.bytes.iter().copied().filter(|byte| *byte != b'\n').collect();
                    record.bytes = kept.into();
                }
                Flaw::MixesTheStreams => record.stream = LogStream::Stdout,
                Flaw::ReplacesBytes => {
                    record.bytes = String::from_utf8_lossy(&record.bytes).into_owned().into_bytes().into();
                }
                _ => {}
            }
        }
    }
}

/// The secret itself, read from where the job's author keeps it.
fn secret_of(request: &LaunchRequest) -> Option<String> {
    let binding = request.plan.template.secrets.first()?;
    match &binding.reference {
        SecretReference::File(path) => std::fs::read_to_string(path).ok(),
        _ => None,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerExecutor for Flawed {
    fn executor_type(&self) -> &ExecutorType {
        self.inner.executor_type()
    }

    fn host(&self) -> &HostName {
        self.inner.host()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn facts(&self) -> Option<Arc<HostFacts>> {
        self.inner.facts()
    }

    async fn discover(&self) -> Result<Arc<HostFacts>> {
        self.inner.discover().await
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        if !self.is(Flaw::IgnoresOptions) {
            return self.inner.plan(job);
        }
        let mut without = job.job().clone();
        without.template.executor_options.clear();
        self.inner.plan(&CheckedJob::new(&without, self.inner.as_ref())?)
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        self.inner.prepare(request, progress).await
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let mut request = request.clone();
        match self.flaw {
            Flaw::Hangs => std::future::pending().await,
            Flaw::LaunchesTwins => {
                let mut twin = request.clone();
                twin.token = LaunchToken::new(request.token.job(), request.token.attempt() + 100);
                self.inner.launch_job(&twin).await?;
            }
            Flaw::IgnoresTheDeadline => request.deadline = jiff::Timestamp::MAX,
            _ => {}
        }
        let launched = self.inner.launch_job(&request).await;
        match launched {
            Ok(mut handle) if self.is(Flaw::WritesSecretsDown) => {
                if let (Some(secret), Some(metadata)) = (secret_of(&request), handle.executor_metadata.as_object_mut())
                {
                    metadata.insert("secret".to_owned(), secret.into());
                } else if let Some(secret) = secret_of(&request) {
                    handle.executor_metadata = serde_json::json!({ "secret": secret });
                }
                Ok(handle)
            }
            Err(error) if error.kind() == ErrorKind::Conflict && self.is(Flaw::AdoptsFromOthers) => {
                let id = request.token.to_string();
                let kind = self.executor_type().clone();
                Ok(ExecutionHandle::new(kind, self.host().clone(), request.token, 1, id, serde_json::Value::Null))
            }
            launched => launched,
        }
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        let found = self.inner.find_launch(request).await;
        match found {
            Ok(_) if self.is(Flaw::DeniesItsLaunches) => Ok(LaunchSearch::Absent),
            Err(error) if error.is_lost_contact() && self.is(Flaw::TakesSilenceForAbsence) => Ok(LaunchSearch::Absent),
            found => found,
        }
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        match self.inner.check_status(&self.own(handle)).await {
            Ok(ExecutionStatus::Terminated(end)) => {
                if self.is(Flaw::FailsWithItsJobs) && end.exit_code != Some(0) {
                    return Err(Error::new(ErrorKind::Unexpected, "the container failed"));
                }
                Ok(ExecutionStatus::Terminated(self.retell(end)))
            }
            Err(error) if error.is_lost_contact() && self.is(Flaw::TakesSilenceForAbsence) => {
                Ok(ExecutionStatus::NotFound)
            }
            status => status,
        }
    }

    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        let handles: Vec<ExecutionHandle> = handles.iter().map(|handle| self.own(handle)).collect();
        let mut answers = self.inner.check_statuses(&handles).await;
        if self.is(Flaw::ShufflesTheBatch) {
            answers.reverse();
        }
        answers
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        let mut stop = *stop;
        if self.is(Flaw::GivesNoGrace) {
            stop.grace = Duration::ZERO;
        }
        let mut end = self.inner.stop_job(&self.own(handle), &stop).await?;
        if self.is(Flaw::RewritesTheEnd) {
            end.cause = Cause::from(stop.reason);
        }
        Ok(self.retell(end))
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        let mut query = query.clone();
        if self.is(Flaw::ForgetsItsCursors) {
            query.cursor = None;
        }
        let handle = self.own(handle);
        let mut page = match self.inner.get_logs(&handle, &query).await {
            Err(error) if error.kind() == ErrorKind::Invalid && self.is(Flaw::TakesAnyCursor) => {
                self.inner.get_logs(&handle, &LogQuery::from_start()).await?
            }
            page => page?,
        };
        self.rewrite(&mut page);
        page.records.retain(|record| !record.bytes.is_empty());
        Ok(page)
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        assert!(!self.is(Flaw::Panics), "no harvest today");
        match self.inner.harvest_job(&self.own(handle)).await {
            Ok(mut harvest) => {
                harvest.termination = self.retell(harvest.termination);
                Ok(harvest)
            }
            Err(error) if error.kind() == ErrorKind::StillRunning && self.is(Flaw::HarvestsTooEarly) => {
                let logs = LogSummary::new(LogCompleteness::Complete, 0, 0);
                Ok(Harvest::new(Termination::new(Cause::Unknown, Evidence::incomplete()), logs, Usage::default()))
            }
            Err(error) => Err(error),
        }
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        let handle = self.own(handle);
        if self.is(Flaw::NeverCleansUp) {
            return Ok(());
        }
        match self.inner.cleanup(&handle).await {
            Err(error) if error.kind() == ErrorKind::StillRunning && self.is(Flaw::CleansUpWhatRuns) => {
                let stop = StopRequest::new(longshore_core::StopReason::Cancelled, Duration::ZERO);
                self.inner.stop_job(&handle, &stop).await?;
                self.inner.cleanup(&handle).await
            }
            cleaned => cleaned,
        }
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        let mut owned = self.inner.list_owned(owner).await?;
        if self.is(Flaw::ShowsOthersThings) {
            let kind = self.executor_type().clone();
            let token = LaunchToken::new(longshore_core::JobId::new(jiff::Timestamp::UNIX_EPOCH), 1);
            let handle =
                ExecutionHandle::new(kind, self.host().clone(), token, 1, "somebody-else's", serde_json::Value::Null);
            owned.push(OwnedExecution::new(handle, jiff::Timestamp::UNIX_EPOCH, false));
        }
        Ok(owned)
    }

    async fn collect(&self, owner: &Owner) -> Result<u64> {
        self.inner.collect(owner).await
    }

    async fn check_health(&self) -> Result<Health> {
        self.inner.check_health().await
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        let events = self.inner.events(owner).await?;
        if self.is(Flaw::EndsItsEvents) {
            return Ok(events.take(0).boxed());
        }
        Ok(events)
    }
}
