//! What happens to attempts.

use longshore_core::{JobStatus, LaunchToken, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    budgets,
    fault::Outcome,
    rows::{find_attempt, readable, tell},
    values::{Id, Json, Time, Word, json, json_list, line, list, time},
};
use crate::{Actor, AttemptState, Change, Effect, JobEvent, JobMove, SessionId, What, refusals};

/// A change with what is made of it before the transaction begins.
#[derive(Debug)]
pub(super) struct Prepared {
    change: Change,
    /// The request, the handle or the outcome.
    document: Option<String>,
}

impl Prepared {
    pub(super) fn new(change: Change) -> Result<Self> {
        let document = match &change.what {
            What::Renewed(request) => Some(json(&**request)?),
            What::Launched(handle) => Some(json(&**handle)?),
            What::Ended { outcome, .. } => Some(json(&**outcome)?),
            What::Started | What::Closed | What::Noted(_) => None,
        };
        Ok(Self { change, document })
    }
}

/// Where an attempt and its job stand.
struct Standing {
    no: i64,
    state: AttemptState,
    session: Option<SessionId>,
    started: bool,
    job: i64,
    status: JobStatus,
    cancelled: bool,
}

fn standing(connection: &Connection, token: LaunchToken) -> Outcome<Option<Standing>> {
    const STANDING: &str = "SELECT a.no, a.state, a.session, a.started_at IS NOT NULL, j.no, j.status, \
                            j.cancel IS NOT NULL FROM jobs j JOIN attempts a ON a.job = j.no \
                            WHERE j.id = ?1 AND a.number = ?2";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Standing {
            no: row.get(0)?,
            state: row.get::<_, Word<_>>(1)?.0,
            session: row.get::<_, Option<Id>>(2)?.map(|id| SessionId::from_uuid(id.0)),
            started: row.get(3)?,
            job: row.get(4)?,
            status: row.get::<_, Word<_>>(5)?.0,
            cancelled: row.get(6)?,
        })
    };
    let parameters = params![Id::from(token.job()), token.attempt()];
    Ok(connection.prepare_cached(STANDING)?.query_row(parameters, read).optional()?)
}

/// Stores a change, unless it is stored already.
pub(super) fn record(connection: &Connection, session: SessionId, prepared: &Prepared) -> Outcome<Result<()>> {
    let change = &prepared.change;
    let Some(standing) = standing(connection, change.token)? else {
        return Ok(Err(refusals::no_such_attempt(change.token)));
    };
    let effect = change.effect();
    if may_be_in(change, &effect, &standing)
        && readable(find_attempt(connection, change.token))?.flatten().is_some_and(|held| change.is_in(&held.attempt))
    {
        return Ok(Ok(()));
    }
    let stale = || Ok(Err(refusals::stale(change, standing.state)));
    if !change.may_be_told(session, standing.session, standing.state) {
        return stale();
    }
    let job_move = effect.job.clone().map(|it| if standing.cancelled { it.of_cancelled() } else { it });
    if job_move.as_ref().is_some_and(|it| !it.from().contains(&standing.status)) {
        return stale();
    }
    let event = JobEvent::new(change.at, effect.kind, Actor::Dispatcher(session)).of_attempt(change.token.attempt());
    let event = event.with_detail(effect.detail.clone());
    if matches!(change.what, What::Noted(_)) && is_told(connection, standing.job, &event)? {
        return Ok(Ok(()));
    }
    tell(connection, standing.job, &event)?;
    apply_to_job(connection, &standing, change, job_move)?;
    apply_to_attempt(connection, &standing, prepared, &effect)?;
    Ok(Ok(()))
}

/// Whether the attempt may show already that this has happened, so that it is worth reading it whole.
fn may_be_in(change: &Change, effect: &Effect<'_>, standing: &Standing) -> bool {
    let follows = effect.from.contains(&standing.state);
    match change.what {
        What::Renewed(_) => true,
        What::Started => standing.started || !follows,
        _ => !follows,
    }
}

fn is_told(connection: &Connection, job: i64, event: &JobEvent) -> Outcome<bool> {
    Ok(super::rows::events_of(connection, job)?.contains(event))
}

