//! Configurations that are reloaded while jobs run.

use longshore_core::{HostName, JobStatus, route::RoutingTable};
use longshore_dispatcher::DrainMode;
use longshore_store::{Actor, AttemptState, Intervention, JobStore, Request};
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

/// The other hosts.
fn without(stage: &Stage, host: &HostName) -> RoutingTable {
    let others = stage.table().hosts().iter().filter(|it| it.host.name != *host).cloned().collect();
    RoutingTable::builder().hosts(others).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_runs_on_a_host_that_is_not_configured_any_more_waits_for_it() {
    let stage = Stage::new([json!({}), json!({})]);
    let router = stage.router();
    let dispatcher = stage.dispatcher_over(&router);
    let running = tokio::spawn(async move { dispatcher.run().await });
    let id = stage.submit(stage.job(&["sleep 10m", "exit 3"])).await;
    let job = stage.until(id, |job| job.status == JobStatus::Running).await;
    let host = job.host.unwrap();
    router.reload(without(&stage, &host));
    // Others go where there is a host, and nothing is concluded about what runs.
    let other = stage.submit(stage.job(&["exit 0"])).await;
    assert_ne!(stage.finished(other).await.host, Some(host));
    stage.clock.sleep(Duration::from_secs(3600)).await;
    assert_eq!(stage.store.job(id).await.unwrap().status, JobStatus::Running);
    router.reload(stage.table());
    let job = stage.finished(id).await;
    assert_eq!((job.status, job.exit_code, job.attempts), (JobStatus::Failed, Some(3), 1));
    assert_eq!(stage.launches(id).await, 1);
    stage.closed(id).await;
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_cancelled_while_its_host_is_gone_is_stopped_when_it_comes_back() {
    let stage = Stage::new([json!({})]);
    let router = stage.router();
    let dispatcher = stage.dispatcher_over(&router);
    let running = tokio::spawn(async move { dispatcher.run().await });
    let id = stage.submit(stage.job(&["sleep 10h"])).await;
    let job = stage.until(id, |job| job.status == JobStatus::Running).await;
    router.reload(without(&stage, &job.host.unwrap()));
    let request = Request::new(Actor::User("somebody".to_owned()), stage.now());
    stage.store.intervene(id, Intervention::Cancel, request).await.unwrap();
    stage.clock.sleep(Duration::from_secs(3600)).await;
    assert_eq!(stage.store.job(id).await.unwrap().status, JobStatus::Running);
    router.reload(stage.table());
    assert_eq!(stage.finished(id).await.status, JobStatus::Cancelled);
    stage.closed(id).await;
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_and_can_not_be_removed_now_is_left_to_the_next() {
    let stage = Stage::new([json!({})]);
    let dead = stage.dispatch();
    let id = stage.submit(stage.job(&["sleep 30s"])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    dead.abort();
    stage.fence_all().await;
    // Whoever takes over removes nothing before a former holder can launch no more.
    let router = stage.router();
    let next = stage.dispatcher_over(&router);
    let (drain, mut idle) = (next.drain(), next.idle());
    let running = tokio::spawn(async move { next.run().await });
    let job = stage.finished(id).await;
    router.reload(without(&stage, &job.host.unwrap()));
    idle.wait_for(|idle| *idle).await.unwrap();
    drain.begin(DrainMode::Finish);
    running.await.unwrap().unwrap();
    assert_eq!(stage.store.attempts(id).await.unwrap()[0].state, AttemptState::Ended);
    let last = stage.dispatch();
    stage.closed(id).await;
    last.abort();
}
