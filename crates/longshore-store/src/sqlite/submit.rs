//! Taking jobs in: from whoever submits them, and from another store.

use jiff::Timestamp;
use longshore_core::{JobId, JobStatus, Result};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

use super::{
    budgets,
    fault::Outcome,
    rows::{Kept, find_job, tell},
    sessions::is_open,
    values::{Id, Time, Word, json, json_list, line, time},
};
use crate::{AttemptRecord, JobArchive, JobEvent, JobRecord, Submission, Submitted, refusals};

/// A job with what is made of it before the transaction begins.
#[derive(Debug)]
pub(super) struct Prepared {
    record: JobRecord,
    document: String,
    fingerprint: [u8; 32],
}

impl Prepared {
    pub(super) fn of(record: JobRecord) -> Result<Self> {
        let submission = &record.submission;
        Ok(Self { document: json(submission)?, fingerprint: submission.fingerprint(), record })
    }

    pub(super) fn new(submission: Submission, now: Timestamp) -> Result<Self> {
        Self::of(JobRecord::new(submission, now))
    }
}

/// Stores a job unless it is known.
pub(super) fn submit(connection: &Connection, prepared: &Prepared) -> Outcome<Result<Submitted>> {
    let record = &prepared.record;
    if let Some((known, fingerprint)) = known(connection, &record.submission)? {
        if fingerprint == prepared.fingerprint {
            return Ok(Ok(Submitted::Existing(known)));
        }
        return Ok(Err(refusals::another_job(&record.submission, known)));
    }
    let no = insert(connection, prepared)?;
    tell(connection, no, &JobEvent::new(record.submitted_at, "submitted", refusals::submitter(record.job())))?;
    Ok(Ok(Submitted::New(record.id())))
}

/// The job that the submission's key stands for, else the one of its id.
fn known(connection: &Connection, submission: &Submission) -> Outcome<Option<(JobId, [u8; 32])>> {
    const BY_KEY: &str = "SELECT j.id, s.fingerprint FROM jobs j JOIN submissions s ON s.job = j.no \
                          WHERE j.idempotency_key = ?1";
    const BY_ID: &str = "SELECT j.id, s.fingerprint FROM jobs j JOIN submissions s ON s.job = j.no WHERE j.id = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((JobId::from_uuid(row.get::<_, Id>(0)?.0), row.get(1)?));
    if let Some(key) = &submission.idempotency_key {
        let by_key = connection.prepare_cached(BY_KEY)?.query_row([key.as_str()], read).optional()?;
        if by_key.is_some() {
            return Ok(by_key);
        }
    }
    Ok(connection.prepare_cached(BY_ID)?.query_row([Id::from(submission.job.id)], read).optional()?)
}

fn insert(connection: &Connection, prepared: &Prepared) -> Outcome<i64> {
    const JOB: &str = "INSERT INTO jobs (id, submitted_at, status, priority, place, line, wait_until, reason, finished_at, \
                       attempts, runs, refused_by, host, executor_type, exit_code, cancel, template, user, \
                       idempotency_key) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";
    const SUBMISSION: &str = "INSERT INTO submissions (job, fingerprint, document) VALUES (?1, ?2, ?3)";
    let record = &prepared.record;
    let pending = record.status == JobStatus::Pending;
    let job = record.job();
    connection.prepare_cached(JOB)?.execute(params![
        Id::from(record.id()),
        Time(record.submitted_at),
        Word(record.status),
        job.priority.get(),
        Time(record.place_in_queue()),
        if pending { line(&record.waiting_for) } else { None },
        time(record.waiting_for.until.filter(|_| pending)),
        record.reason,
        time(record.finished_at),
        record.attempts,
        record.runs,
        json_list(&record.refused_by)?,
        record.host.as_ref().map(AsRef::<str>::as_ref),
        record.executor_type.as_ref().map(AsRef::<str>::as_ref),
        record.exit_code,
        record.cancel.as_ref().map(json).transpose()?,
        record.name().as_str(),
        job.created_by.as_ref().map(|by| &by.name),
        record.submission.idempotency_key.as_ref().map(crate::IdempotencyKey::as_str),
    ])?;
    let no = connection.last_insert_rowid();
    connection.prepare_cached(SUBMISSION)?.execute(params![no, prepared.fingerprint, prepared.document])?;
    label(connection, no, record)?;
    Ok(no)
}

