//! Configurations that are reloaded while jobs run.

use longshore_core::{JobStatus, route::RoutingTable};
use longshore_store::JobStore;
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn what_runs_on_a_host_that_is_not_configured_any_more_waits_for_it() {
    let stage = Stage::new([json!({}), json!({})]);
    let router = stage.router();
    let dispatcher = stage.dispatcher_over(&router);
    let running = tokio::spawn(async move { dispatcher.run().await });
    let id = stage.submit(stage.job(&["sleep 10m", "exit 3"])).await;
    let job = stage.until(id, |job| job.status == JobStatus::Running).await;
    let host = job.host.unwrap();
    let others: Vec<_> = stage.table().hosts().iter().filter(|it| it.host.name != host).cloned().collect();
    router.reload(RoutingTable::builder().hosts(others).build().unwrap());
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
