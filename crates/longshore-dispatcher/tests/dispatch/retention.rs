//! How long jobs are kept.

use futures::TryStreamExt;
use longshore_core::{ErrorKind, JobStatus, LaunchToken};
use longshore_store::JobStore;
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

const HOUR: Duration = Duration::from_secs(3600);

async fn kept_logs(stage: &Stage) -> Vec<LaunchToken> {
    stage.logs.tokens().try_collect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn jobs_are_kept_for_as_long_as_it_is_said_and_then_removed_with_their_logs() {
    let mut stage = Stage::new([json!({})]);
    stage.retention = Some(24 * HOUR);
    let dispatcher = stage.dispatch();
    let loud = stage.submit(stage.job(&["bytes 100000"])).await;
    let long = stage.submit(stage.job(&["sleep 60h"])).await;
    stage.finished(loud).await;
    stage.closed(loud).await;
    stage.clock.sleep(20 * HOUR).await;
    assert_eq!(stage.store.job(loud).await.unwrap().status, JobStatus::Completed);
    assert_eq!(kept_logs(&stage).await, [LaunchToken::new(loud, 1)]);
    stage.clock.sleep(6 * HOUR).await;
    assert_eq!(stage.store.job(loud).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(kept_logs(&stage).await, []);
    assert_eq!(stage.store.job(long).await.unwrap().status, JobStatus::Running, "what has not ended stays");
    dispatcher.abort();
}
