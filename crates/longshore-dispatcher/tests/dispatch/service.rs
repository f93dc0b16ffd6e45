//! Longshore inside a service.

use futures::StreamExt;
use longshore_core::{ErrorKind, JobId, JobStatus};
use longshore_dispatcher::{DrainMode, Longshore};
use serde_json::json;
use std::sync::Arc;

use crate::stage::Stage;

async fn service(stage: &Stage) -> Longshore {
    Longshore::builder()
        .store(Arc::new(stage.store.clone()))
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
