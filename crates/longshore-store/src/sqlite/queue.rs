//! Claims: what waits, what is in use, and what becomes of those that are looked at.

use jiff::Timestamp;
use longshore_core::{HostName, JobId, JobStatus};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};

use super::{
    budgets,
    fault::Outcome,
    intervene::{finish, pauses},
    rows::{Kept, all, job_by_no, readable, tell, unreadable},
    sessions::alive,
    submit::insert_attempt,
    values::{Id, Parsed, Time, hosts, line, time},
};
use crate::{
    Actor, AttemptRecord, Claim, Claimed, Held, InUse, Intent, JobEvent, JobRecord, Placement, Placer, WaitingFor,
    refusals,
};

pub(super) fn claim(connection: &Connection, claim: &Claim, placer: &dyn Placer) -> Outcome<Claimed> {
    const DUE: &str = "UPDATE jobs SET line = '', wait_until = NULL WHERE wait_until <= ?1";
    alive(connection, claim.session)?;
    connection.prepare_cached(DUE)?.execute([Time(claim.now)])?;
    let in_use = in_use(connection, claim)?;
    let found = first(connection, claim.most, |hosts| placer.room(hosts, &in_use))?;
    let (numbers, jobs): (Vec<i64>, Vec<JobRecord>) = found.into_iter().map(|kept| (kept.no, kept.record)).unzip();
    let placements = placer.place(&jobs, &in_use);
    refusals::only_next_attempts(&jobs, &placements)?;
    let mut claimed = Claimed { looked_at: jobs.len(), ..Claimed::default() };
    for ((record, no), placement) in jobs.into_iter().zip(numbers).zip(placements) {
        claimed.held.extend(settle(connection, claim, Kept { no, record }, placement)?);
    }
    claimed.next_at = next_at(connection)?;
    Ok(claimed)
}

fn next_at(connection: &Connection) -> Outcome<Option<Timestamp>> {
    const NEXT: &str = "SELECT min(wait_until) FROM jobs WHERE wait_until IS NOT NULL";
    let next: Option<Time> = connection.prepare_cached(NEXT)?.query_row([], |row| row.get(0))?;
    Ok(next.map(|next| next.0))
}

fn in_use(connection: &Connection, claim: &Claim) -> Outcome<InUse> {
    const PLACES: &str = "SELECT host, count(*) FROM attempts WHERE state IN ('launching', 'launched') GROUP BY host";
    let places = all(connection.prepare_cached(PLACES)?, [], |row| {
        Ok((row.get::<_, Parsed<HostName>>(0)?.0, row.get::<_, u32>(1)?))
    })?;
    let hosts: BTreeMap<HostName, u32> = places.into_iter().collect();
    let charged = budgets::charged(connection, &claim.periods)?;
    Ok(InUse { hosts, charged, pauses: pauses(connection)? })
}

/// Those to be looked at, by their place: as many of each line as there is room for. Those that can't be read hide none of
/// those behind them.
fn first(connection: &Connection, most: usize, room: impl Fn(&BTreeSet<HostName>) -> usize) -> Outcome<Vec<Kept>> {
    let mut wanted = Vec::new();
    for line in lines(connection)? {
        let waits_for = hosts(&line).map_err(|error| unreadable(0, error).into());
        let Some(hosts) = readable(waits_for)? else { continue };
        let room = if hosts.is_empty() { most } else { room(&hosts).min(most) };
        wanted.push((line, room));
    }
    let mut left = BTreeSet::new();
    loop {
        let mut first = Vec::new();
        let before = left.len();
        for no in numbers(connection, &wanted, &left, most)? {
            match readable(job_by_no(connection, no))? {
                Some(kept) => first.push(kept),
                None => {
                    left.insert(no);
                }
            }
        }
        if left.len() == before {
            return Ok(first);
        }
    }
}

/// The rows of the first jobs of these lines, without those that are left out.
fn numbers(
    connection: &Connection,
    wanted: &[(String, usize)],
    left: &BTreeSet<i64>,
    most: usize,
) -> Outcome<Vec<i64>> {
    const LINE: &str = "SELECT place, id, no FROM jobs WHERE line = ?1 ORDER BY place, id LIMIT ?2";
    let mut first: Vec<(Timestamp, JobId, i64)> = Vec::new();
    for (line, room) in wanted.iter().filter(|(_, room)| *room > 0) {
        let limit = i64::try_from(room.saturating_add(left.len())).unwrap_or(i64::MAX);
        let of_line = all(connection.prepare_cached(LINE)?, params![line, limit], |row| {
            Ok((row.get::<_, Time>(0)?.0, JobId::from_uuid(row.get::<_, Id>(1)?.0), row.get(2)?))
        })?;
        first.extend(of_line.into_iter().filter(|(_, _, no)| !left.contains(no)).take(*room));
    }
    first.sort_unstable();
    Ok(first.into_iter().take(most).map(|(_, _, no)| no).collect())
}

