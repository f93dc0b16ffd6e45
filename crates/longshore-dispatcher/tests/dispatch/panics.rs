//! Executors that break, so that what they were asked for nobody knows; and those that answer late.

use longshore_core::{
    Capabilities, CheckedJob, ContainerExecutor, EventStream, ExecutionHandle, ExecutionStatus, ExecutorType, Harvest,
    HostFacts, HostName, JobStatus, LaunchRequest, LaunchSearch, LogPage, LogQuery, OwnedExecution, Owner, Plan,
    Progress, Result, StopRequest, Termination, async_trait,
};
use longshore_mock::MockExecutor;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::stage::Stage;

/// Breaks once in one of its methods, after that has had its effect. Tells how things stood a while ago.
#[derive(Debug)]
struct Brittle {
    inner: MockExecutor,
    method: &'static str,
    is_whole: AtomicBool,
    late: Duration,
}

impl Brittle {
    fn strain(&self, method: &str) {
        if method == self.method && self.is_whole.swap(false, Ordering::Relaxed) {
            panic!("{method} breaks on purpose");
        }
    }
}

#[async_trait]
impl ContainerExecutor for Brittle {
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

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        self.inner.plan(job)
    }

    async fn discover(&self) -> Result<Arc<HostFacts>> {
        self.strain("discover");
        self.inner.discover().await
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        let prepared = self.inner.prepare(request, progress).await;
        self.strain("prepare");
        prepared
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let launched = self.inner.launch_job(request).await;
        self.strain("launch");
        launched
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        self.inner.find_launch(request).await
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        self.strain("status");
        let status = self.inner.check_status(handle).await;
        tokio::time::sleep(self.late).await;
        status
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        self.inner.stop_job(handle, stop).await
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        self.strain("logs");
        self.inner.get_logs(handle, query).await
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        self.strain("harvest");
        self.inner.harvest_job(handle).await
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        let cleaned = self.inner.cleanup(handle).await;
        self.strain("cleanup");
        cleaned
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        self.strain("list");
        self.inner.list_owned(owner).await
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        self.strain("events");
        self.inner.events(owner).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_call_is_mended_and_nothing_runs_twice() {
    for method in ["discover", "prepare", "launch", "status", "logs", "harvest", "cleanup", "list", "events"] {
        // Where the launch breaks, the place refuses no twin: only looking keeps it from being repeated.
        let launch = if method == "launch" { "best-effort" } else { "by-key" };
        let mut stage = Stage::new([json!({ "launch": launch, "jobs": { "pending": "5s" } })]);
        stage.through = Box::new(move |inner| {
            Arc::new(Brittle { inner, method, is_whole: AtomicBool::new(true), late: Duration::ZERO })
        });
        let dispatcher = stage.dispatch();
        let id = stage.submit(stage.job(&["sleep 5s", "exit 6"])).await;
        let other = stage.submit(stage.job(&["sleep 1m"])).await;
        let job = stage.finished(id).await;
        assert_eq!((job.status, job.exit_code, job.attempts), (JobStatus::Failed, Some(6), 1), "{method}");
        assert_eq!(stage.finished(other).await.status, JobStatus::Completed, "{method}");
        assert_eq!((stage.launches(id).await, stage.launches(other).await), (1, 1), "{method}");
        stage.closed(id).await;
        assert!(!dispatcher.is_finished(), "{method}");
        dispatcher.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_it_is_asked_about_is_asked_about_again() {
    let mut stage = Stage::new([json!({})]);
    let late = Duration::from_secs(5);
    stage.through =
        Box::new(move |inner| Arc::new(Brittle { inner, method: "none", is_whole: AtomicBool::new(true), late }));
    let dispatcher = stage.dispatch();
    let began = stage.now();
    // The first question is on its way, and its answer is old, when the end is told.
    let id = stage.submit(stage.job(&["sleep 2s", "exit 0"])).await;
    assert_eq!(stage.finished(id).await.status, JobStatus::Completed);
    let took = stage.now().duration_since(began).as_secs();
    assert!((10..15).contains(&took), "the end was seen after {took} s, with two answers of 5 s");
    dispatcher.abort();
}
