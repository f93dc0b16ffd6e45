//! Launching, asking and stopping through a mock of the trait, where every answer is chosen.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::{
    Advice, Capabilities, Capability, CapturedLogs, CheckedJob, ContainerExecutor, ContainerJob, Error, ErrorKind,
    ExecutionHandle, ExecutorType, HostFacts, HostName, HostSettings, JobTemplate, LaunchIdempotency, LaunchRequest,
    LaunchSearch, Launched, LogPage, Patience, Plan, Resources, Result, Runner, StopLevel, StopSwitch, TokioClock,
    follow_logs, launch_once,
    layers::{TimeoutLayer, Timeouts},
    testing::MockContainerExecutor,
};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

static KIND: LazyLock<ExecutorType> = LazyLock::new(|| "mocked".parse().unwrap());
static HOST: LazyLock<HostName> = LazyLock::new(|| "here".parse().unwrap());

fn executor(capabilities: &'static Capabilities) -> MockContainerExecutor {
    let mut executor = MockContainerExecutor::new();
    executor.expect_executor_type().return_const(KIND.clone());
    executor.expect_host().return_const(HOST.clone());
    executor.expect_capabilities().return_const(capabilities.clone());
    executor
}

static EVERYTHING_BUT_MEMORY: LazyLock<Capabilities> = LazyLock::new(|| {
    Capabilities::new(LaunchIdempotency::ByKey, [Capability::RegistryImages, Capability::Command, Capability::CpuLimit])
});

fn clock() -> TokioClock {
    TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap())
}

fn job() -> ContainerJob {
    let template =
        JobTemplate::builder().name("job".parse().unwrap()).image("probe:1".parse().unwrap()).command(["run"]).build();
    ContainerJob::new(template, "2026-01-01T00:00:00Z".parse().unwrap())
}

fn request(executor: &dyn ContainerExecutor, time_to_send: Duration) -> LaunchRequest {
    let job = job();
    let checked = CheckedJob::new(&job, executor).unwrap();
    let plan = Plan::granting(&checked, executor, HostSettings::new(1, serde_json::Value::Null));
    LaunchRequest::new(&job, 1, plan, "owner".parse().unwrap(), "2026-01-01T00:00:00Z".parse().unwrap(), time_to_send)
}

fn handle(request: &LaunchRequest) -> ExecutionHandle {
    ExecutionHandle::new(KIND.clone(), HOST.clone(), request.token, 1, "x", serde_json::Value::Null)
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "no answer")
}

async fn launch(executor: &MockContainerExecutor, time_to_send: Duration) -> Result<Launched> {
    let request = request(executor, time_to_send);
    launch_once(executor, &request, &clock(), &Patience::default()).await
}

#[test]
fn what_is_not_declared_is_refused_before_the_plan() {
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    executor.expect_plan().never();
    let mut job = job();
    CheckedJob::new(&job, &executor).unwrap();
    job.template.resources = Resources::builder().memory("64m".parse().unwrap()).cpu("0.5".parse().unwrap()).build();
    let error = CheckedJob::new(&job, &executor).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("resources.memory = 64MiB needs `memory-limit`"), "{error}");
    assert!(!error.message().contains("cpu"), "{error}");
}

/// What is convenient can be given to `tokio::spawn`.
#[test]
fn runs_can_be_spawned() {
    fn can_be_spawned<F: Future + Send + 'static>(_: impl FnOnce() -> F) {}
    let executor = || -> Arc<dyn ContainerExecutor> { Arc::new(executor(&EVERYTHING_BUT_MEMORY)) };
    can_be_spawned(|| async move { longshore_core::run(executor(), &job()).await.is_ok() });
    can_be_spawned(|| async move { Runner::new(executor()).run(&job(), &CapturedLogs::default()).await.is_ok() });
    can_be_spawned(|| async move { launch(&executor_of_its_own(), Duration::ZERO).await.is_ok() });
    can_be_spawned(|| async move {
        let (executor, seen) = (executor(), std::sync::Mutex::new(0));
        let handle = handle(&request(executor.as_ref(), Duration::ZERO));
        let take = |page: LogPage| {
            let seen = &seen;
            async move {
                *seen.lock().unwrap() += page.records.len();
                Ok(())
            }
        };
        follow_logs(executor.as_ref(), &handle, None, &clock(), &Patience::default(), take).await.is_ok()
    });
}

fn executor_of_its_own() -> MockContainerExecutor {
    executor(&EVERYTHING_BUT_MEMORY)
}

/// Whatever could be done first, a stop that came before is seen before it.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_stopped_before_starts_nothing() {
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    executor.expect_facts().return_const(None);
    executor.expect_discover().never();
    executor.expect_prepare().never();
    executor.expect_launch_job().never();
    let stop = StopSwitch::new();
    stop.stop(StopLevel::Graceful);
    let runner = Runner::new(Arc::new(executor)).with_clock(Arc::new(clock())).stopped_by(stop);
    let error = runner.run(&job(), &CapturedLogs::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Cancelled, Advice::Permanent), "{error}");
}

/// The stop comes with the last thing that is done before the launch.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_while_it_prepares_launches_nothing() {
    let stop = StopSwitch::new();
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    executor.expect_facts().return_const(Some(Arc::new(facts())));
    executor.expect_plan().returning(|checked| {
        let executor = executor_of_its_own();
        Ok(Plan::granting(checked, &executor, HostSettings::new(1, serde_json::Value::Null)))
    });
    let switch = stop.clone();
    executor.expect_prepare().times(1).returning(move |_, _| {
        switch.stop(StopLevel::Graceful);
        Ok(())
    });
    executor.expect_launch_job().never();
    let runner = Runner::new(Arc::new(executor)).with_clock(Arc::new(clock())).stopped_by(stop);
    let error = runner.run(&job(), &CapturedLogs::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}

