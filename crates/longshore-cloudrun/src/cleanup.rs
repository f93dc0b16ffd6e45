//! Removing what a launch created, and definitions that nobody uses.

use longshore_core::{Clock, Error, ErrorKind, HostName, Owner, Result, clock::later, clock::since};
use std::{collections::HashSet, time::Duration};

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
/// How long after its launch's deadline a job is never collected: a launch may still be under way.
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
    while let Some(job) = api.job(name).await? {
        if clock.now() >= until {
            // Marked as removed, it comes back no more.
            return if job.delete_time.is_some() { Ok(()) } else { Err(still_there(name)) };
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

fn still_there(name: &str) -> Error {
    let message = format!("the job {name} is still there {LONGEST:?} after its removal was asked for; ask again");
    Error::new(ErrorKind::Unavailable, message)
}

/// False when there is nothing to remove. Somebody else may be removing it too.
async fn delete(api: &Api, name: &str) -> Result<bool> {
    match api.delete_job(name).await {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(true),
        other => other,
    }
}

/// Removes the owner's jobs on this host that nobody can use any more: their launch can't be under way, and they have no
/// execution, or one that somebody has removed.
pub(crate) async fn collect(api: &Api, clock: &dyn Clock, host: &HostName, owner: &Owner) -> Result<u64> {
    let now = clock.now();
    let is_settled = |job: Job| {
        let identity = Identity::read(&job.labels, &job.annotations, host)?;
        let is_over = since(now, identity.metadata.deadline) > MARGIN;
        (identity.owner == *owner && is_over && job.delete_time.is_none()).then(|| Settled::of(&job))
    };
    let settled = api.jobs(is_settled).await?;
    let known = if settled.iter().any(|job| job.execution.is_some()) {
        api.executions(|_, _| false, |execution| Some(execution.short_name().to_owned())).await?
    } else {
        Vec::new()
    };
    let known: HashSet<String> = known.into_iter().collect();
    let mut removed = 0;
    for job in settled {
        if job.has_its_execution(api, &known).await? {
            continue;
        }
        remove_job(api, clock, &job.name).await?;
        removed += 1;
    }
    Ok(removed)
}

/// A job whose launch is long over.
#[derive(Debug)]
struct Settled {
    name: String,
    execution: Option<String>,
}

impl Settled {
    fn of(job: &Job) -> Self {
        let execution = job.latest_created_execution.as_ref().map(|it| short(&it.name).to_owned());
        Self { name: short(&job.name).to_owned(), execution: execution.filter(|name| !name.is_empty()) }
    }

    /// What a list leaves out may have moved between its pages: absence is told by name only.
    async fn has_its_execution(&self, api: &Api, known: &HashSet<String>) -> Result<bool> {
        match &self.execution {
            None => Ok(false),
            Some(execution) if known.contains(execution) => Ok(true),
            Some(execution) => Ok(api.execution(&self.name, execution).await?.is_some()),
        }
    }
}
