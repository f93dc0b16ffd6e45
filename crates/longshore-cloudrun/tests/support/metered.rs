//! An executor that launches no more than it may: what runs against a real account costs money.

#![deny(clippy::missing_trait_methods)]

use async_trait::async_trait;
use longshore_core::{
    Capabilities, CheckedJob, ContainerExecutor, Error, ErrorKind, EventStream, ExecutionHandle, ExecutionStatus,
    ExecutorType, Harvest, Health, HostFacts, HostName, LaunchRequest, LaunchSearch, LogPage, LogQuery, OwnedExecution,
    Owner, Plan, Progress, Result, StopRequest, Termination,
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// How many launches are left, for all cases together.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Budget {
    pub(crate) const fn of(launches: u32) -> Self {
        Self(AtomicU32::new(launches))
    }

    fn spend(&self) -> Result<()> {
        let spent = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        spent.map(drop).map_err(|_| {
            Error::new(ErrorKind::Cancelled, "as many jobs were created as `most_jobs` allows; nothing was sent")
        })
    }
}

/// The executor of another, up to its budget.
#[derive(Debug)]
pub(crate) struct Metered {
    inner: Arc<dyn ContainerExecutor>,
    budget: Arc<Budget>,
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn ContainerExecutor>, budget: Arc<Budget>) -> Self {
        Self { inner, budget }
    }
}

#[async_trait]
impl ContainerExecutor for Metered {
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

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        self.inner.prepare(request, progress).await
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        self.budget.spend()?;
        self.inner.launch_job(request).await
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        self.inner.find_launch(request).await
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        self.inner.check_status(handle).await
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
        self.inner.harvest_job(handle).await
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
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
