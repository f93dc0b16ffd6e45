//! A span around each operation.

use async_trait::async_trait;
use std::{future::Future, sync::Arc};
use tracing::{Instrument, Span, debug, debug_span};

use crate::{
    Capabilities, CheckedJob, ContainerExecutor, EventStream, ExecutionHandle, ExecutionStatus, ExecutorType, Harvest,
    Health, HostFacts, HostName, LaunchRequest, LaunchSearch, LogPage, LogQuery, OwnedExecution, Owner, Plan, Progress,
    Result, StopRequest, Termination,
};

/// Puts a `tracing` span around each operation, with the host and, where there is one, the token; an error is
/// noted in it with its kind and advice. Neither environment, arguments nor secrets are in any of them.
#[derive(Debug)]
pub struct TracingLayer {
    inner: Arc<dyn ContainerExecutor>,
}

impl TracingLayer {
    /// The executor with spans.
    pub fn new(inner: Arc<dyn ContainerExecutor>) -> Self {
        Self { inner }
    }

    async fn within<T>(&self, span: Span, asked: impl Future<Output = Result<T>> + Send) -> Result<T> {
        async {
            let answer = asked.await;
            if let Err(error) = &answer {
                debug!(kind = %error.kind(), advice = ?error.advice(), "{}", error.chain());
            }
            answer
        }
        .instrument(span)
        .await
    }
}

macro_rules! span {
    ($self:ident, $operation:literal) => {
        debug_span!($operation, host = %$self.inner.host())
    };
    ($self:ident, $operation:literal, $token:expr) => {
        debug_span!($operation, host = %$self.inner.host(), token = %$token)
    };
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerExecutor for TracingLayer {
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
        self.within(span!(self, "discover"), self.inner.discover()).await
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        debug_span!("plan", host = %self.inner.host(), template = %job.template().name)
            .in_scope(|| self.inner.plan(job))
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        self.within(span!(self, "prepare", request.token), self.inner.prepare(request, progress)).await
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        self.within(span!(self, "launch_job", request.token), self.inner.launch_job(request)).await
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        self.within(span!(self, "find_launch", request.token), self.inner.find_launch(request)).await
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        self.within(span!(self, "check_status", handle.token), self.inner.check_status(handle)).await
    }

    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        let span = debug_span!("check_statuses", host = %self.inner.host(), handles = handles.len());
        self.inner.check_statuses(handles).instrument(span).await
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        self.within(span!(self, "stop_job", handle.token), self.inner.stop_job(handle, stop)).await
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        self.within(span!(self, "get_logs", handle.token), self.inner.get_logs(handle, query)).await
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        self.within(span!(self, "harvest_job", handle.token), self.inner.harvest_job(handle)).await
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        self.within(span!(self, "cleanup", handle.token), self.inner.cleanup(handle)).await
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        self.within(span!(self, "list_owned"), self.inner.list_owned(owner)).await
    }

    async fn collect(&self, owner: &Owner) -> Result<u64> {
        self.within(span!(self, "collect"), self.inner.collect(owner)).await
    }

    async fn check_health(&self) -> Result<Health> {
        self.within(span!(self, "check_health"), self.inner.check_health()).await
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        self.within(span!(self, "events"), self.inner.events(owner)).await
    }
}
