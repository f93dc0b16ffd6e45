//! An executor that is like another, except for what a case needs altered.

use async_trait::async_trait;
use longshore_core::{
    Advice, Capabilities, Capability, CheckedJob, ContainerExecutor, Error, ErrorKind, EventStream, ExecutionHandle,
    ExecutionStatus, ExecutorType, Harvest, Health, HostFacts, HostName, LaunchRequest, LaunchSearch, LogPage,
    LogQuery, OwnedExecution, Owner, Plan, Progress, Result, StopRequest, Termination,
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::Loss;

/// Another executor, with its next launch lost or a capability taken away.
#[derive(Debug)]
pub(crate) struct Altered {
    inner: Arc<dyn ContainerExecutor>,
    capabilities: Capabilities,
    loss: Mutex<Option<Loss>>,
    planned: AtomicBool,
}

impl Altered {
    fn new(inner: Arc<dyn ContainerExecutor>) -> Self {
        let capabilities = inner.capabilities().clone();
        Self { inner, capabilities, loss: Mutex::new(None), planned: AtomicBool::new(false) }
    }

    /// Loses its next launch.
    pub(crate) fn losing(inner: Arc<dyn ContainerExecutor>, loss: Loss) -> Self {
        Self { loss: Mutex::new(Some(loss)), ..Self::new(inner) }
    }

    /// Does not declare a capability, as an executor that is older than it.
    pub(crate) fn without(inner: Arc<dyn ContainerExecutor>, capability: Capability) -> Self {
        let altered = Self::new(inner);
        Self { capabilities: altered.capabilities.clone().without(capability), ..altered }
    }

    /// True when it was asked for a plan.
    pub(crate) fn was_planned(&self) -> bool {
        self.planned.load(Ordering::Relaxed)
    }
}

fn lost(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, what).with_operation("launch_job").with_advice(Advice::LookUpFirst)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerExecutor for Altered {
    fn executor_type(&self) -> &ExecutorType {
        self.inner.executor_type()
    }

    fn host(&self) -> &HostName {
        self.inner.host()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn facts(&self) -> Option<Arc<HostFacts>> {
        self.inner.facts()
    }

    async fn discover(&self) -> Result<Arc<HostFacts>> {
        self.inner.discover().await
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        self.planned.store(true, Ordering::Relaxed);
        self.inner.plan(job)
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        self.inner.prepare(request, progress).await
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner).take();
        match loss {
            None => self.inner.launch_job(request).await,
            Some(Loss::BeforeEffect) => Err(lost("the kit lost the launch before it was sent")),
            Some(Loss::AfterEffect) => {
                self.inner.launch_job(request).await?;
                Err(lost("the kit lost the answer to the launch"))
            }
        }
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
