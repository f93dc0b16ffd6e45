//! Time limits, held against the true time: none acts before it is due, whatever clocks show.

use futures::FutureExt;
use longshore_core::{
    Clock, ContainerExecutor, ExecutionHandle, ExecutionStatus, JobId, JobStatus, Timestamp, clock::later,
};
use longshore_store::JobStore;
use std::time::Duration;

use crate::world::{Place, World};

const RULE: &str = "no limit acts before it is due";

/// How far two dispatchers may be apart about the store's time: each asks until it is answered quickly, as far as it can be.
fn tolerance(world: &World) -> Duration {
    Duration::from_millis(2 * world.script.faults.store_latency + 50)
}

/// Something is about to be stopped for taking too long.
pub(crate) async fn check_stop(world: &World, place: &Place, handle: &ExecutionHandle) {
    let Ok(held) = world.store.attempt(handle.token).await else { return };
    let template = &held.attempt.request.plan.template;
    let started_at = match place.observer.check_status(handle).now_or_never() {
        Some(Ok(ExecutionStatus::Running { started_at })) => started_at,
        Some(Ok(ExecutionStatus::Terminated(end))) => end.started_at,
        // Where it is gone already nothing is stopped.
        Some(Ok(ExecutionStatus::NotFound)) => return,
        _ => None,
    };
    let claimed_at = world.ledger().claimed_at.get(&handle.token).copied();
    let due = |from: Option<Timestamp>, limit: Option<Duration>| Some(later(from?, limit?));
    let dues = [due(claimed_at, template.start_timeout), due(started_at, template.run_timeout)];
    let limit = later(world.clock.now(), tolerance(world));
    if dues.iter().flatten().all(|due| *due > limit) {
        let how = format!("{} is stopped, and is due at {dues:?}", handle.token);
        world.broken(RULE, how);
    }
}

/// Of these jobs, which waited, some may have been given up.
pub(crate) async fn check_queue(world: &World, waited: &[JobId]) {
    let limit = later(world.clock.now(), tolerance(world));
    for id in waited {
        let Ok(job) = world.store.job(*id).await else { continue };
        if job.status == JobStatus::TimedOut && job.queue_deadline().is_some_and(|due| due > limit) {
            world.broken(RULE, format!("{id} is given up, and is due at {:?}", job.queue_deadline()));
        }
    }
}
