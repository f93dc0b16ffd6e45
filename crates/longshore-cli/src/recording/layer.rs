//! The layer between a run and its executor that records what passes.

use async_trait::async_trait;
use longshore::{
    Advice, Capabilities, CheckedJob, ContainerExecutor, EventStream, ExecutionHandle, ExecutionStatus, ExecutorType,
    Harvest, Health, HostFacts, HostName, LaunchRequest, LaunchSearch, LogPage, LogQuery, OwnedExecution, Owner, Plan,
    Progress, Result, StopRequest, Termination,
};
use std::sync::Arc;

use super::journal::{Journal, Launching};

/// Stores the intent before anything is sent, and what became of it before anything is removed.
#[derive(Debug)]
pub(super) struct RecordingLayer {
    inner: Arc<dyn ContainerExecutor>,
    journal: Arc<Journal>,
    launching: Launching,
}

impl RecordingLayer {
    pub(super) fn new(inner: Arc<dyn ContainerExecutor>, journal: Arc<Journal>, launching: Launching) -> Self {
        Self { inner, journal, launching }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerExecutor for RecordingLayer {
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
        self.inner.plan(job)
    }

    /// The intent is stored meanwhile: both take their time, and neither launches anything.
    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        let begun = self.journal.begin(&self.launching, request);
        tokio::try_join!(begun, self.inner.prepare(request, progress)).map(drop)
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        self.journal.begin(&self.launching, request).await?;
        let request = self.journal.to_send(request).await?;
        let handle = self.inner.launch_job(&request).await.inspect_err(|error| {
            if error.advice() == Advice::LookUpFirst {
                self.journal.unanswered();
            }
        })?;
        self.journal.launched(&handle);
        Ok(handle)
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        let found = self.inner.find_launch(&self.journal.sent(request)).await?;
        if let LaunchSearch::Found(handle) = &found {
            self.journal.launched(handle);
        }
        Ok(found)
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        let status = self.inner.check_status(handle).await?;
        if matches!(status, ExecutionStatus::Running { .. }) {
            self.journal.started(handle.token);
        }
        Ok(status)
    }

    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        self.inner.check_statuses(handles).await
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        self.inner.stop_job(handle, stop).await
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        self.inner.get_logs(handle, query).await
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        let harvest = self.inner.harvest_job(handle).await?;
        self.journal.ended(self.inner.as_ref(), handle, &harvest).await;
        Ok(harvest)
    }

    /// Refused while what became of the job is not stored: somebody else will store and remove it.
    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        self.journal.may_clean_up()?;
        self.inner.cleanup(handle).await
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        self.inner.list_owned(owner).await
    }

    async fn collect(&self, owner: &Owner) -> Result<u64> {
        self.inner.collect(owner).await
    }

    async fn check_health(&self) -> Result<Health> {
        self.inner.check_health().await
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        self.inner.events(owner).await
    }
}
