//! Whole runs through all kinds of trouble, on either clock.

use longshore_core::{
    CapturedLogs, Cause, Clock, ContainerExecutor, ContainerJob, ExecutionHost, ExecutorContext, JobStatus,
    LogDelivery, RunOutcome, Runner, SystemClock,
};
use longshore_mock::{MockConfig, MockExecutor};
use serde_json::json;
use std::sync::Arc;

use crate::support::{Place, SECOND, template};

async fn run(place: &Place, job: ContainerJob) -> (RunOutcome, CapturedLogs) {
    let captured = CapturedLogs::default();
    let runner = Runner::new(place.executor.clone()).with_clock(place.context.clock.clone());
    (runner.run(&job, &captured).await.unwrap(), captured)
}

#[tokio::test(start_paused = true)]
async fn a_run_survives_everything_that_is_only_trouble() {
    let place = Place::new(json!({
        "latency": "10ms",
        "outages": [{ "from": "5s", "to": "30s" }, { "from": "55s", "to": "65s" }],
        "events": { "late": "1s", "twice": true, "gap_every": 2 },
        "jobs": {
            "prepare": "1s", "launch": "1s", "pending": "1s", "late_logs": "2s", "cut_logs": 1000,
            "lose": { "loss": "after-effect", "times": 1 },
            "refuse": { "kind": "rate-limited", "times": 2, "retry_after": "100ms" },
        },
    }))
    .await;
    let job = ContainerJob::new(template(&["lines 500 20", "sleep 1m", "eprint end", "exit 7"]), place.now());
    let (outcome, logs) = run(&place, job).await;
    assert_eq!((outcome.status, outcome.exit_code()), (JobStatus::Failed, Some(7)));
    assert!(matches!(outcome.logs, LogDelivery::Delivered(_)), "{:?}", outcome.logs);
    let expected: String = (1..=500).map(|line| format!("{line:019}\n")).collect();
    assert_eq!((logs.stdout().as_ref(), logs.stderr().as_ref()), (expected.as_bytes(), b"end\n".as_slice()));
    assert_eq!(place.provider.launches(&outcome.request.token), 1);
    assert_eq!(place.provider.executions(), []);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_provider_loses_is_lost() {
    let place = Place::new(json!({ "jobs": { "vanish": "10s" } })).await;
    let (outcome, _) = run(&place, ContainerJob::new(template(&["forever"]), place.now())).await;
    assert_eq!((outcome.status, outcome.harvest), (JobStatus::Lost, None));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_started_in_time_has_timed_out() {
    let place = Place::new(json!({ "jobs": { "pending": "1h" } })).await;
    let mut late = template(&["exit 0"]);
    late.start_timeout = Some(60 * SECOND);
    let (outcome, _) = run(&place, ContainerJob::new(late, place.now())).await;
    assert_eq!(outcome.status, JobStatus::TimedOut);
    assert_eq!(outcome.termination().unwrap().started_at, None);
}

#[tokio::test(start_paused = true)]
async fn jobs_with_programs_of_their_own_do_as_their_rule_says() {
    let script = ["print imported 3 rows", "sleep 1h", "exit 0"];
    let rule = json!({ "job": "import-*", "then": { "script": script } });
    let place = Place::new(json!({ "rules": [rule] })).await;
    let mut import = template(&["--from", "s3://bucket/rows"]);
    import.name = "import-rows".parse().unwrap();
    import.entrypoint = Some(vec!["/usr/bin/importer".to_owned()]);
    let (outcome, logs) = run(&place, ContainerJob::new(import, place.now())).await;
    assert_eq!((outcome.status, logs.stdout().as_ref()), (JobStatus::Completed, b"imported 3 rows\n".as_slice()));
}

#[tokio::test]
async fn it_works_by_the_systems_clock() {
    let host = ExecutionHost::builder().name("here".parse().unwrap()).executor_type("mock".parse().unwrap()).build();
    let mock = MockExecutor::new(&host, MockConfig::default(), &ExecutorContext::new("unused"));
    let provider = mock.provider().clone();
    let mock = Arc::new(mock);
    let mut limited = template(&["print a", "sleep 30ms", "print b", "forever"]);
    limited.run_timeout = Some(SECOND / 5);
    let job = ContainerJob::new(limited, SystemClock.now());
    let (outcome, logs) = longshore_core::run(mock.clone(), &job).await.unwrap();
    assert_eq!(outcome.termination().unwrap().cause, Cause::TimedOut);
    assert_eq!(logs.stdout(), "a\nb\n");
    assert_eq!((provider.executions(), mock.list_owned(&"local".parse().unwrap()).await.unwrap()), (vec![], vec![]));
}
