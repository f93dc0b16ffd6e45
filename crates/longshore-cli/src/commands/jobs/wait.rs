//! `longshore jobs wait`.

use futures::StreamExt;
use longshore::store::{JobRecord, JobStore};
use longshore::{Clock, Error, ErrorKind, JobId, JobStatus, Result, SystemClock};
use std::time::Duration;

use crate::{
    args::WaitArgs,
    commands::{notice, print, unwritable},
    database::Database,
    exit, job_id,
    text::json_line,
    values,
};

pub(super) async fn wait(args: &WaitArgs) -> Result<u8> {
    let limit = args.timeout.as_deref().map(values::time).transpose()?;
    let database = Database::open(&args.store).await?;
    let store = database.store.as_ref();
    let ids = job_id::find_all(store, &args.ids).await?;
    let ended = tokio::select! {
        ended = all_ended(store, &ids) => ended?,
        () = SystemClock.sleep(limit.unwrap_or(Duration::MAX)) => {
            let message = format!("not all of the jobs have ended within {:?}; they go on", limit.unwrap_or_default());
            notice(&message);
            return Ok(exit::TIMED_OUT);
        }
    };
    if args.json {
        print(&json_line(&ended).map_err(unwritable)?)?;
    } else {
        print(&ended.iter().map(|job| format!("{} is {}{}\n", job.id(), job.status, why(job))).collect::<String>())?;
    }
    exit_code(store, &ended).await
}

fn why(job: &JobRecord) -> String {
    let reason = job.reason.as_deref().filter(|_| job.status != JobStatus::Completed);
    reason.map(|reason| format!(": {}", crate::text::clean(reason))).unwrap_or_default()
}

/// Waits for the end of each, in their order.
async fn all_ended(store: &dyn JobStore, ids: &[JobId]) -> Result<Vec<JobRecord>> {
    let mut ended = Vec::with_capacity(ids.len());
    for id in ids {
        ended.push(end_of(store, *id).await?);
    }
    Ok(ended)
}

/// Waits until the job has ended. Cancel-safe.
///
/// # Errors
/// As the database answers.
pub(super) async fn end_of(store: &dyn JobStore, id: JobId) -> Result<JobRecord> {
    let mut news = store.news().await?;
    // The first news come at once.
    while news.next().await.is_some() {
        let job = store.job(id).await?;
        if job.status.is_terminal() {
            return Ok(job);
        }
    }
    Err(Error::new(ErrorKind::Unavailable, "no news of jobs can be heard any more; wait again"))
}

/// The code of the first that has not completed.
async fn exit_code(store: &dyn JobStore, ended: &[JobRecord]) -> Result<u8> {
    let Some(job) = ended.iter().find(|job| job.status != JobStatus::Completed) else { return Ok(0) };
    let attempts = store.attempts(job.id()).await?;
    let outcome = attempts.last().and_then(|attempt| attempt.outcome.as_ref());
    Ok(exit::of_job(job.status, outcome.and_then(|outcome| outcome.termination.as_ref())))
}
