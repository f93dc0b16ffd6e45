//! Removing what a launch created, and definitions that nobody uses.

use longshore_core::{Clock, Error, ErrorKind, HostName, Owner, Result, clock::later, clock::since};
use std::time::Duration;

use crate::{
    client::Api,
    mapping::{
        answers::{Job, short},
        identity::Identity,
    },
    status::{Named, Statuses},
};

/// How long the removal of a job is waited for.
const LONGEST: Duration = Duration::from_secs(90);
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How long after its launch's deadline a job without an execution is left alone: a launch may still be under way.
const MARGIN: Duration = Duration::from_secs(600);

/// Removes an execution that has ended, with its job.
pub(crate) async fn cleanup(
    api: &Api,
    statuses: &Statuses,
    clock: &dyn Clock,
    host: &HostName,
    named: &Named,
) -> Result<()> {
    if statuses.of(named).await?.is_live() {
        return Err(Error::new(ErrorKind::StillRunning, "the execution still runs; stop it first"));
    }
    let Some(job) = api.job(&named.job()).await? else { return Ok(()) };
    let identity = Identity::read(&job.labels, &job.annotations, host);
    if identity.is_none_or(|identity| identity.token != named.token) {
        let message = format!("the job {} is not this host's; it is left alone", named.job());
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    remove_job(api, clock, &named.job()).await
}

/// Removes a job with its executions, and waits until it is gone: its name is free then.
pub(crate) async fn remove_job(api: &Api, clock: &dyn Clock, name: &str) -> Result<()> {
    if !delete(api, name).await? {
        return Ok(());
    }
    let until = later(clock.now(), LONGEST);
    let mut pause = FIRST_PAUSE;
    while api.job(name).await?.is_some_and(|job| job.delete_time.is_none()) {
        if clock.now() >= until {
            let message =
                format!("the job {name} is still there {LONGEST:?} after its removal was asked for; ask again");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// False when there is nothing to remove. Somebody else may be removing it too.
async fn delete(api: &Api, name: &str) -> Result<bool> {
    match api.delete_job(name).await {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(true),
        other => other,
    }
}

/// Removes the owner's jobs on this host that have no execution, and whose launch can't be under way any more.
pub(crate) async fn collect(api: &Api, clock: &dyn Clock, host: &HostName, owner: &Owner) -> Result<u64> {
    let now = clock.now();
    let is_unused = |job: Job| {
        let identity = Identity::read(&job.labels, &job.annotations, host)?;
        let is_over = since(now, identity.metadata.deadline) > MARGIN;
        let is_unused = job.latest_created_execution.is_none() && job.delete_time.is_none();
        (identity.owner == *owner && is_over && is_unused).then(|| short(&job.name).to_owned())
    };
    let unused = api.jobs(false, is_unused).await?;
    let mut removed = 0;
    for name in unused {
        remove_job(api, clock, &name).await?;
        removed += 1;
    }
    Ok(removed)
}
