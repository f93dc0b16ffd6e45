//! Looking for damage, and for what contradicts itself.

use longshore_core::LaunchToken;
use rusqlite::Connection;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

use super::{
    fault::{Fault, Outcome},
    list,
    rows::all,
    values::{Id, Parsed},
};
use crate::{AttemptRecord, JobArchive};

/// How many jobs are read at once.
const PAGE: usize = 500;

/// What must never be, each in words and as a query for the jobs of which it is so.
const NEVER: [(&str, &str); 9] = [
    (
        "is launching or running and has no attempt in that state as its last",
        "SELECT j.id FROM jobs j WHERE j.status IN ('launching', 'running') AND NOT EXISTS (SELECT 1 FROM attempts a \
         WHERE a.job = j.no AND a.number = j.attempts AND a.state IN ('launching', 'launched'))",
    ),
    (
        "is not launching or running and has an attempt that takes a place",
        "SELECT j.id FROM attempts a JOIN jobs j ON j.no = a.job WHERE a.state IN ('launching', 'launched') \
         AND j.status NOT IN ('launching', 'running')",
    ),
    (
        "has two attempts that take places",
        "SELECT j.id FROM attempts a JOIN jobs j ON j.no = a.job WHERE a.state IN ('launching', 'launched') \
         GROUP BY j.no HAVING count(*) > 1",
    ),
    (
        "counts other attempts than it has",
        "SELECT j.id FROM jobs j WHERE j.attempts < (SELECT coalesce(max(number), 0) FROM attempts WHERE job = j.no)",
    ),
    (
        "is in the queue and not pending, or pending and not in the queue",
        "SELECT id FROM jobs WHERE (status = 'pending') <> (line IS NOT NULL OR wait_until IS NOT NULL)",
    ),
    (
        "has ended without a time, or has a time and has not ended",
        "SELECT id FROM jobs WHERE (status IN ('pending', 'launching', 'running')) = (finished_at IS NOT NULL)",
    ),
    (
        "has an attempt whose holder is over or unknown",
        "SELECT j.id FROM attempts a JOIN jobs j ON j.no = a.job WHERE a.session IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM sessions WHERE id = a.session AND over IS NULL)",
    ),
    (
        "has a closed attempt that somebody holds or that has no time",
        "SELECT j.id FROM attempts a JOIN jobs j ON j.no = a.job WHERE a.state = 'closed' AND (a.session IS NOT NULL \
         OR a.closed_at IS NULL)",
    ),
    ("has lost its submission", "SELECT id FROM jobs WHERE no NOT IN (SELECT job FROM submissions)"),
];

/// What is left of a job that is gone.
const ORPHANS: [(&str, &str); 4] = [
    ("submissions", "SELECT count(*) FROM submissions WHERE job NOT IN (SELECT no FROM jobs)"),
    ("attempts", "SELECT count(*) FROM attempts WHERE job NOT IN (SELECT no FROM jobs)"),
    ("launches", "SELECT count(*) FROM launches WHERE attempt NOT IN (SELECT no FROM attempts)"),
    ("events", "SELECT count(*) FROM events WHERE job NOT IN (SELECT no FROM jobs)"),
];

pub(super) fn check(connection: &Connection) -> Outcome<Vec<String>> {
    let mut found: Vec<String> = all(connection.prepare_cached("PRAGMA integrity_check")?, [], |row| row.get(0))?;
    found.retain(|line| line != "ok");
    if !found.is_empty() {
        // Whatever else is asked of a damaged file may fail.
        return Ok(found.into_iter().map(|line| format!("the file is damaged: {line}")).collect());
    }
    for (what, query) in NEVER {
        let jobs = all(connection.prepare_cached(query)?, [], |row| row.get::<_, Id>(0))?;
        found.extend(jobs.into_iter().map(|Id(job)| format!("job {job} {what}")));
    }
    for (table, query) in ORPHANS {
        let count: i64 = connection.query_row(query, [], |row| row.get(0))?;
        found.extend((count > 0).then(|| format!("{count} {table} are left of jobs that are gone")));
    }
    read_everything(connection, &mut found)?;
    Ok(found)
}

/// Reads every record, and adds up what budgets were charged.
fn read_everything(connection: &Connection, found: &mut Vec<String>) -> Outcome<()> {
    let mut charged: BTreeMap<(String, String, String), Decimal> = BTreeMap::new();
    let mut last = None;
    loop {
        let page = match list::archive(connection, last, PAGE) {
            Err(Fault::Sql(error @ rusqlite::Error::FromSqlConversionFailure(..))) => {
                let from = last.map(|last| format!(" after {last}")).unwrap_or_default();
                found.push(format!("one of the {PAGE} jobs{from} can't be read: {error}"));
                return Ok(());
            }
            page => page?,
        };
        let Some(end) = page.last() else { break };
        last = Some(end.job.id());
        for JobArchive { job, attempts, .. } in &page {
            found.extend(attempts.iter().filter_map(|attempt| misplaced(attempt, job.id())));
            for charge in attempts.iter().flat_map(|attempt| &attempt.charges) {
                let period = charge.period.map(|period| period.to_string()).unwrap_or_default();
                let key = (charge.budget.to_string(), period, charge.amount.currency().to_string());
                let total = charged.entry(key).or_default();
                *total = total.saturating_add(charge.amount.amount());
            }
        }
    }
    short_totals(connection, charged, found)
}

fn misplaced(attempt: &AttemptRecord, job: longshore_core::JobId) -> Option<String> {
    let token: LaunchToken = attempt.token();
    (token.job() != job).then(|| format!("job {job} has the attempt {token}, which is another job's"))
}

/// Totals may be more than what attempts tell, for those that were purged; never less.
fn short_totals(
    connection: &Connection,
    mut charged: BTreeMap<(String, String, String), Decimal>,
    found: &mut Vec<String>,
) -> Outcome<()> {
    const TOTALS: &str = "SELECT budget, period, currency, amount FROM budgets";
    let totals = all(connection.prepare_cached(TOTALS)?, [], |row| {
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get::<_, Parsed<Decimal>>(3)?.0))
    })?;
    for (key, total) in totals {
        let sum = charged.remove(&key).unwrap_or_default();
        let (budget, _, currency) = key;
        found.extend((sum > total).then(|| {
            format!("the budget {budget} counts {total} {currency}, and its attempts were charged {sum} {currency}")
        }));
    }
    found.extend(charged.into_keys().map(|(budget, ..)| format!("nothing is counted on the budget {budget}")));
    Ok(())
}
