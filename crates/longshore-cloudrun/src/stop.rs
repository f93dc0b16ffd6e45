//! Stopping: asked for, and its end seen.

use longshore_core::{Clock, Error, ErrorKind, ExecutionStatus, Result, StopRequest, Termination, clock::later};
use std::time::Duration;

use crate::{
    client::Api,
    notes::Notes,
    status::{Named, Statuses},
};

/// How long an execution may take to end once Cloud Run was told: ten seconds between the signal and the kill, and what
/// its bookkeeping takes (<https://cloud.google.com/run/docs/execute/jobs#cancel-execution>).
const LONGEST: Duration = Duration::from_secs(180);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Stops an execution and waits for its end.
pub(crate) async fn stop(
    api: &Api,
    statuses: &Statuses,
    notes: &Notes,
    clock: &dyn Clock,
    named: &Named,
    stop: &StopRequest,
) -> Result<Termination> {
    if let Some(end) = ended(statuses, named).await? {
        return Ok(end);
    }
    // Whoever asks later is told the reason: it is noted before anything can come of the stop.
    notes.stopping(named.token, stop.reason)?;
    api.cancel(&named.job(), &named.execution).await?;
    let until = later(clock.now(), LONGEST);
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(end) = ended(statuses, named).await? {
            return Ok(end);
        }
        if clock.now() >= until {
            let message = format!("the execution has not ended {LONGEST:?} after it was told to; stop it again");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn ended(statuses: &Statuses, named: &Named) -> Result<Option<Termination>> {
    match statuses.of(named).await {
        Ok(ExecutionStatus::Terminated(end)) => Ok(Some(end)),
        Ok(ExecutionStatus::NotFound) => Err(Error::new(ErrorKind::NotFound, "Cloud Run has no such execution")),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    }
}
