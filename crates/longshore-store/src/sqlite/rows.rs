//! Records as they are read from rows.

use longshore_core::{JobId, JobStatus, LaunchToken};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params, types::FromSqlError};

use super::{
    fault::{Fault, Outcome},
    values::{Id, Json, Parsed, Time, Word, hosts, list},
};
use crate::{Actor, AttemptRecord, Held, JobEvent, JobRecord, SessionId, Submission, WaitingFor, refusals};

/// The columns of a job, in the order in which [`job`] reads them.
macro_rules! job_columns {
    () => {
        "s.document, j.priority, j.submitted_at, j.status, j.reason, j.finished_at, j.attempts, j.runs, j.refused_by, \
         j.host, j.executor_type, j.exit_code, j.cancel, j.line, j.wait_until, j.no"
    };
}
pub(super) use job_columns;

/// The columns of an attempt, in the order in which [`attempt`] reads them.
macro_rules! attempt_columns {
    () => {
        "l.request, l.decision, a.charges, a.state, a.session, a.quiet_at, a.handle, a.created_at, a.launched_at, \
         a.started_at, a.ended_at, a.closed_at, a.outcome"
    };
}
pub(super) use attempt_columns;

/// A job and the number of its row.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) no: i64,
    pub(super) record: JobRecord,
}

pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let Json(mut submission) = row.get::<_, Json<Submission>>(0)?;
    submission.job.priority = row.get::<_, i32>(1)?.try_into().map_err(|error| unreadable(1, error))?;
    let mut record = JobRecord::new(submission, row.get::<_, Time>(2)?.0);
    record.status = row.get::<_, Word<JobStatus>>(3)?.0;
    record.reason = row.get(4)?;
    record.finished_at = row.get::<_, Option<Time>>(5)?.map(|time| time.0);
    record.attempts = row.get(6)?;
    record.runs = row.get(7)?;
    record.refused_by = list(row.get(8)?);
    record.host = row.get::<_, Option<Parsed<_>>>(9)?.map(|host| host.0);
    record.executor_type = row.get::<_, Option<Parsed<_>>>(10)?.map(|kind| kind.0);
    record.exit_code = row.get(11)?;
    record.cancel = row.get::<_, Option<Json<_>>>(12)?.map(|request| request.0);
    record.waiting_for = waiting_for(row, 13)?;
    Ok(Kept { no: row.get(15)?, record })
}

/// What a job waits for, from its line and its time.
fn waiting_for(row: &Row<'_>, column: usize) -> rusqlite::Result<WaitingFor> {
    let line: Option<String> = row.get(column)?;
    let mut waiting_for = WaitingFor::NOTHING;
    waiting_for.hosts = hosts(line.as_deref().unwrap_or_default()).map_err(|error| unreadable(column, error))?;
    waiting_for.until = row.get::<_, Option<Time>>(column + 1)?.map(|time| time.0);
    Ok(waiting_for)
}

pub(super) fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// An attempt, from columns that begin at one.
pub(super) fn attempt(row: &Row<'_>, first: usize) -> rusqlite::Result<AttemptRecord> {
    let time = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<Time>>(first + column)?.map(|time| time.0));
    let Json(request) = row.get(first)?;
    let Json(decision) = row.get(first + 1)?;
    let intent = crate::Intent::new(request, decision, list(row.get(first + 2)?));
    let session = row.get::<_, Option<Id>>(first + 4)?.map(|id| SessionId::from_uuid(id.0));
    let created_at = row.get::<_, Time>(first + 7)?.0;
    let mut attempt = AttemptRecord::new(intent, SessionId::from_uuid(uuid::Uuid::nil()), created_at);
    attempt.session = session;
    attempt.state = row.get::<_, Word<_>>(first + 3)?.0;
    attempt.quiet_at = time(5)?;
    attempt.handle = row.get::<_, Option<Json<_>>>(first + 6)?.map(|handle| handle.0);
    attempt.launched_at = time(8)?;
    attempt.started_at = time(9)?;
    attempt.ended_at = time(10)?;
    attempt.closed_at = time(11)?;
    attempt.outcome = row.get::<_, Option<Json<_>>>(first + 12)?.map(|outcome| outcome.0);
    Ok(attempt)
}

