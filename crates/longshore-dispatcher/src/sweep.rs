//! What lies at providers and belongs to nobody: executions that the store does not know, or has long closed.

use futures::FutureExt;
use longshore_core::{
    ContainerExecutor, ErrorKind, ExecutionStatus, LaunchToken, OwnedExecution, Owner, Result, StopReason, StopRequest,
    Timestamp,
    clock::{earlier, later, since},
};
use longshore_store::{AttemptState, Change, JobStore, What};
use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{report, retention::retire, scene::Scene};

/// How often is swept.
const EVERY: Duration = Duration::from_secs(3600);
const GRACE: Duration = Duration::from_secs(10);

/// Something of ours that belongs to no open attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// What it is.
    pub execution: OwnedExecution,
    /// Whether the store knows its attempt; one that is not known may be another store's, when two have the same owner.
    pub known: bool,
}

/// Finds what the owner has on a host and no open attempt of the store accounts for. What the store does not know counts
/// only when it is older than `older_than`.
///
/// # Errors
/// As the executor's list and the store answer.
pub async fn find_leftovers(
    store: &dyn JobStore,
    executor: &dyn ContainerExecutor,
    owner: &Owner,
    older_than: Duration,
    now: Timestamp,
) -> Result<Vec<Leftover>> {
    let owned = executor.list_owned(owner).await?;
    // Asked after the list: what is launched in between is in neither.
    let tokens: Vec<LaunchToken> = owned.iter().map(|owned| owned.handle.token).collect();
    let states = store.attempt_states(&tokens).await?;
    let leftovers = owned.into_iter().zip(states).filter_map(|(execution, state)| match state {
        Some(AttemptState::Closed) => Some(Leftover { execution, known: true }),
        None if since(now, execution.created_at) >= older_than => Some(Leftover { execution, known: false }),
        _ => None,
    });
    Ok(leftovers.collect())
}

/// Removes a leftover, and stops it first where it runs.
///
/// # Errors
/// As the executor answers.
pub async fn remove_leftover(executor: &dyn ContainerExecutor, leftover: &Leftover) -> Result<()> {
    put_down(executor, leftover).await?;
    clear(executor, leftover).await
}

/// Stops a leftover that runs, and says in words how it ended, where that is known. What was made and never started can't
/// be stopped.
async fn put_down(executor: &dyn ContainerExecutor, leftover: &Leftover) -> Result<Option<String>> {
    match executor.check_status(&leftover.execution.handle).await? {
        ExecutionStatus::NotFound | ExecutionStatus::Pending => Ok(None),
        ExecutionStatus::Terminated(end) => Ok(Some(end.cause.to_string())),
        _ => stop(executor, leftover).await,
    }
}

async fn stop(executor: &dyn ContainerExecutor, leftover: &Leftover) -> Result<Option<String>> {
    let stop = StopRequest::new(StopReason::Cancelled, GRACE);
    match executor.stop_job(&leftover.execution.handle, &stop).await {
        Ok(end) => Ok(Some(end.cause.to_string())),
        Err(error) if [ErrorKind::NotFound, ErrorKind::Unsupported].contains(&error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn clear(executor: &dyn ContainerExecutor, leftover: &Leftover) -> Result<()> {
    let handle = &leftover.execution.handle;
    match executor.cleanup(handle).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // It has started only now.
        Err(error) if error.kind() == ErrorKind::StillRunning => {
            stop(executor, leftover).await?;
            executor.cleanup(handle).await
        }
        cleaned => cleaned,
    }
}

/// Sweeps every host and removes old jobs, at the beginning of the session and then now and again, when it is also looked
/// for what nobody holds.
pub(crate) async fn run(scene: Arc<Scene>) {
    loop {
        let hosts: Vec<_> = scene.router().snapshot().table().hosts().iter().map(|it| it.host.name.clone()).collect();
        for host in hosts {
            if let Ok(executor) = scene.executor(&host) {
                // An executor that breaks keeps no other host from being swept.
                match AssertUnwindSafe(sweep(&scene, executor.as_ref())).catch_unwind().await {
                    Err(_) => report::broke_while_swept(&host),
                    Ok(Err(error)) if error.kind() != ErrorKind::Unsupported => {
                        report::unswept(&host, &error);
                    }
                    Ok(_) => {}
                }
            }
        }
        if let Err(error) = remove_old(&scene).await {
            report::detail(&error, "old jobs can't be removed now");
        }
        let again_at = later(scene.clock().now(), EVERY);
        while scene.clock().now() < again_at {
            scene.clock().sleep(since(again_at, scene.clock().now())).await;
        }
        // Nobody tells of attempts whose host nobody serves any more.
        scene.wakes.unserved.store(true, Ordering::Relaxed);
        scene.wakes.freed.notify_one();
    }
}

/// Removes the jobs that have been kept for long enough.
async fn remove_old(scene: &Scene) -> Result<()> {
    let Some(retention) = scene.settings().retention else { return Ok(()) };
    let before = earlier(scene.clock().now(), retention);
    let retired = retire(scene.store(), scene.parts.logs.as_ref(), before).await?;
    report::retired(&retired);
    Ok(())
}

async fn sweep(scene: &Scene, executor: &dyn ContainerExecutor) -> Result<()> {
    let settings = scene.settings();
    let now = scene.clock().now();
    let leftovers = find_leftovers(scene.store(), executor, &settings.owner, settings.orphaned_after, now).await?;
    let mut swept = Ok(());
    for leftover in leftovers {
        // What can't be removed keeps nothing else from being.
        swept = swept.and(take_away(scene, executor, &leftover).await);
    }
    swept.and(executor.collect(&settings.owner).await.map(drop))
}

async fn take_away(scene: &Scene, executor: &dyn ContainerExecutor, leftover: &Leftover) -> Result<()> {
    let (token, known) = (leftover.execution.handle.token, leftover.known);
    tracing::warn!(%token, known, "removing what no attempt accounts for");
    let end = put_down(executor, leftover).await?;
    if known && let Some(end) = end {
        // The evidence first: nobody can ask afterwards.
        let note = What::Noted(format!("it was found later, and removed: {end}"));
        scene.recorder.hand_in(Change::new(token, scene.clock().now(), note)).stored().await?;
    }
    clear(executor, leftover).await
}