fn apply_to_job(
    connection: &Connection,
    standing: &Standing,
    change: &Change,
    job_move: Option<JobMove<'_>>,
) -> Outcome<()> {
    const RUNS: &str = "UPDATE jobs SET runs = runs + 1 WHERE no = ?1";
    const RUNNING: &str = "UPDATE jobs SET status = 'running' WHERE no = ?1";
    const ENDED: &str = "UPDATE jobs SET status = ?2, reason = ?3, finished_at = ?4, exit_code = ?5 WHERE no = ?1";
    if let What::Launched(_) = change.what {
        connection.prepare_cached(RUNS)?.execute([standing.job])?;
    }
    let exit_code = match &change.what {
        What::Ended { outcome, .. } => outcome.exit_code(),
        _ => None,
    };
    match job_move {
        None => {}
        Some(JobMove::Run) => {
            connection.prepare_cached(RUNNING)?.execute([standing.job])?;
        }
        Some(JobMove::Finish { status, reason }) => {
            let parameters = params![standing.job, Word(status), reason, Time(change.at), exit_code];
            connection.prepare_cached(ENDED)?.execute(parameters)?;
        }
        Some(JobMove::Requeue { .. }) => requeue(connection, standing.job, job_move.as_ref(), exit_code)?,
    }
    Ok(())
}

fn requeue(connection: &Connection, job: i64, to: Option<&JobMove<'_>>, exit_code: Option<i32>) -> Outcome<()> {
    const REQUEUE: &str = "UPDATE jobs SET status = 'pending', reason = ?2, line = ?3, wait_until = ?4, exit_code = ?5 \
                           WHERE no = ?1";
    const REFUSED: &str = "SELECT refused_by FROM jobs WHERE no = ?1";
    const REFUSE: &str = "UPDATE jobs SET refused_by = ?2 WHERE no = ?1";
    let Some(JobMove::Requeue { reason, waiting_for, refused_by }) = to else { return Ok(()) };
    let parameters = params![job, reason, line(waiting_for), time(waiting_for.until), exit_code];
    connection.prepare_cached(REQUEUE)?.execute(parameters)?;
    if let Some(host) = refused_by {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<Json<Vec<_>>>>(0);
        let mut hosts = list(connection.prepare_cached(REFUSED)?.query_row([job], read)?);
        hosts.push((*host).clone());
        connection.prepare_cached(REFUSE)?.execute(params![job, json_list(&hosts)?])?;
    }
    Ok(())
}

fn apply_to_attempt(
    connection: &Connection,
    standing: &Standing,
    prepared: &Prepared,
    effect: &Effect<'_>,
) -> Outcome<()> {
    const RENEWED: &str = "UPDATE launches SET request = ?2 WHERE attempt = ?1";
    const LAUNCHED: &str = "UPDATE attempts SET state = 'launched', handle = ?2, launched_at = ?3 WHERE no = ?1";
    const STARTED: &str = "UPDATE attempts SET started_at = ?2 WHERE no = ?1";
    const CLOSED: &str = "UPDATE attempts SET state = 'closed', session = NULL, closed_at = coalesce(closed_at, ?2) \
                          WHERE no = ?1";
    let Prepared { change, document } = prepared;
    let (no, at) = (standing.no, Time(change.at));
    match &change.what {
        What::Renewed(_) => connection.prepare_cached(RENEWED)?.execute(params![no, document])?,
        What::Launched(_) => connection.prepare_cached(LAUNCHED)?.execute(params![no, document, at])?,
        What::Started => connection.prepare_cached(STARTED)?.execute(params![no, at])?,
        What::Closed => connection.prepare_cached(CLOSED)?.execute(params![no, at])?,
        What::Noted(_) => 0,
        What::Ended { .. } => return end(connection, standing, prepared, effect),
    };
    Ok(())
}

fn end(connection: &Connection, standing: &Standing, prepared: &Prepared, effect: &Effect<'_>) -> Outcome<()> {
    const CHARGES: &str = "SELECT charges FROM attempts WHERE no = ?1";
    const ENDED: &str = "UPDATE attempts SET state = ?2, outcome = ?3, ended_at = ?4 WHERE no = ?1";
    const ENDED_AND_CLOSED: &str = "UPDATE attempts SET state = ?2, outcome = ?3, ended_at = ?4, \
                                    closed_at = coalesce(closed_at, ?4), session = NULL WHERE no = ?1";
    let Prepared { change, document } = prepared;
    let What::Ended { charges, closed, .. } = &change.what else { return Ok(()) };
    let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<Json<_>>>(0);
    let before = list(connection.prepare_cached(CHARGES)?.query_row([standing.no], read)?);
    budgets::recharge(connection, standing.no, &before, charges)?;
    let statement = if *closed { ENDED_AND_CLOSED } else { ENDED };
    let state = Word(effect.attempt.unwrap_or(standing.state));
    connection.prepare_cached(statement)?.execute(params![standing.no, state, document, Time(change.at)])?;
    Ok(())
}
