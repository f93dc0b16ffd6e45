//! Dispatchers that die, and those that take over.

use longshore_core::{ByteSize, JobStatus};
use longshore_store::{Actor, Intervention, JobStore, Request, SessionId};
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn whatever_instant_a_dispatcher_dies_in_the_next_carries_on() {
    for after in (0..7_500).step_by(125) {
        let stage =
            Stage::new([json!({ "latency": "100ms", "jobs": { "prepare": "1s", "launch": "1s", "pending": "1s" } })]);
        let first = stage.dispatch();
        let id = stage.submit(stage.job(&["print once", "sleep 2s", "exit 4"])).await;
        stage.clock.sleep(Duration::from_millis(after)).await;
        first.abort();
        let second = stage.dispatch();
        let job = stage.finished(id).await;
        assert_eq!((job.status, job.exit_code, job.attempts), (JobStatus::Failed, Some(4), 1), "after {after} ms");
        assert_eq!(stage.launches(id).await, 1, "after {after} ms");
        stage.closed(id).await;
        second.abort();
    }
}

/// Sessions that come and go all the time, as those of people's commands do.
async fn come_and_go(stage: &Stage) -> std::convert::Infallible {
    loop {
        let session = SessionId::new(stage.now());
        stage.store.open_session(session, "somebody").await.unwrap();
        stage.clock.sleep(Duration::from_millis(700)).await;
        stage.store.close_session(session).await.unwrap();
        stage.clock.sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_dead_are_taken_over_however_many_others_come_and_go() {
    let stage = Stage::new([json!({})]);
    let first = stage.dispatch();
    let id = stage.submit(stage.job(&["sleep 10s", "exit 4"])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    first.abort();
    let died = stage.now();
    let second = stage.dispatch();
    let job = tokio::select! {
        job = stage.finished(id) => job,
        never = come_and_go(&stage) => match never {},
    };
    assert_eq!((job.status, job.exit_code), (JobStatus::Failed, Some(4)));
    let took = stage.now().duration_since(died).as_secs();
    assert!((30..=60).contains(&took), "taken over after {took} s of a lease of 30 s");
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn a_job_settled_by_hand_is_lost_and_what_is_seen_of_it_is_stopped() {
    let stage = Stage::new([json!({})]);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["sleep 1h"])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    let request = Request::new(Actor::User("operator".to_owned()), stage.now()).because("the rack burnt down");
    let job = stage.store.intervene(id, Intervention::SettleLost, request).await.unwrap();
    assert_eq!((job.status, job.reason.as_deref()), (JobStatus::Lost, Some("the rack burnt down")));
    stage.closed(id).await;
    assert!(stage.kinds(id).await.contains(&"noted".to_owned()), "{:?}", stage.kinds(id).await);
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stays_silent_for_too_long_loses_its_jobs() {
    let mut stage = Stage::new([json!({ "outages": [{ "from": "1m", "to": "9h" }] })]);
    stage.lost_after = Duration::from_secs(7 * 3600);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["sleep 1h"])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    stage.clock.sleep(Duration::from_secs(6 * 3600)).await;
    assert_eq!(stage.store.job(id).await.unwrap().status, JobStatus::Running);
    stage.clock.sleep(Duration::from_secs(90 * 60)).await;
    assert_eq!(stage.store.job(id).await.unwrap().status, JobStatus::Lost);
    // When it answers again, what is left is removed.
    stage.clock.sleep(Duration::from_secs(2 * 3600)).await;
    stage.closed(id).await;
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn what_the_dead_have_kept_of_a_log_and_nobody_refers_to_is_removed() {
    let stage = Stage::new([json!({})]);
    let first = stage.dispatch();
    let line = format!("print {}", "x".repeat(300_000));
    let id = stage.submit(stage.job(&["sleep 5s", &line])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    first.abort();
    stage.clock.sleep(Duration::from_secs(6)).await;
    // Another cap makes another log.
    let attempt = stage.store.attempts(id).await.unwrap().remove(0);
    let table = stage.table();
    let (executor, handle) = (&table.hosts()[0].executor, attempt.handle.as_ref().unwrap());
    stage.logs.save(executor.as_ref(), handle, ByteSize::from_bytes(200_000).unwrap()).await.unwrap();
    let second = stage.dispatch();
    assert_eq!(stage.finished(id).await.status, JobStatus::Completed);
    stage.closed(id).await;
    let kept = stage.store.attempts(id).await.unwrap().remove(0).outcome.unwrap().log;
    assert_eq!(stage.logs.keep_only(attempt.token(), kept.as_ref()).await.unwrap(), 0);
    second.abort();
}
