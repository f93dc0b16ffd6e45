//! How jobs end.

use longshore_core::{JobStatus, LogQuery, RetryOn, RetryPolicy, route::CircuitState};
use longshore_store::{AttemptState, JobStore};
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn a_job_runs_to_its_end_and_leaves_nothing() {
    let stage = Stage::new([json!({})]);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["print hello", "sleep 1s", "exit 3"])).await;
    let job = stage.finished(id).await;
    assert_eq!((job.status, job.exit_code, job.attempts, job.runs), (JobStatus::Failed, Some(3), 1, 1));
    stage.closed(id).await;
    assert_eq!(stage.kinds(id).await, ["submitted", "claimed", "launched", "started", "ended", "closed"]);
    let attempt = stage.store.attempts(id).await.unwrap().remove(0);
    assert_eq!(attempt.state, AttemptState::Closed);
    assert_eq!(attempt.decision.host().unwrap().as_str(), "one");
    let log = attempt.outcome.unwrap().log.unwrap();
    let page = stage.logs.read(&log, &LogQuery::from_start()).await.unwrap();
    assert_eq!(page.records[0].bytes.as_ref(), b"hello\n");
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn many_jobs_share_a_host_that_takes_few() {
    let stage = Stage::new([json!({})]).limited(3);
    let dispatcher = stage.dispatch();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(stage.submit(stage.job(&["sleep 10s"])).await);
    }
    let began = stage.now();
    for id in &ids {
        assert_eq!(stage.finished(*id).await.status, JobStatus::Completed);
    }
    let took = stage.now().duration_since(began).as_secs();
    assert!((70..80).contains(&took), "20 jobs of 10 s, 3 at a time, took {took} s");
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_job_is_run_again_as_its_policy_says() {
    let rules = json!([{ "job": "*", "attempts": [1, 2], "then": { "script": ["exit 75"] } }]);
    let stage = Stage::new([json!({ "rules": rules })]);
    let dispatcher = stage.dispatch();
    let mut job = stage.job(&["exit 0"]);
    job.retry = Some(RetryPolicy::builder().max_attempts(3.try_into().unwrap()).exit_codes([75]).build());
    let id = stage.submit(job).await;
    let job = stage.finished(id).await;
    assert_eq!((job.status, job.exit_code, job.attempts, job.runs), (JobStatus::Completed, Some(0), 3, 3));
    stage.closed(id).await;
    let mut never = stage.job(&["exit 0"]);
    never.retry = Some(RetryPolicy::builder().max_attempts(2.try_into().unwrap()).exit_codes([75]).build());
    let never = stage.submit(never).await;
    let job = stage.finished(never).await;
    assert_eq!((job.status, job.exit_code, job.attempts, job.runs), (JobStatus::Failed, Some(75), 2, 2));
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn limits_stop_what_takes_too_long() {
    let stage = Stage::new([json!({ "jobs": { "pending": "5s" } })]);
    let dispatcher = stage.dispatch();
    let mut slow = stage.job(&["sleep 1h"]);
    slow.template.run_timeout = Some(Duration::from_secs(60));
    let slow = stage.submit(slow).await;
    let mut late = stage.job(&["sleep 1s"]);
    late.template.start_timeout = Some(Duration::from_secs(2));
    let late = stage.submit(late).await;
    let mut waits = stage.job(&["sleep 1s"]);
    waits.queue_timeout = Some(Duration::from_secs(30));
    waits.preferred_executor =
        Some(longshore_core::PreferredExecutor::builder().host("nowhere".parse().unwrap()).required(true).build());
    let waits = stage.submit(waits).await;
    assert_eq!(stage.finished(slow).await.status, JobStatus::TimedOut);
    assert_eq!(stage.finished(late).await.status, JobStatus::TimedOut);
    assert_eq!(stage.finished(waits).await.status, JobStatus::Failed);
    stage.closed(slow).await;
    stage.closed(late).await;
    dispatcher.abort();
}

/// However slow its image is, the host is as good as before for others.
#[tokio::test(start_paused = true)]
async fn a_preparation_that_takes_too_long_ends_the_job_and_says_nothing_of_the_host() {
    let stage = Stage::new([json!({ "jobs": { "prepare": "1h" } })]);
    let router = stage.router();
    let dispatcher = stage.dispatcher_over(&router);
    let running = tokio::spawn(async move { dispatcher.run().await });
    for _ in 0..4 {
        let mut late = stage.job(&["exit 0"]);
        late.template.start_timeout = Some(Duration::from_secs(120));
        let (id, submitted_at) = (stage.submit(late).await, stage.now());
        let job = stage.finished(id).await;
        assert_eq!((job.status, job.attempts, job.runs), (JobStatus::TimedOut, 1, 0));
        assert!(job.reason.unwrap().contains("not ready within the start timeout of 120s"));
        assert!(stage.now().duration_since(submitted_at).as_secs() < 180);
    }
    let host = "one".parse().unwrap();
    assert_eq!(router.snapshot().state(&host).unwrap().circuit, CircuitState::Closed);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_finds_no_place_in_time_has_timed_out() {
    let stage = Stage::new([json!({})]).limited(1);
    let dispatcher = stage.dispatch();
    let first = stage.submit(stage.job(&["sleep 10m"])).await;
    stage.until(first, |job| job.status == JobStatus::Running).await;
    let mut second = stage.job(&["sleep 1s"]);
    second.queue_timeout = Some(Duration::from_secs(30));
    let second = stage.submit(second).await;
    let job = stage.finished(second).await;
    assert_eq!((job.status, job.attempts), (JobStatus::TimedOut, 0));
    assert!(job.reason.unwrap().contains("found no place within its queue timeout of 30s"));
    assert_eq!(stage.finished(first).await.status, JobStatus::Completed);
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_its_provider_loses_is_lost_and_not_run_again() {
    let stage = Stage::new([json!({ "jobs": { "vanish": "5s" } })]);
    let dispatcher = stage.dispatch();
    let mut job = stage.job(&["sleep 1h"]);
    let all = [RetryOn::Infrastructure, RetryOn::Failure, RetryOn::Preemption];
    job.retry = Some(RetryPolicy::builder().max_attempts(3.try_into().unwrap()).on(all).build());
    let id = stage.submit(job).await;
    let job = stage.finished(id).await;
    assert_eq!((job.status, job.attempts), (JobStatus::Lost, 1));
    stage.closed(id).await;
    dispatcher.abort();
}
