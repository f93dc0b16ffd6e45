//! What people ask of jobs and hosts.

use longshore_core::{HostName, JobId, JobStatus, Priority};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    fault::Outcome,
    rows::{Kept, all, known_job, tell},
    values::{Json, Parsed, Time, Word, json},
};
use crate::{Intervention, JobEvent, JobRecord, Outcome as End, Pause, Request, refusals};

pub(super) fn intervene(
    connection: &Connection,
    id: JobId,
    intervention: &Intervention,
    request: &Request,
) -> Outcome<JobRecord> {
    let kept = known_job(connection, id)?;
    match intervention {
        Intervention::Cancel => cancel(connection, &kept, request)?,
        Intervention::SettleLost => settle_lost(connection, &kept, request)?,
        Intervention::Reprioritize(priority) => reprioritize(connection, &kept, *priority, request)?,
    }
    Ok(known_job(connection, id)?.record)
}

fn cancel(connection: &Connection, kept: &Kept, request: &Request) -> Outcome<()> {
    const ASKED: &str = "UPDATE jobs SET cancel = ?2 WHERE no = ?1";
    const CANCELLED: &str = "UPDATE jobs SET cancel = ?2, status = 'cancelled', reason = ?3, finished_at = ?4, \
                             line = NULL, wait_until = NULL WHERE no = ?1";
    if kept.record.cancel.is_some() {
        return Ok(());
    }
    refusals::only_unfinished(&kept.record)?;
    let event = JobEvent::new(request.at, "cancel-requested", request.by.clone()).with_detail(request.why.clone());
    tell(connection, kept.no, &event)?;
    if kept.record.status == JobStatus::Pending {
        let reason = "cancelled before it was launched";
        connection.execute(CANCELLED, params![kept.no, json(request)?, reason, Time(request.at)])?;
    } else {
        connection.execute(ASKED, params![kept.no, json(request)?])?;
    }
    Ok(())
}

fn settle_lost(connection: &Connection, kept: &Kept, request: &Request) -> Outcome<()> {
    const ATTEMPT: &str = "UPDATE attempts SET state = 'ended', ended_at = ?3, outcome = ?4 \
                           WHERE job = ?1 AND number = ?2 AND state IN ('launching', 'launched')";
    if kept.record.status == JobStatus::Lost {
        return Ok(());
    }
    refusals::only_launched(&kept.record)?;
    let why = request.why.clone().unwrap_or_else(|| format!("settled by {}", request.by));
    let number = kept.record.attempts;
    let outcome = json(&End::lost(why.clone()))?;
    connection.execute(ATTEMPT, params![kept.no, number, Time(request.at), outcome])?;
    let event = JobEvent::new(request.at, "settled-lost", request.by.clone()).of_attempt(number);
    tell(connection, kept.no, &event.with_detail(Some(why.clone())))?;
    finish(connection, kept.no, JobStatus::Lost, &why, request.at)
}

/// A job ends.
pub(super) fn finish(
    connection: &Connection,
    no: i64,
    status: JobStatus,
    reason: &str,
    at: jiff::Timestamp,
) -> Outcome<()> {
    const FINISH: &str = "UPDATE jobs SET status = ?2, reason = ?3, finished_at = ?4, line = NULL, wait_until = NULL \
                          WHERE no = ?1";
    connection.prepare_cached(FINISH)?.execute(params![no, Word(status), reason, Time(at)])?;
    Ok(())
}

fn reprioritize(connection: &Connection, kept: &Kept, priority: Priority, request: &Request) -> Outcome<()> {
    const MOVE: &str = "UPDATE jobs SET priority = ?2, place = ?3 WHERE no = ?1";
    refusals::only_pending(&kept.record)?;
    if kept.record.job().priority == priority {
        return Ok(());
    }
    let place = Time(priority.place_in_queue(kept.record.submitted_at));
    connection.execute(MOVE, params![kept.no, priority.get(), place])?;
    let event = JobEvent::new(request.at, "reprioritized", request.by.clone());
    tell(connection, kept.no, &event.with_detail(Some(format!("priority {priority}"))))
}

fn place_of(host: Option<&HostName>) -> &str {
    host.map(HostName::as_str).unwrap_or_default()
}

pub(super) fn pause(connection: &Connection, pause: &Pause) -> Outcome<()> {
    const PAUSE: &str = "INSERT INTO pauses (host, request) VALUES (?1, ?2) \
                         ON CONFLICT DO UPDATE SET request = excluded.request";
    connection.execute(PAUSE, params![place_of(pause.host.as_ref()), json(&pause.request)?])?;
    Ok(())
}

pub(super) fn resume(connection: &Connection, host: Option<&HostName>) -> Outcome<bool> {
    Ok(connection.execute("DELETE FROM pauses WHERE host = ?1", [place_of(host)])? > 0)
}

pub(super) fn pauses(connection: &Connection) -> Outcome<Vec<Pause>> {
    const EVERYTHING: &str = "SELECT request FROM pauses WHERE host = ''";
    const HOSTS: &str = "SELECT host, request FROM pauses WHERE host <> '' ORDER BY host";
    let everything = connection.query_row(EVERYTHING, [], |row| row.get::<_, Json<Request>>(0)).optional()?;
    let mut pauses: Vec<Pause> = everything.map(|request| Pause::new(None, request.0)).into_iter().collect();
    let hosts = all(connection.prepare_cached(HOSTS)?, [], |row| {
        Ok(Pause::new(Some(row.get::<_, Parsed<_>>(0)?.0), row.get::<_, Json<Request>>(1)?.0))
    })?;
    pauses.extend(hosts);
    Ok(pauses)
}
