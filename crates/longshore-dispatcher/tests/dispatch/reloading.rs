//! Configurations that are reloaded while jobs run.

use longshore_core::{HostName, JobId, JobStatus, route::RoutingTable};
use longshore_dispatcher::DrainMode;
use longshore_store::{Actor, AttemptState, Intervention, JobStore, Request, SessionId};
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

/// The other hosts.
fn without(stage: &Stage, host: &HostName) -> RoutingTable {
    let others = stage.table().hosts().iter().filter(|it| it.host.name != *host).cloned().collect();
    RoutingTable::builder().hosts(others).build().unwrap()
}

/// Jobs on two hosts, whose dispatcher has died.
async fn left_behind(stage: &Stage, script: &[&str]) -> [JobId; 2] {
    let first = stage.dispatch();
    let ids = [stage.submit(stage.job(script)).await, stage.submit(stage.job(script)).await];
    for id in ids {
        stage.until(id, |job| job.status == JobStatus::Running).await;
    }
    first.abort();
    stage.fence_all().await;
    ids
}

fn only_host(stage: &Stage, host: &HostName) -> RoutingTable {
    let hosts = stage.table().hosts().iter().filter(|it| it.host.name == *host).cloned().collect();
    RoutingTable::builder().hosts(hosts).build().unwrap()
}

async fn holder(stage: &Stage, id: JobId) -> Option<SessionId> {
    stage.store.attempts(id).await.unwrap().remove(0).session
}

#[tokio::test(start_paused = true)]
async fn what_runs_on_hosts_of_others_is_left_to_them() {
    let stage = Stage::new([json!({}), json!({})]).limited(1);
    let [here, there] = left_behind(&stage, &["sleep 30m", "exit 3"]).await;
    let host = stage.store.job(here).await.unwrap().host.unwrap();
    let router = stage.router();
    router.reload(only_host(&stage, &host));
    let dispatcher = stage.dispatcher_over(&router);
    let running = tokio::spawn(async move { dispatcher.run().await });
    stage.clock.sleep(Duration::from_secs(60)).await;
    assert!(holder(&stage, here).await.is_some());
    assert_eq!(holder(&stage, there).await, None);
    // Once the host is served here, it is taken up.
    router.reload(stage.table());
    stage.clock.sleep(Duration::from_secs(5)).await;
    assert!(holder(&stage, there).await.is_some());
    for id in [here, there] {
        assert_eq!((stage.finished(id).await.exit_code, stage.launches(id).await), (Some(3), 1));
    }
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_without_work_takes_up_what_a_host_that_comes_back_has_left() {
    let stage = Stage::new([json!({}), json!({})]).limited(1);
    let [here, there] = left_behind(&stage, &["sleep 10h", "exit 3"]).await;
    let router = stage.router();
    router.reload(RoutingTable::builder().hosts(Vec::new()).build().unwrap());
    let dispatcher = stage.dispatcher_over(&router);
    let running = tokio::spawn(async move { dispatcher.run().await });
    // No sweep is near.
    stage.clock.sleep(Duration::from_secs(3 * 3600 + 1_800)).await;
    assert_eq!((holder(&stage, here).await, holder(&stage, there).await), (None, None));
    router.reload(stage.table());
    stage.clock.sleep(Duration::from_secs(5)).await;
    assert!(holder(&stage, here).await.is_some() && holder(&stage, there).await.is_some());
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn what_nobody_serves_any_more_is_lost_in_the_end() {
    let mut stage = Stage::new([json!({}), json!({})]).limited(1);
    stage.lost_after = Duration::from_secs(7 * 3600);
    let [here, there] = left_behind(&stage, &["sleep 100h"]).await;
    let host = stage.store.job(here).await.unwrap().host.unwrap();
    let router = stage.router();
    router.reload(only_host(&stage, &host));
    let dispatcher = stage.dispatcher_over(&router);
    let running = tokio::spawn(async move { dispatcher.run().await });
    stage.clock.sleep(Duration::from_secs(6 * 3600)).await;
    assert_eq!(holder(&stage, there).await, None);
    stage.clock.sleep(Duration::from_secs(11 * 3600)).await;
    assert_eq!(stage.store.job(there).await.unwrap().status, JobStatus::Lost);
    assert_eq!(stage.store.job(here).await.unwrap().status, JobStatus::Running);
    running.abort();
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
    let idle = idle.wait_for(|idle| *idle);
    tokio::time::timeout(Duration::from_secs(600), idle).await.expect("it waits for the removal").unwrap();
    drain.begin(DrainMode::Finish);
    running.await.unwrap().unwrap();
    assert_eq!(stage.store.attempts(id).await.unwrap()[0].state, AttemptState::Ended);
    let last = stage.dispatch();
    stage.closed(id).await;
    last.abort();
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_host_is_looked_at_again_under_a_new_configuration() {
    let stage = Stage::new([json!({}), json!({})]).limited(1);
    let router = stage.router();
    router.reload(only_host(&stage, &"one".parse().unwrap()));
    let dispatcher = stage.dispatcher_over(&router);
    let running = tokio::spawn(async move { dispatcher.run().await });
    let first = stage.submit(stage.job(&["sleep 10h"])).await;
    stage.until(first, |job| job.status == JobStatus::Running).await;
    let second = stage.submit(stage.job(&["sleep 10h"])).await;
    stage.clock.sleep(Duration::from_secs(5_000)).await;
    assert_eq!(stage.store.job(second).await.unwrap().status, JobStatus::Pending);
    router.reload(stage.table());
    stage.clock.sleep(Duration::from_secs(5)).await;
    let job = stage.store.job(second).await.unwrap();
    assert_eq!((job.status, job.host.unwrap().as_str()), (JobStatus::Running, "two"));
    running.abort();
}
