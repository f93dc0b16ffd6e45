//! Jobs that ended long ago, and their logs: how they are removed.

use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, JobId, JobStatus, LaunchToken, Result};
use longshore_store::{JobQuery, JobRecord, JobStore, LogReference};

use crate::LogKeeper;

/// How many jobs are removed in one go.
const PAGE: usize = 500;

const ENDED: [JobStatus; 5] =
    [JobStatus::Completed, JobStatus::Failed, JobStatus::TimedOut, JobStatus::Cancelled, JobStatus::Lost];

/// What was removed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Retired {
    /// The jobs.
    pub jobs: Vec<JobId>,
    /// The attempts of removed jobs whose logs could not be removed, and why. A sweep of the logs finds them.
    pub failures: Vec<(LaunchToken, Error)>,
}

/// Jobs that ended before a time, a page of them, the newest first.
///
/// # Errors
/// As the store can be reached.
pub async fn find_retired(store: &dyn JobStore, before: Timestamp, after: Option<JobId>) -> Result<Vec<JobId>> {
    let query = JobQuery::builder().statuses(ENDED).finished_before(before).maybe_after(after).limit(PAGE).build();
    Ok(store.jobs(&query).await?.iter().map(JobRecord::id).collect())
}

/// Removes the jobs that ended before a time, with all that is kept of them, and then their logs: a log without a job is an
/// orphan, a job without its log a loss. Jobs with an open attempt stay. Dropping the future leaves the rest; calling again
/// goes on.
///
/// # Errors
/// As the store can be reached.
pub async fn retire(store: &dyn JobStore, logs: &dyn LogKeeper, before: Timestamp) -> Result<Retired> {
    let mut retired = Retired::default();
    let mut after = None;
    loop {
        let page = find_retired(store, before, after).await?;
        let Some(last) = page.last() else { return Ok(retired) };
        after = Some(*last);
        let stored = stored_logs(store, &page).await?;
        let purged = store.purge(&page).await?;
        for token in stored.into_iter().filter(|token| purged.contains(&token.job())) {
            if let Err(error) = logs.keep_only(token, None).await {
                retired.failures.push((token, error));
            }
        }
        retired.jobs.extend(purged);
    }
}

/// The attempts whose logs are kept outside of the store.
async fn stored_logs(store: &dyn JobStore, jobs: &[JobId]) -> Result<Vec<LaunchToken>> {
    let mut found = Vec::new();
    for job in jobs {
        let attempts = match store.attempts(*job).await {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            attempts => attempts?,
        };
        let is_stored = |log: &Option<LogReference>| matches!(log, Some(LogReference::Stored { .. }));
        let stored = attempts.iter().filter(|it| it.outcome.as_ref().is_some_and(|outcome| is_stored(&outcome.log)));
        found.extend(stored.map(longshore_store::AttemptRecord::token));
    }
    Ok(found)
}
