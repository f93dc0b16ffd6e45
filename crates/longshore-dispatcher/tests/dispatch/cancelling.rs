//! Jobs that somebody ends.

use longshore_core::{JobId, JobStatus};
use longshore_dispatcher::DrainMode;
use longshore_store::{Actor, Intervention, JobStore, Pause, Request};
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

async fn cancel(stage: &Stage, id: JobId) {
    let request = Request::new(Actor::User("somebody".to_owned()), stage.now()).because("not needed");
    stage.store.intervene(id, Intervention::Cancel, request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_running_job_is_stopped() {
    let stage = Stage::new([json!({})]);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["sleep 1h"])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    cancel(&stage, id).await;
    assert_eq!(stage.finished(id).await.status, JobStatus::Cancelled);
    stage.closed(id).await;
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_job_is_cancelled_in_whatever_stage_it_is() {
    for after in [0, 1, 50, 100, 150, 900, 1_000, 1_100, 2_000, 2_900, 3_000, 3_100, 5_000] {
        let stage = Stage::new([json!({ "jobs": { "prepare": "1s", "launch": "1s", "pending": "1s" } })]);
        let dispatcher = stage.dispatch();
        let id = stage.submit(stage.job(&["sleep 1h"])).await;
        stage.clock.sleep(Duration::from_millis(after)).await;
        cancel(&stage, id).await;
        assert_eq!(stage.finished(id).await.status, JobStatus::Cancelled, "after {after} ms");
        stage.closed(id).await;
        dispatcher.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_host_takes_nothing_until_it_is_resumed() {
    let stage = Stage::new([json!({})]);
    let request = || Request::new(Actor::User("operator".to_owned()), stage.now()).because("new disks");
    stage.store.pause(Pause::new(Some("one".parse().unwrap()), request())).await.unwrap();
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["exit 0"])).await;
    stage.clock.sleep(Duration::from_secs(3600)).await;
    let job = stage.store.job(id).await.unwrap();
    assert_eq!((job.status, job.attempts), (JobStatus::Pending, 0));
    let reason = job.reason.unwrap();
    assert!(["one", "operator", "new disks"].iter().all(|word| reason.contains(word)), "{reason}");
    stage.store.resume(Some(&"one".parse().unwrap()), request()).await.unwrap();
    assert_eq!(stage.finished(id).await.status, JobStatus::Completed);
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_drained_dispatcher_leaves_what_runs_to_the_next() {
    let stage = Stage::new([json!({})]);
    let first = stage.dispatcher();
    let drain = first.drain();
    let running = tokio::spawn(async move { first.run().await });
    let id = stage.submit(stage.job(&["sleep 10m"])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    drain.begin(DrainMode::HandOver);
    running.await.unwrap().unwrap();
    assert_eq!(stage.store.attempts(id).await.unwrap()[0].session, None);
    let second = stage.dispatch();
    assert_eq!(stage.finished(id).await.status, JobStatus::Completed);
    assert_eq!(stage.launches(id).await, 1);
    stage.closed(id).await;
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_can_end_with_its_jobs_or_stop_them() {
    for (mode, status) in [(DrainMode::Finish, JobStatus::Completed), (DrainMode::StopJobs, JobStatus::Cancelled)] {
        let stage = Stage::new([json!({})]);
        let dispatcher = stage.dispatcher();
        let drain = dispatcher.drain();
        let running = tokio::spawn(async move { dispatcher.run().await });
        let id = stage.submit(stage.job(&["sleep 10m"])).await;
        stage.until(id, |job| job.status == JobStatus::Running).await;
        drain.begin(mode);
        let later = stage.submit(stage.job(&["exit 0"])).await;
        running.await.unwrap().unwrap();
        assert_eq!(stage.store.job(id).await.unwrap().status, status);
        assert_eq!(stage.store.job(later).await.unwrap().status, JobStatus::Pending);
        stage.closed(id).await;
    }
}
