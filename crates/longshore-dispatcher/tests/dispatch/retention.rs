//! How long jobs are kept.

use longshore_core::{ErrorKind, JobStatus};
use longshore_store::JobStore;
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn jobs_are_kept_for_as_long_as_it_is_said_and_then_removed_with_their_logs() {
    let mut stage = Stage::new([json!({})]);
    stage.retention = Some(24 * HOUR);
    let dispatcher = stage.dispatch();
    let loud = stage.submit(stage.job(&["bytes 100000"])).await;
    let long = stage.submit(stage.job(&["sleep 60h"])).await;
    stage.finished(loud).await;
    stage.closed(loud).await;
    let log = stage.store.attempts(loud).await.unwrap().remove(0).outcome.unwrap().log.unwrap();
    stage.clock.sleep(20 * HOUR).await;
    assert_eq!(stage.store.job(loud).await.unwrap().status, JobStatus::Completed);
    assert!(stage.logs.read(&log, &longshore_core::LogQuery::from_start()).await.is_ok());
    stage.clock.sleep(6 * HOUR).await;
    assert_eq!(stage.store.job(loud).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(stage.logs.read(&log, &longshore_core::LogQuery::from_start()).await.is_err());
    assert_eq!(stage.store.job(long).await.unwrap().status, JobStatus::Running, "what has not ended stays");
    dispatcher.abort();
}