fn facts() -> HostFacts {
    HostFacts::builder().discovered_at("2026-01-01T00:00:00Z".parse().unwrap()).engine("mocked").build()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_looked_up_and_not_sent_again() {
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    executor.expect_launch_job().times(1).returning(|_| Err(unavailable().with_advice(Advice::LookUpFirst)));
    executor.expect_find_launch().times(1).returning(|request| Ok(LaunchSearch::Found(handle(request))));
    assert!(matches!(launch(&executor, Duration::from_secs(60)).await.unwrap(), Launched::Started(_)));
}

#[tokio::test(start_paused = true)]
async fn what_is_proven_absent_is_sent_again() {
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    let mut answers = vec![Ok(()), Err(unavailable().with_advice(Advice::LookUpFirst))];
    executor.expect_launch_job().times(2).returning(move |request| answers.pop().unwrap().map(|()| handle(request)));
    executor.expect_find_launch().times(1).returning(|_| Ok(LaunchSearch::Absent));
    assert!(matches!(launch(&executor, Duration::from_secs(60)).await.unwrap(), Launched::Started(_)));
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_proven_is_never_sent_again() {
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    executor.expect_launch_job().times(1).returning(|_| Err(unavailable().with_advice(Advice::LookUpFirst)));
    executor.expect_find_launch().times(1).returning(|_| Ok(LaunchSearch::Unprovable { reason: "no list".to_owned() }));
    assert!(matches!(launch(&executor, Duration::from_secs(60)).await.unwrap(), Launched::Unprovable { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_repeated_before_anything_is_sent() {
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    executor.expect_launch_job().times(1).returning(|_| Err(unavailable().with_advice(Advice::LookUpFirst)));
    let mut looks = 0;
    executor.expect_find_launch().times(4).returning(move |request| {
        looks += 1;
        if looks < 4 { Err(unavailable()) } else { Ok(LaunchSearch::Found(handle(request))) }
    });
    assert!(matches!(launch(&executor, Duration::from_secs(60)).await.unwrap(), Launched::Started(_)));
}

#[tokio::test(start_paused = true)]
async fn refusals_end_at_the_deadline() {
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    executor.expect_launch_job().times(2..).returning(|_| Err(Error::new(ErrorKind::RateLimited, "slow down")));
    executor.expect_find_launch().never();
    let error = launch(&executor, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_repeated() {
    let mut executor = executor(&EVERYTHING_BUT_MEMORY);
    executor.expect_launch_job().times(1).returning(|_| Err(Error::new(ErrorKind::CommandNotFound, "no such program")));
    assert_eq!(launch(&executor, Duration::from_secs(60)).await.unwrap_err().kind(), ErrorKind::CommandNotFound);
}

/// An executor that never answers.
fn silent() -> MockContainerExecutor {
    let mut executor = MockContainerExecutor::new();
    executor.expect_host().return_const(HOST.clone());
    executor
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_is_dropped_for_time_is_looked_up_first() {
    let request = request(&executor(&EVERYTHING_BUT_MEMORY), Duration::from_secs(600));
    let hanging = Arc::new(Hanging(silent()));
    let layer = TimeoutLayer::new(hanging, Arc::new(clock()), Timeouts::default());
    let error = layer.launch_job(&request).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Timeout, Advice::LookUpFirst));
    let error = layer.check_status(&handle(&request)).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Timeout, Advice::Temporary));
    let answers = layer.check_statuses(&[handle(&request), handle(&request)]).await;
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Timeout)));
}

/// Every question that waits for an answer waits for ever.
#[derive(Debug)]
struct Hanging(MockContainerExecutor);

#[async_trait::async_trait]
impl ContainerExecutor for Hanging {
    fn executor_type(&self) -> &ExecutorType {
        &KIND
    }
    fn host(&self) -> &HostName {
        self.0.host()
    }
    fn capabilities(&self) -> &Capabilities {
        &EVERYTHING_BUT_MEMORY
    }
    fn facts(&self) -> Option<Arc<longshore_core::HostFacts>> {
        None
    }
    async fn discover(&self) -> Result<Arc<longshore_core::HostFacts>> {
        std::future::pending().await
    }
    fn plan(&self, _: &CheckedJob<'_>) -> Result<Plan> {
        Err(unavailable())
    }
    async fn launch_job(&self, _: &LaunchRequest) -> Result<ExecutionHandle> {
        std::future::pending().await
    }
    async fn find_launch(&self, _: &LaunchRequest) -> Result<LaunchSearch> {
        std::future::pending().await
    }
    async fn check_status(&self, _: &ExecutionHandle) -> Result<longshore_core::ExecutionStatus> {
        std::future::pending().await
    }
    async fn stop_job(
        &self,
        _: &ExecutionHandle,
        _: &longshore_core::StopRequest,
    ) -> Result<longshore_core::Termination> {
        std::future::pending().await
    }
    async fn get_logs(&self, _: &ExecutionHandle, _: &longshore_core::LogQuery) -> Result<longshore_core::LogPage> {
        std::future::pending().await
    }
    async fn harvest_job(&self, _: &ExecutionHandle) -> Result<longshore_core::Harvest> {
        std::future::pending().await
    }
    async fn cleanup(&self, _: &ExecutionHandle) -> Result<()> {
        std::future::pending().await
    }
}