/// What a newer version wrote so that this one can't read it, or what is damaged, is left as it is, and keeps nobody from
/// the rest.
pub(super) fn readable<T>(read: Outcome<T>) -> Outcome<Option<T>> {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows};
    match read {
        Err(Fault::Sql(
            error @ (FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | QueryReturnedNoRows),
        )) => {
            tracing::warn!(%error, "a job that can't be read is left to a newer version");
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// A job with an attempt of it, whose columns follow on the job's.
pub(super) fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held::new(job(row)?.record, attempt(row, 16)?))
}

/// All rows of a statement.
pub(super) fn all<T>(
    mut statement: CachedStatement<'_>,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Outcome<Vec<T>> {
    let rows = statement.query_map(parameters, read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All rows of a statement that can be read.
pub(super) fn all_readable<T>(
    mut statement: CachedStatement<'_>,
    parameters: impl Params,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Outcome<Vec<T>> {
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(readable(read(row).map_err(Fault::from))?);
    }
    Ok(found)
}

pub(super) fn find_job(connection: &Connection, id: JobId) -> Outcome<Option<Kept>> {
    const JOB: &str =
        concat!("SELECT ", job_columns!(), " FROM jobs j JOIN submissions s ON s.job = j.no WHERE j.id = ?1");
    Ok(connection.prepare_cached(JOB)?.query_row([Id::from(id)], job).optional()?)
}

pub(super) fn known_job(connection: &Connection, id: JobId) -> Outcome<Kept> {
    find_job(connection, id)?.ok_or_else(|| refusals::no_such_job(id).into())
}

pub(super) fn job_by_no(connection: &Connection, no: i64) -> Outcome<Kept> {
    const JOB: &str =
        concat!("SELECT ", job_columns!(), " FROM jobs j JOIN submissions s ON s.job = j.no WHERE j.no = ?1");
    Ok(connection.prepare_cached(JOB)?.query_row([no], job)?)
}

pub(super) fn attempts_of(connection: &Connection, job: i64) -> Outcome<Vec<AttemptRecord>> {
    const ATTEMPTS: &str = concat!(
        "SELECT ",
        attempt_columns!(),
        " FROM attempts a JOIN launches l ON l.attempt = a.no WHERE a.job = ?1 ORDER BY a.number"
    );
    all(connection.prepare_cached(ATTEMPTS)?, [job], |row| attempt(row, 0))
}

pub(super) fn find_attempt(connection: &Connection, token: LaunchToken) -> Outcome<Option<Held>> {
    const ATTEMPT: &str = concat!(
        "SELECT ",
        job_columns!(),
        ", ",
        attempt_columns!(),
        " FROM jobs j JOIN submissions s ON s.job = j.no JOIN attempts a ON a.job = j.no \
          JOIN launches l ON l.attempt = a.no WHERE j.id = ?1 AND a.number = ?2"
    );
    let parameters = params![Id::from(token.job()), token.attempt()];
    Ok(connection.prepare_cached(ATTEMPT)?.query_row(parameters, held).optional()?)
}

pub(super) fn events_of(connection: &Connection, job: i64) -> Outcome<Vec<JobEvent>> {
    const EVENTS: &str = "SELECT at, attempt, kind, user, session, detail FROM events WHERE job = ?1 ORDER BY no";
    all(connection.prepare_cached(EVENTS)?, [job], event)
}

fn event(row: &Row<'_>) -> rusqlite::Result<JobEvent> {
    let user: Option<String> = row.get(3)?;
    let session: Option<Id> = row.get(4)?;
    let by = match (user, session) {
        (Some(name), None) => Actor::User(name),
        (None, Some(id)) => Actor::Dispatcher(SessionId::from_uuid(id.0)),
        _ => return Err(unreadable(3, FromSqlError::Other("an event that nobody did, or two".into()))),
    };
    let mut event = JobEvent::new(row.get::<_, Time>(0)?.0, &row.get::<_, String>(2)?, by);
    event.attempt = row.get(1)?;
    Ok(event.with_detail(row.get(5)?))
}

/// Adds to a job's history.
pub(super) fn tell(connection: &Connection, job: i64, event: &JobEvent) -> Outcome<()> {
    const TELL: &str =
        "INSERT INTO events (job, at, attempt, kind, user, session, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (user, session) = match &event.by {
        Actor::User(name) => (Some(name), None),
        Actor::Dispatcher(session) => (None, Some(Id::from(*session))),
    };
    let parameters = params![job, Time(event.at), event.attempt, event.kind, user, session, event.detail];
    connection.prepare_cached(TELL)?.execute(parameters)?;
    Ok(())
}
