//! A limit on how long each operation may take.

use async_trait::async_trait;
use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    Advice, Capabilities, CheckedJob, Clock, ContainerExecutor, Error, ErrorKind, EventStream, ExecutionHandle,
    ExecutionStatus, ExecutorType, Harvest, Health, HostFacts, HostName, LaunchRequest, LaunchSearch, LogPage,
    LogQuery, OwnedExecution, Owner, Plan, Progress, Result, StopRequest, Termination,
};

/// How long the operations of an executor may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// A question: status, lists, health, events, and the answer to a log query after its own wait.
    pub ask: Duration,
    /// A launch.
    pub launch: Duration,
    /// A preparation, which may pull a large image.
    pub prepare: Duration,
    /// A harvest or a cleanup.
    pub settle: Duration,
}

impl Default for Timeouts {
    /// A minute for a question, two for a launch or for settling, an hour for a preparation.
    fn default() -> Self {
        Self {
            ask: Duration::from_secs(60),
            launch: Duration::from_secs(120),
            prepare: Duration::from_secs(3600),
            settle: Duration::from_secs(120),
        }
    }
}

/// Ends operations that take too long with [`ErrorKind::Timeout`]. A launch that was dropped so may still take
/// effect, and its error says *look up first*.
#[derive(Debug)]
pub struct TimeoutLayer {
    inner: Arc<dyn ContainerExecutor>,
    clock: Arc<dyn Clock>,
    timeouts: Timeouts,
}

impl TimeoutLayer {
    /// The executor with limits.
    pub fn new(inner: Arc<dyn ContainerExecutor>, clock: Arc<dyn Clock>, timeouts: Timeouts) -> Self {
        Self { inner, clock, timeouts }
    }

    async fn limit<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        asked: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        tokio::select! {
            biased;
            answer = asked => answer,
            () = self.clock.sleep(limit) => {
                let message = format!("no answer within {limit:?}");
                Err(Error::new(ErrorKind::Timeout, message).with_operation(operation).with_context("host", self.inner.host()))
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerExecutor for TimeoutLayer {
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
        self.limit("discover", self.timeouts.ask, self.inner.discover()).await
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        self.inner.plan(job)
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        self.limit("prepare", self.timeouts.prepare, self.inner.prepare(request, progress)).await
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let launched = self.limit("launch_job", self.timeouts.launch, self.inner.launch_job(request)).await;
        launched.map_err(|error| {
            if error.kind() == ErrorKind::Timeout { error.with_advice(Advice::LookUpFirst) } else { error }
        })
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        self.limit("find_launch", self.timeouts.ask, self.inner.find_launch(request)).await
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        self.limit("check_status", self.timeouts.ask, self.inner.check_status(handle)).await
    }

    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        let asked = async { Ok(self.inner.check_statuses(handles).await) };
        match self.limit("check_statuses", self.timeouts.ask, asked).await {
            Ok(answers) => answers,
            Err(error) => handles.iter().map(|_| Err(error.repeated())).collect(),
        }
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        let limit = stop.grace.saturating_add(self.timeouts.settle);
        self.limit("stop_job", limit, self.inner.stop_job(handle, stop)).await
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        let limit = query.wait.saturating_add(self.timeouts.ask);
        self.limit("get_logs", limit, self.inner.get_logs(handle, query)).await
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        self.limit("harvest_job", self.timeouts.settle, self.inner.harvest_job(handle)).await
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        self.limit("cleanup", self.timeouts.settle, self.inner.cleanup(handle)).await
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        self.limit("list_owned", self.timeouts.ask, self.inner.list_owned(owner)).await
    }

    async fn collect(&self, owner: &Owner) -> Result<u64> {
        self.limit("collect", self.timeouts.settle, self.inner.collect(owner)).await
    }

    async fn check_health(&self) -> Result<Health> {
        self.limit("check_health", self.timeouts.ask, self.inner.check_health()).await
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        self.limit("events", self.timeouts.ask, self.inner.events(owner)).await
    }
}