/// The lines that there are, each found by one step in the index, however many wait in it.
fn lines(connection: &Connection) -> Outcome<Vec<String>> {
    const NEXT: &str = "SELECT min(line) FROM jobs WHERE line IS NOT NULL AND line > ?1";
    const NOBODY: &str = "SELECT EXISTS (SELECT 1 FROM jobs WHERE line = '')";
    let mut lines = Vec::new();
    if connection.prepare_cached(NOBODY)?.query_row([], |row| row.get(0))? {
        lines.push(String::new());
    }
    let mut next = connection.prepare_cached(NEXT)?;
    let mut last = String::new();
    while let Some(line) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        last.clone_from(&line);
        lines.push(line);
    }
    Ok(lines)
}

fn settle(connection: &Connection, claim: &Claim, kept: Kept, placement: Placement) -> Outcome<Option<Held>> {
    let by = Actor::Dispatcher(claim.session);
    match placement {
        Placement::Leave => {}
        Placement::Wait { reason, waiting_for } => wait(connection, claim, &kept, &reason, &waiting_for)?,
        Placement::Refuse { reason, .. } => {
            end_pending(connection, kept.no, JobStatus::Failed, reason, claim.now, by)?;
        }
        Placement::GiveUp => {
            let reason = refusals::waited_too_long(&kept.record);
            end_pending(connection, kept.no, JobStatus::TimedOut, reason, claim.now, by)?;
        }
        Placement::Launch(intent) => return launch(connection, claim, kept, *intent).map(Some),
    }
    Ok(None)
}

fn wait(connection: &Connection, claim: &Claim, kept: &Kept, reason: &str, waiting_for: &WaitingFor) -> Outcome<()> {
    const WAIT: &str = "UPDATE jobs SET reason = ?2, line = ?3, wait_until = ?4 WHERE no = ?1";
    let before = &kept.record;
    if before.waiting_for.hosts != waiting_for.hosts || before.reason.is_none() {
        let event = JobEvent::new(claim.now, "waiting", Actor::Dispatcher(claim.session));
        tell(connection, kept.no, &event.with_detail(Some(reason.to_owned())))?;
    }
    let parameters = params![kept.no, reason, line(waiting_for), time(waiting_for.until)];
    connection.prepare_cached(WAIT)?.execute(parameters)?;
    Ok(())
}

fn end_pending(
    connection: &Connection,
    no: i64,
    status: JobStatus,
    reason: String,
    at: Timestamp,
    by: Actor,
) -> Outcome<()> {
    finish(connection, no, status, &reason, at)?;
    tell(connection, no, &JobEvent::new(at, "ended", by).with_detail(Some(reason)))
}

fn launch(connection: &Connection, claim: &Claim, kept: Kept, intent: Intent) -> Outcome<Held> {
    const LAUNCHING: &str = "UPDATE jobs SET status = 'launching', reason = NULL, line = NULL, wait_until = NULL, \
                             attempts = ?2, host = ?3, executor_type = ?4, exit_code = NULL WHERE no = ?1";
    let Kept { no, mut record } = kept;
    let attempt = AttemptRecord::new(intent, claim.session, claim.now);
    let number = attempt.token().attempt();
    let event = JobEvent::new(claim.now, "claimed", Actor::Dispatcher(claim.session)).of_attempt(number);
    tell(connection, no, &event.with_detail(Some(format!("on host {}", attempt.host()))))?;
    budgets::charge(connection, &[], &attempt.charges)?;
    insert_attempt(connection, no, &attempt)?;
    let (host, kind) = (attempt.host(), &attempt.request.plan.executor_type);
    connection.prepare_cached(LAUNCHING)?.execute(params![no, number, host.as_str(), kind.as_str()])?;
    record.begin(&attempt);
    Ok(Held::new(record, attempt))
}

/// Lets every job be looked at again.
pub(super) fn wake(connection: &Connection) -> Outcome<()> {
    const TIMED: &str = "UPDATE jobs SET line = '', wait_until = NULL WHERE wait_until IS NOT NULL";
    const PARKED: &str = "UPDATE jobs SET line = '', wait_until = NULL WHERE line > ''";
    connection.execute(TIMED, [])?;
    connection.execute(PARKED, [])?;
    Ok(())
}
