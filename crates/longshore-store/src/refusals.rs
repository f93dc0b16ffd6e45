//! What every store refuses, and in which words.

use longshore_core::{ContainerJob, Error, ErrorKind, JobId, JobStatus, LaunchToken, Result};

use crate::{Actor, AttemptRecord, AttemptState, Change, JobArchive, JobRecord, Placement, SessionId, Submission};

pub(crate) fn no_such_job(id: JobId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no job {id} in this store"))
}

pub(crate) fn no_such_attempt(token: LaunchToken) -> Error {
    let message = format!("there is no attempt {} of job {} in this store", token.attempt(), token.job());
    Error::new(ErrorKind::NotFound, message)
}

pub(crate) fn lease_lost(session: SessionId) -> Error {
    let message = format!("session {session} was fenced off or closed; what it held is now another's");
    Error::new(ErrorKind::LeaseLost, message)
}

/// The submission's key or id stands for a job that asks for something else.
pub(crate) fn another_job(submission: &Submission, known: JobId) -> Error {
    let message = match &submission.idempotency_key {
        Some(key) => {
            format!("the idempotency key {key} stands for job {known}, which asks for something else; use another key")
        }
        None => format!("job {known} is there already and asks for something else; give the new one an id of its own"),
    };
    Error::new(ErrorKind::Conflict, message).with_operation("submit")
}

pub(crate) fn only_unfinished(record: &JobRecord) -> Result<()> {
    if record.status.is_terminal() { Err(refused(record, "only a job that has not ended can be")) } else { Ok(()) }
}

pub(crate) fn only_pending(record: &JobRecord) -> Result<()> {
    if record.status == JobStatus::Pending { Ok(()) } else { Err(refused(record, "only a pending job can be")) }
}

pub(crate) fn only_launched(record: &JobRecord) -> Result<()> {
    let launched = matches!(record.status, JobStatus::Launching | JobStatus::Running);
    if launched { Ok(()) } else { Err(refused(record, "only a job that is launching or running can be")) }
}

fn refused(record: &JobRecord, rule: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("job {} is {}; {rule}", record.id(), record.status))
}

pub(crate) fn stale(change: &Change, state: AttemptState) -> Error {
    let message = format!("attempt {} is {state:?} now, which this change does not follow on", change.token);
    Error::new(ErrorKind::Conflict, message).with_operation("record")
}

/// An intent is for the attempt that comes next, or a job could have two attempts of one number.
pub(crate) fn only_next_attempts(jobs: &[JobRecord], placements: &[Placement]) -> Result<()> {
    for (job, placement) in jobs.iter().zip(placements) {
        let next = LaunchToken::new(job.id(), job.attempts + 1);
        if let Placement::Launch(intent) = placement
            && intent.request.token != next
        {
            let message = format!("the intent is for {}, and the job's next attempt is {next}", intent.request.token);
            return Err(Error::new(ErrorKind::Unexpected, message).with_operation("claim"));
        }
    }
    Ok(())
}

/// An archive holds the attempts of its own job, each once, in their order, and none that the job does not know of.
pub(crate) fn only_whole(archive: &JobArchive) -> Result<()> {
    let id = archive.job.id();
    let mut last = 0;
    for token in archive.attempts.iter().map(AttemptRecord::token) {
        if token.job() != id || token.attempt() <= last || token.attempt() > archive.job.attempts {
            let message =
                format!("the archive of job {id} holds attempt {token} where it can't be; nothing was imported");
            return Err(Error::new(ErrorKind::Invalid, message).with_operation("import"));
        }
        last = token.attempt();
    }
    Ok(())
}

pub(crate) fn waited_too_long(record: &JobRecord) -> String {
    let limit = record.job().queue_timeout.unwrap_or_default();
    let why = record.reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("found no place within its queue timeout of {limit:?}{why}")
}

pub(crate) fn submitter(job: &ContainerJob) -> Actor {
    Actor::User(job.created_by.as_ref().map_or_else(|| "unknown".to_owned(), |by| by.name.clone()))
}

/// Whether its holder is to look at the job: somebody wants it to end, or has settled it.
pub(crate) fn wants_attention(record: &JobRecord) -> bool {
    record.cancel.is_some() && !record.status.is_terminal() || record.status == JobStatus::Lost
}
