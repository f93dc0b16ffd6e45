//! Reading jobs, attempts and histories.

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{JobId, LaunchToken, Result};
use sqlx::{Executor, Row, postgres::PgConnection};
use uuid::Uuid;

use super::{
    Failure, codec,
    query::OWN_PLANS,
    rows::{self, attempt_columns, record_columns},
    transact::Work,
};
use crate::{
    Adoption, AttemptRecord, AttemptState, Held, JobEvent, JobRecord, Pause, SessionId, StatusCounts, refusals,
};

/// The server's time, and not that of the transaction's beginning.
pub(super) struct Now;

#[async_trait]
impl Work for Now {
    type Answer = Timestamp;
    const OPERATION: &'static str = "ask for the time";

    async fn run(&self, connection: &mut PgConnection) -> Result<Timestamp, Failure> {
        const SQL: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000";
        let row = sqlx::query(SQL).fetch_one(connection).await?;
        Ok(codec::time(row.try_get(0)?))
    }
}

pub(super) struct OneJob(pub(super) JobId);

#[async_trait]
impl Work for OneJob {
    type Answer = JobRecord;
    const OPERATION: &'static str = "read a job";

    async fn run(&self, connection: &mut PgConnection) -> Result<JobRecord, Failure> {
        const SQL: &str = concat!(
            "SELECT ",
            record_columns!(),
            " FROM longshore_job j JOIN longshore_submission s ON s.job = j.id WHERE j.id = $1"
        );
        let row = sqlx::query(SQL).bind(self.0.as_uuid()).fetch_optional(connection).await?;
        rows::job_record(&row.ok_or_else(|| refusals::no_such_job(self.0))?)
    }
}

async fn must_exist(connection: &mut PgConnection, job: JobId) -> Result<(), Failure> {
    let found = sqlx::query("SELECT 1 FROM longshore_job WHERE id = $1").bind(job.as_uuid());
    match found.fetch_optional(connection).await? {
        Some(_) => Ok(()),
        None => Err(refusals::no_such_job(job).into()),
    }
}

pub(super) struct AttemptsOf(pub(super) JobId);

#[async_trait]
impl Work for AttemptsOf {
    type Answer = Vec<AttemptRecord>;
    const OPERATION: &'static str = "read attempts";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<AttemptRecord>, Failure> {
        must_exist(connection, self.0).await?;
        attempts_of(connection, &[*self.0.as_uuid()]).await
    }
}

/// The attempts of jobs, by job and number.
pub(super) async fn attempts_of(connection: &mut PgConnection, jobs: &[Uuid]) -> Result<Vec<AttemptRecord>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        attempt_columns!(),
        " FROM longshore_attempt a JOIN longshore_intent i ON i.job = a.job AND i.number = a.number \
         WHERE a.job = ANY($1) ORDER BY a.job, a.number"
    );
    let rows = sqlx::query(SQL).bind(jobs).fetch_all(connection).await?;
    rows.iter().map(rows::attempt_record).collect()
}

pub(super) struct EventsOf(pub(super) JobId);

#[async_trait]
impl Work for EventsOf {
    type Answer = Vec<JobEvent>;
    const OPERATION: &'static str = "read a history";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<JobEvent>, Failure> {
        must_exist(connection, self.0).await?;
        let events = events_of(connection, &[*self.0.as_uuid()]).await?;
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }
}

/// The histories of jobs, by job, the oldest first.
pub(super) async fn events_of(connection: &mut PgConnection, jobs: &[Uuid]) -> Result<Vec<(JobId, JobEvent)>, Failure> {
    let sql = "SELECT job, body FROM longshore_event WHERE job = ANY($1) ORDER BY job, seq";
    let rows = sqlx::query(sql).bind(jobs).fetch_all(connection).await?;
    let event = |row: &sqlx::postgres::PgRow| -> Result<(JobId, JobEvent), Failure> {
        let job = codec::job_id(row.try_get(0)?);
        Ok((job, codec::parsed(row.try_get(1)?, &format!("the history of job {job}"))?))
    };
    rows.iter().map(event).collect()
}

macro_rules! held_columns {
    () => {
        concat!(
            "SELECT ",
            record_columns!(),
            ", ",
            attempt_columns!(),
            " FROM longshore_attempt a JOIN longshore_intent i ON i.job = a.job AND i.number = a.number \
             JOIN longshore_job j ON j.id = a.job JOIN longshore_submission s ON s.job = a.job "
        )
    };
}

/// These attempts with their jobs, by job and number.
pub(super) async fn held_of(
    connection: &mut PgConnection,
    (jobs, numbers): (Vec<Uuid>, Vec<i32>),
) -> Result<Vec<Held>, Failure> {
    const SQL: &str = concat!(
        held_columns!(),
        "JOIN unnest($1::uuid[], $2::integer[]) AS t(job, number) ON a.job = t.job AND a.number = t.number \
         ORDER BY a.job, a.number"
    );
    let rows = sqlx::query(SQL).bind(jobs).bind(numbers).fetch_all(connection).await?;
    rows.iter().map(rows::held).collect()
}

/// A page of attempts that a session may take over.
pub(super) struct Free {
    pub(super) readable: Vec<Held>,
    /// The last one of the page, whether it could be read or not; none where nothing follows.
    pub(super) last: Option<LaunchToken>,
}

