//! When there is nothing to do: what others have left is to do.

use longshore_core::JobStatus;
use longshore_dispatcher::DrainMode;
use longshore_store::JobStore;
use serde_json::json;
use std::time::Duration;

use crate::stage::Stage;

/// A stage on which a dead dispatcher has left a job that runs for ten minutes.
async fn deserted() -> (Stage, longshore_core::JobId) {
    let stage = Stage::new([json!({})]);
    let dead = stage.dispatch();
    let id = stage.submit(stage.job(&["sleep 10m"])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    dead.abort();
    stage.fence_all().await;
    (stage, id)
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_is_not_idle_before_it_has_done_what_the_dead_have_left() {
    let (mut stage, id) = deserted().await;
    // No host is to be asked first, so that nothing holds up the first look at the queue.
    stage.disable();
    let next = stage.dispatcher();
    let (drain, mut idle) = (next.drain(), next.idle());
    let running = tokio::spawn(async move { next.run().await });
    idle.wait_for(|idle| *idle).await.unwrap();
    assert_eq!(stage.store.job(id).await.unwrap().status, JobStatus::Completed);
    drain.begin(DrainMode::Finish);
    running.await.unwrap().unwrap();
    stage.closed(id).await;
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_that_is_to_finish_at_once_finishes_what_the_dead_have_left() {
    let (stage, id) = deserted().await;
    let next = stage.dispatcher();
    next.drain().begin(DrainMode::Finish);
    next.run().await.unwrap();
    assert_eq!(stage.store.job(id).await.unwrap().status, JobStatus::Completed);
    stage.closed(id).await;
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_that_is_to_stop_its_jobs_leaves_those_of_the_dead() {
    let (stage, id) = deserted().await;
    let next = stage.dispatcher();
    next.drain().begin(DrainMode::StopJobs);
    next.run().await.unwrap();
    let job = stage.store.job(id).await.unwrap();
    assert_eq!((job.status, job.cancel), (JobStatus::Running, None));
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_is_idle_again_after_each_job() {
    let stage = Stage::new([json!({})]);
    let dispatcher = stage.dispatcher();
    let mut idle = dispatcher.idle();
    let running = tokio::spawn(async move { dispatcher.run().await });
    idle.wait_for(|idle| *idle).await.unwrap();
    for _ in 0..3 {
        let id = stage.submit(stage.job(&["sleep 1m"])).await;
        stage.until(id, |job| job.status == JobStatus::Running).await;
        assert!(!*idle.borrow());
        idle.wait_for(|idle| *idle).await.unwrap();
        assert_eq!(stage.store.job(id).await.unwrap().status, JobStatus::Completed);
    }
    // Nothing happens where there is nothing to do.
    stage.clock.sleep(Duration::from_secs(24 * 3600)).await;
    assert!(*idle.borrow());
    running.abort();
}