fn label(connection: &Connection, no: i64, record: &JobRecord) -> Outcome<()> {
    const LABEL: &str = "INSERT INTO labels (key, value, job) VALUES (?1, ?2, ?3)";
    for (key, value) in &record.job().resolved_template().labels {
        connection.prepare_cached(LABEL)?.execute(params![key.as_str(), value.as_str(), no])?;
    }
    Ok(())
}

/// Stores an attempt; returns the number of its row.
pub(super) fn insert_attempt(connection: &Connection, job: i64, attempt: &AttemptRecord) -> Outcome<i64> {
    const ATTEMPT: &str = "INSERT INTO attempts (job, number, host, state, session, quiet_at, created_at, launched_at, \
                           started_at, ended_at, closed_at, charges, handle, outcome) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    const LAUNCH: &str = "INSERT INTO launches (attempt, request, decision) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(ATTEMPT)?.execute(params![
        job,
        attempt.token().attempt(),
        attempt.host().as_str(),
        Word(attempt.state),
        attempt.session.map(Id::from),
        time(attempt.quiet_at),
        Time(attempt.created_at),
        time(attempt.launched_at),
        time(attempt.started_at),
        time(attempt.ended_at),
        time(attempt.closed_at),
        json_list(&attempt.charges)?,
        attempt.handle.as_ref().map(json).transpose()?,
        attempt.outcome.as_ref().map(json).transpose()?,
    ])?;
    let no = connection.last_insert_rowid();
    connection.prepare_cached(LAUNCH)?.execute(params![no, json(&attempt.request)?, json(&attempt.decision)?])?;
    Ok(no)
}

/// Checks archives, and makes of each what its job needs.
pub(super) fn prepare_import(archives: Vec<JobArchive>) -> Result<Vec<(Prepared, JobArchive)>> {
    let prepare = |archive: JobArchive| {
        refusals::only_whole(&archive)?;
        Ok((Prepared::of(archive.job.clone())?, archive))
    };
    archives.into_iter().map(prepare).collect()
}

/// Takes in the archives that are new.
pub(super) fn import(connection: &Connection, archives: &[(Prepared, JobArchive)]) -> Outcome<u64> {
    let mut new: BTreeMap<JobId, &(Prepared, JobArchive)> = BTreeMap::new();
    for entry in archives {
        let id = entry.1.job.id();
        if find_job(connection, id)?.is_none() {
            new.entry(id).or_insert(entry);
        }
    }
    for (prepared, archive) in new.values() {
        if archive.job.submission.idempotency_key.is_some()
            && let Some((known, _)) = known(connection, &archive.job.submission)?
        {
            return Err(refusals::another_job(&archive.job.submission, known).into());
        }
        let no = insert(connection, prepared)?;
        for attempt in &archive.attempts {
            let mut attempt = attempt.clone();
            attempt.session = match attempt.session {
                Some(session) if is_open(connection, session)? => Some(session),
                _ => None,
            };
            budgets::charge(connection, &[], &attempt.charges)?;
            insert_attempt(connection, no, &attempt)?;
        }
        for event in &archive.events {
            tell(connection, no, event)?;
        }
    }
    Ok(u64::try_from(new.len()).unwrap_or(u64::MAX))
}

/// Removes a job with all that is kept of it, if it is over. Returns whether it was.
pub(super) fn purge(connection: &Connection, id: JobId) -> Outcome<bool> {
    const OPEN: &str = "SELECT EXISTS (SELECT 1 FROM attempts WHERE job = ?1 AND state <> 'closed')";
    const REMOVE: [&str; 6] = [
        "DELETE FROM launches WHERE attempt IN (SELECT no FROM attempts WHERE job = ?1)",
        "DELETE FROM attempts WHERE job = ?1",
        "DELETE FROM events WHERE job = ?1",
        "DELETE FROM labels WHERE job = ?1",
        "DELETE FROM submissions WHERE job = ?1",
        "DELETE FROM jobs WHERE no = ?1",
    ];
    let Some(Kept { no, record }) = find_job(connection, id)? else { return Ok(false) };
    let open: bool = connection.prepare_cached(OPEN)?.query_row([no], |row| row.get(0))?;
    if open || !record.status.is_terminal() {
        return Ok(false);
    }
    for statement in REMOVE {
        connection.prepare_cached(statement)?.execute([no])?;
    }
    Ok(true)
}
