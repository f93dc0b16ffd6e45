//! A provider, an executor on it, and short words for what a test does with them.

use jiff::Timestamp;
use longshore_core::{
    CheckedJob, ContainerExecutor, ContainerJob, ExecutionHandle, ExecutionHost, ExecutionStatus, ExecutorContext,
    ImageSource, JobTemplate, LaunchRequest, Progress, Result, StopReason, StopRequest, Termination, TokioClock,
};
use longshore_mock::{MockConfig, MockExecutor, MockProvider};
use std::{sync::Arc, time::Duration};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A place to run jobs, and a program that uses it.
pub(crate) struct Place {
    pub(crate) host: ExecutionHost,
    pub(crate) context: ExecutorContext,
    pub(crate) provider: MockProvider,
    pub(crate) executor: Arc<MockExecutor>,
}

impl Place {
    /// As the configuration says, which is written as a user would.
    pub(crate) async fn new(config: serde_json::Value) -> Self {
        let clock = TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let context = ExecutorContext::new("unused").with_clock(Arc::new(clock));
        let host =
            ExecutionHost::builder().name("here".parse().unwrap()).executor_type("mock".parse().unwrap()).build();
        let provider = MockProvider::new(MockConfig::from_value(&config).unwrap(), context.clock.clone());
        let executor = Arc::new(MockExecutor::attach(&host, &provider, &context));
        executor.discover().await.unwrap();
        Self { host, context, provider, executor }
    }

    /// What a second program has.
    pub(crate) fn attach(&self, provider: &MockProvider) -> Arc<MockExecutor> {
        Arc::new(MockExecutor::attach(&self.host, provider, &self.context))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        self.context.clock.sleep(duration).await;
    }

    pub(crate) fn request_for(&self, template: JobTemplate) -> Result<LaunchRequest> {
        let job = ContainerJob::new(template, self.now());
        let plan = self.executor.plan(&CheckedJob::new(&job, self.executor.as_ref())?)?;
        Ok(LaunchRequest::new(&job, 1, plan, "owner".parse().unwrap(), self.now(), 3600 * SECOND))
    }

    pub(crate) fn request(&self, script: &[&str]) -> LaunchRequest {
        self.request_for(template(script)).unwrap()
    }

    pub(crate) async fn launch(&self, script: &[&str]) -> (LaunchRequest, ExecutionHandle) {
        let request = self.request(script);
        self.executor.prepare(&request, Progress::ignored()).await.unwrap();
        let handle = self.executor.launch_job(&request).await.unwrap();
        (request, handle)
    }

    pub(crate) async fn status(&self, handle: &ExecutionHandle) -> ExecutionStatus {
        self.executor.check_status(handle).await.unwrap()
    }

    /// How it has ended by now.
    pub(crate) async fn end(&self, handle: &ExecutionHandle) -> Termination {
        self.status(handle).await.termination().expect("it has ended").clone()
    }
}

pub(crate) fn template(script: &[&str]) -> JobTemplate {
    let image: ImageSource = "probe:1".parse().unwrap();
    let script = script.iter().map(|&instruction| instruction.to_owned());
    JobTemplate::builder().name("job".parse().unwrap()).image(image).args(script).build()
}

pub(crate) fn cancel(grace: Duration) -> StopRequest {
    StopRequest::new(StopReason::Cancelled, grace)
}
