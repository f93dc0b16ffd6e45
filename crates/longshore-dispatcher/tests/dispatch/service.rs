//! Longshore inside a service.

use futures::StreamExt;
use longshore_core::{ErrorKind, JobId, JobStatus};
use longshore_dispatcher::{DrainMode, Longshore};
use longshore_store::{JobStore, MemoryStore};
use serde_json::json;
use std::{sync::Arc, time::Duration};

use crate::stage::Stage;

async fn service(stage: &Stage) -> Longshore {
    service_over(stage, &stage.store).await
}

async fn service_over(stage: &Stage, store: &MemoryStore) -> Longshore {
    Longshore::builder()
        .store(Arc::new(store.clone()))
        .logs(Arc::new(stage.logs.clone()))
        .router(stage.router())
        .clock(Arc::clone(&stage.clock))
        .start()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_service_submits_watches_and_waits() {
    let stage = Stage::new([json!({ "jobs": { "pending": "2s" } })]);
    let longshore = service(&stage).await;
    let id = longshore.submit(stage.job(&["sleep 1m", "exit 7"])).await.unwrap();
    let moves = longshore.watch(id).await.unwrap().map(|record| record.unwrap().status);
    let mut moves: Vec<JobStatus> = moves.collect().await;
    moves.dedup();
    assert_eq!(moves, [JobStatus::Pending, JobStatus::Launching, JobStatus::Running, JobStatus::Failed]);
    assert_eq!(longshore.wait(id).await.unwrap().exit_code, Some(7));
    longshore.shutdown(DrainMode::HandOver).await.unwrap();
    longshore.shutdown(DrainMode::HandOver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_service_cancels_and_shuts_down_when_all_has_ended() {
    let stage = Stage::new([json!({})]);
    let longshore = service(&stage).await;
    let cancelled = longshore.submit(stage.job(&["sleep 1h"])).await.unwrap();
    let runs = longshore.submit(stage.job(&["sleep 1m"])).await.unwrap();
    stage.until(runs, |job| job.status == JobStatus::Running).await;
    longshore.cancel(cancelled, "somebody").await.unwrap();
    assert_eq!(longshore.wait(cancelled).await.unwrap().status, JobStatus::Cancelled);
    let again = longshore.cancel(runs, "somebody").await;
    assert!(again.is_ok());
    longshore.shutdown(DrainMode::Finish).await.unwrap();
    assert_eq!(longshore.job(runs).await.unwrap().status, JobStatus::Cancelled);
    let unknown = longshore.job(JobId::new(stage.now())).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn services_with_stores_of_their_own_leave_each_others_jobs_alone() {
    let stage = Stage::new([json!({})]);
    let longshore = service(&stage).await;
    let id = longshore.submit(stage.job(&["sleep 6h"])).await.unwrap();
    stage.until(id, |job| job.status == JobStatus::Running).await;
    assert_eq!(stage.providers[0].executions()[0].owner, stage.store.owner().await.unwrap());
    // Until what a store does not know would be old enough to be swept.
    stage.clock.sleep(Duration::from_secs(2 * 3600)).await;
    let other = service_over(&stage, &MemoryStore::with_clock(Arc::clone(&stage.clock))).await;
    assert_eq!(longshore.wait(id).await.unwrap().status, JobStatus::Completed);
    other.shutdown(DrainMode::HandOver).await.unwrap();
    longshore.shutdown(DrainMode::HandOver).await.unwrap();
}