/// Open attempts that nobody holds, behind the given one, so many at most. Their rows are locked.
pub(super) async fn free_after(
    connection: &mut PgConnection,
    adoption: &Adoption,
    after: Option<LaunchToken>,
    most: usize,
) -> Result<Free, Failure> {
    const SQL: &str = concat!(
        held_columns!(),
        "WHERE a.open AND a.session IS NULL AND (a.host = ANY($1) OR a.created_at < $2) \
         AND (a.job, a.number) > ($3, $4) ORDER BY a.job, a.number LIMIT $5 FOR NO KEY UPDATE OF a"
    );
    let after = after.unwrap_or_else(|| codec::token(Uuid::nil(), 0));
    let rows = sqlx::query(SQL)
        .bind(adoption.hosts.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(codec::nanos(adoption.unserved_before))
        .bind(after.job().as_uuid())
        .bind(codec::integer(after.attempt()))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let token = |row: &sqlx::postgres::PgRow| -> Result<LaunchToken, Failure> {
        Ok(codec::token(row.try_get("job")?, row.try_get("number")?))
    };
    let last = rows.last().filter(|_| rows.len() == most).map(token).transpose()?;
    Ok(Free { readable: rows.iter().filter_map(|row| rows::readable(rows::held(row))).collect(), last })
}

/// The open attempts that a session holds.
pub(super) async fn held_by(connection: &mut PgConnection, session: SessionId) -> Result<Vec<Held>, Failure> {
    const SQL: &str = concat!(held_columns!(), "WHERE a.open AND a.session = $1 ORDER BY a.job, a.number");
    let rows = sqlx::query(SQL).bind(session.as_uuid()).fetch_all(connection).await?;
    Ok(rows.iter().filter_map(|row| rows::readable(rows::held(row))).collect())
}

/// The jobs whose open attempts a session holds, and of which something was asked.
pub(super) async fn wanted_of(connection: &mut PgConnection, session: SessionId) -> Result<Vec<JobRecord>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        record_columns!(),
        " FROM longshore_attempt a JOIN longshore_job j ON j.id = a.job JOIN longshore_submission s ON s.job = a.job \
         WHERE a.open AND a.session = $1 AND (j.cancelled OR NOT j.open) ORDER BY a.job, a.number"
    );
    let rows = sqlx::query(SQL).bind(session.as_uuid()).fetch_all(connection).await?;
    let jobs = rows.iter().filter_map(|row| rows::readable(rows::job_record(row)));
    Ok(jobs.filter(refusals::wants_attention).collect())
}

pub(super) struct OneAttempt(pub(super) LaunchToken);

#[async_trait]
impl Work for OneAttempt {
    type Answer = Held;
    const OPERATION: &'static str = "read an attempt";

    async fn run(&self, connection: &mut PgConnection) -> Result<Held, Failure> {
        let token = (vec![*self.0.job().as_uuid()], vec![codec::integer(self.0.attempt())]);
        held_of(connection, token).await?.pop().ok_or_else(|| refusals::no_such_attempt(self.0).into())
    }
}

pub(super) struct States<'a>(pub(super) &'a [LaunchToken]);

#[async_trait]
impl Work for States<'_> {
    type Answer = Vec<Option<AttemptState>>;
    const OPERATION: &'static str = "read the states of attempts";

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Answer, Failure> {
        let rows = sqlx::query(
            "SELECT a.state FROM unnest($1::uuid[], $2::integer[]) WITH ORDINALITY AS t(job, number, place) \
             LEFT JOIN longshore_attempt a ON a.job = t.job AND a.number = t.number ORDER BY t.place",
        )
        .bind(self.0.iter().map(|token| *token.job().as_uuid()).collect::<Vec<_>>())
        .bind(self.0.iter().map(|token| codec::integer(token.attempt())).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
        let state = |row: &sqlx::postgres::PgRow| -> Result<Option<AttemptState>, Failure> {
            Ok(row.try_get::<Option<i16>, _>(0)?.map(codec::state).transpose()?)
        };
        rows.iter().map(state).collect()
    }
}

pub(super) struct Counts;

#[async_trait]
impl Work for Counts {
    type Answer = StatusCounts;
    const OPERATION: &'static str = "count jobs";

    async fn run(&self, connection: &mut PgConnection) -> Result<StatusCounts, Failure> {
        connection.execute(OWN_PLANS).await?;
        let rows =
            sqlx::query("SELECT status, count(*) FROM longshore_job GROUP BY status").fetch_all(connection).await?;
        let count = |row: &sqlx::postgres::PgRow| -> Result<_, Failure> {
            Ok((codec::status(row.try_get(0)?)?, row.try_get::<i64, _>(1)?.unsigned_abs()))
        };
        rows.iter().map(count).collect()
    }
}

pub(super) struct Pauses;

#[async_trait]
impl Work for Pauses {
    type Answer = Vec<Pause>;
    const OPERATION: &'static str = "read pauses";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Pause>, Failure> {
        pauses(connection).await
    }
}

/// The pauses in force, that of everything first.
pub(super) async fn pauses(connection: &mut PgConnection) -> Result<Vec<Pause>, Failure> {
    let sql = "SELECT body FROM longshore_pause ORDER BY host COLLATE \"C\"";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(codec::parsed(row.try_get(0)?, "a pause")?)).collect()
}
