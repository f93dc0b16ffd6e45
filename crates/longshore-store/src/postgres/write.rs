//! Writing many rows at once.

use longshore_core::{JobId, JobStatus, LaunchToken, Result};
use rust_decimal::Decimal;
use sqlx::{
    Postgres,
    postgres::{PgArguments, PgConnection},
    query::Query,
};
use std::collections::BTreeMap;
use uuid::Uuid;

use super::{
    Failure, codec,
    rows::{AttemptRow, JobRow},
};
use crate::{AttemptRecord, Charge, Held, JobEvent, SessionId};

/// A budget, its period, a currency.
type Account = (String, i64, String);

/// What a transaction is about to write, gathered so that each table is written once.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) jobs: BTreeMap<JobId, JobRow>,
    pub(super) attempts: BTreeMap<LaunchToken, AttemptRow>,
    events: Vec<(JobId, JobEvent)>,
    charges: BTreeMap<Account, Decimal>,
}

impl Writes {
    pub(super) fn tell(&mut self, job: JobId, event: JobEvent) {
        self.events.push((job, event));
    }

    /// Counts charges in the place of others.
    pub(super) fn charge(&mut self, before: &[Charge], after: &[Charge]) {
        let account = |charge: &Charge| {
            let currency = charge.amount.currency().to_string();
            (charge.budget.to_string(), codec::period(charge.period), currency)
        };
        for charge in after {
            *self.charges.entry(account(charge)).or_default() += charge.amount.amount();
        }
        for charge in before {
            *self.charges.entry(account(charge)).or_default() -= charge.amount.amount();
        }
    }

    /// Writes everything that was gathered.
    pub(super) async fn flush(&mut self, connection: &mut PgConnection) -> Result<(), Failure> {
        update_jobs(connection, std::mem::take(&mut self.jobs).into_values()).await?;
        update_attempts(connection, std::mem::take(&mut self.attempts).into_values()).await?;
        insert_events(connection, std::mem::take(&mut self.events)).await?;
        add_charges(connection, std::mem::take(&mut self.charges)).await
    }
}

/// Columns of jobs, one array each.
#[derive(Default)]
struct JobColumns {
    id: Vec<Uuid>,
    status: Vec<i16>,
    open: Vec<bool>,
    finished_at: Vec<Option<i64>>,
    line: Vec<Option<Uuid>>,
    until: Vec<Option<i64>>,
    attempts: Vec<i32>,
    exit_code: Vec<Option<i32>>,
    cancelled: Vec<bool>,
    host: Vec<Option<String>>,
    executor: Vec<Option<String>>,
    rest: Vec<String>,
    seen: Vec<Option<String>>,
}

impl JobColumns {
    fn of(jobs: impl Iterator<Item = JobRow>) -> Result<Self> {
        let mut columns = Self::default();
        for job in jobs {
            columns.id.push(*job.id.as_uuid());
            columns.status.push(codec::status_number(job.status));
            columns.open.push(!job.status.is_terminal());
            columns.finished_at.push(job.finished_at.map(codec::nanos));
            columns.line.push(job.line());
            columns.until.push(job.until.filter(|_| job.status == JobStatus::Pending).map(codec::nanos));
            columns.attempts.push(codec::integer(job.attempts));
            columns.exit_code.push(job.exit_code);
            columns.cancelled.push(job.rest.cancel.is_some());
            columns.rest.push(codec::json(&job.rest)?);
            columns.seen.push(job.seen);
            columns.host.push(job.host.map(String::from));
            columns.executor.push(job.executor_type.map(String::from));
        }
        Ok(columns)
    }

    /// A statement with them as its parameters $1 to $12, without the versions.
    fn bound_to(self, sql: &'static str) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(sql)
            .bind(self.id)
            .bind(self.status)
            .bind(self.open)
            .bind(self.finished_at)
            .bind(self.line)
            .bind(self.until)
            .bind(self.attempts)
            .bind(self.exit_code)
            .bind(self.cancelled)
            .bind(self.host)
            .bind(self.executor)
            .bind(self.rest)
    }
}

async fn update_jobs(connection: &mut PgConnection, jobs: impl Iterator<Item = JobRow>) -> Result<(), Failure> {
    let mut columns = JobColumns::of(jobs)?;
    let all = columns.id.len();
    if all == 0 {
        return Ok(());
    }
    let seen = std::mem::take(&mut columns.seen);
    let written = columns
        .bound_to(
            "UPDATE longshore_job j SET status = n.status, open = n.open, finished_at = n.finished_at, line = n.line, \
         until = n.until, attempts = n.attempts, exit_code = n.exit_code, cancelled = n.cancelled, host = n.host, \
         executor = n.executor, rest = n.rest \
         FROM unnest($1::uuid[], $2::smallint[], $3::boolean[], $4::bigint[], $5::uuid[], $6::bigint[], $7::integer[], \
         $8::integer[], $9::boolean[], $10::text[], $11::text[], $12::text[], $13::text[]) AS n(id, status, open, \
         finished_at, line, until, attempts, exit_code, cancelled, host, executor, rest, seen) \
         WHERE j.id = n.id AND (n.seen IS NULL OR j.xmin = n.seen::xid)",
        )
        .bind(seen)
        .execute(connection)
        .await?;
    none_is_overtaken(written.rows_affected(), all)
}

/// Lets jobs wait for nothing of which only a newer version can read everything, whose rows are locked.
pub(super) async fn wake_newer(
    connection: &mut PgConnection,
    (ids, rests): (Vec<Uuid>, Vec<String>),
) -> Result<(), Failure> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE longshore_job j SET line = $3, until = NULL, rest = n.rest \
         FROM unnest($1::uuid[], $2::text[]) AS n(id, rest) WHERE j.id = n.id",
    )
    .bind(ids)
    .bind(rests)
    .bind(Uuid::nil())
    .execute(connection)
    .await?;
    Ok(())
}

/// Each row was written, and not left out because it is of another version.
fn none_is_overtaken(written: u64, all: usize) -> Result<(), Failure> {
    if usize::try_from(written).is_ok_and(|written| written == all) { Ok(()) } else { Err(Failure::Overtaken) }
}

/// Inserts the rows of new jobs; their places are given, because they come from the submissions.
pub(super) async fn insert_jobs(
    connection: &mut PgConnection,
    jobs: Vec<JobRow>,
    places: Vec<i64>,
) -> Result<(), Failure> {
    let submitted_at: Vec<i64> = jobs.iter().map(|job| codec::nanos(job.submitted_at)).collect();
    let columns = JobColumns::of(jobs.into_iter())?;
    columns.bound_to(
        "INSERT INTO longshore_job (id, status, open, finished_at, line, until, attempts, exit_code, cancelled, host, \
         executor, rest, submitted_at, place) \
         SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::boolean[], $4::bigint[], $5::uuid[], $6::bigint[], \
         $7::integer[], $8::integer[], $9::boolean[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[])",
    )
    .bind(submitted_at)
    .bind(places)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes that a session holds attempts from now on, whose rows are locked.
pub(super) async fn take(connection: &mut PgConnection, session: SessionId, held: &[Held]) -> Result<(), Failure> {
    if held.is_empty() {
        return Ok(());
    }
    let attempts = || held.iter().map(|held| &held.attempt);
    sqlx::query(
        "UPDATE longshore_attempt a SET session = $1, quiet_at = n.quiet_at \
         FROM unnest($2::uuid[], $3::integer[], $4::bigint[]) AS n(job, number, quiet_at) \
         WHERE a.job = n.job AND a.number = n.number",
    )
    .bind(session.as_uuid())
    .bind(attempts().map(|attempt| *attempt.token().job().as_uuid()).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| codec::integer(attempt.token().attempt())).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.quiet_at.map(codec::nanos)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Columns of attempts, one array each.
#[derive(Default)]
struct AttemptColumns {
    job: Vec<Uuid>,
    number: Vec<i32>,
    state: Vec<i16>,
    open: Vec<bool>,
    session: Vec<Option<Uuid>>,
    launched_at: Vec<Option<i64>>,
    started_at: Vec<Option<i64>>,
    ended_at: Vec<Option<i64>>,
    closed_at: Vec<Option<i64>>,
    charges: Vec<Option<String>>,
    handle: Vec<Option<String>>,
    outcome: Vec<Option<String>>,
    seen: Vec<Option<String>>,
}

impl AttemptColumns {
    fn of(attempts: impl Iterator<Item = AttemptRow>) -> Result<Self> {
        let mut columns = Self::default();
        for attempt in attempts {
            columns.job.push(*attempt.token.job().as_uuid());
            columns.number.push(codec::integer(attempt.token.attempt()));
            columns.state.push(codec::state_number(attempt.state));
            columns.open.push(attempt.state.is_open());
            columns.session.push(attempt.session.map(|session| *session.as_uuid()));
            columns.launched_at.push(attempt.launched_at.map(codec::nanos));
            columns.started_at.push(attempt.started_at.map(codec::nanos));
            columns.ended_at.push(attempt.ended_at.map(codec::nanos));
            columns.closed_at.push(attempt.closed_at.map(codec::nanos));
            columns.charges.push(charges_text(&attempt.charges)?);
            columns.handle.push(attempt.handle);
            columns.outcome.push(attempt.outcome);
            columns.seen.push(attempt.seen);
        }
        Ok(columns)
    }
}

fn charges_text(charges: &[Charge]) -> Result<Option<String>> {
    (!charges.is_empty()).then(|| codec::json(charges)).transpose()
}

async fn update_attempts(
    connection: &mut PgConnection,
    attempts: impl Iterator<Item = AttemptRow>,
) -> Result<(), Failure> {
    let columns = AttemptColumns::of(attempts)?;
    let all = columns.job.len();
    if all == 0 {
        return Ok(());
    }
    let written = sqlx::query(
        "UPDATE longshore_attempt a SET state = n.state, open = n.open, session = n.session, launched_at = n.launched_at, \
         started_at = n.started_at, ended_at = n.ended_at, closed_at = n.closed_at, charges = n.charges, \
         handle = coalesce(n.handle, a.handle), outcome = coalesce(n.outcome, a.outcome) \
         FROM unnest($1::uuid[], $2::integer[], $3::smallint[], $4::boolean[], $5::uuid[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[]) AS n(job, number, state, open, \
         session, launched_at, started_at, ended_at, closed_at, charges, handle, outcome, seen) \
         WHERE a.job = n.job AND a.number = n.number AND (n.seen IS NULL OR a.xmin = n.seen::xid)",
    )
    .bind(columns.job)
    .bind(columns.number)
    .bind(columns.state)
    .bind(columns.open)
    .bind(columns.session)
    .bind(columns.launched_at)
    .bind(columns.started_at)
    .bind(columns.ended_at)
    .bind(columns.closed_at)
    .bind(columns.charges)
    .bind(columns.handle)
    .bind(columns.outcome)
    .bind(columns.seen)
    .execute(connection)
    .await?;
    none_is_overtaken(written.rows_affected(), all)
}

/// Inserts attempts with their intents. An attempt that is there already is a claim's mistake, and refused as a whole.
pub(super) async fn insert_attempts(connection: &mut PgConnection, attempts: &[&AttemptRecord]) -> Result<(), Failure> {
    if attempts.is_empty() {
        return Ok(());
    }
    let row = |attempt: &AttemptRecord| -> Result<AttemptRow> {
        Ok(AttemptRow {
            handle: attempt.handle.as_ref().map(codec::json).transpose()?,
            outcome: attempt.outcome.as_ref().map(codec::json).transpose()?,
            ..AttemptRow::of(attempt)
        })
    };
    let rows = attempts.iter().copied().map(row).collect::<Result<Vec<_>>>()?;
    let columns = AttemptColumns::of(rows.into_iter())?;
    let of = |part: fn(&AttemptRecord) -> Option<i64>| attempts.iter().copied().map(part).collect::<Vec<_>>();
    let texts =
        |part: fn(&AttemptRecord) -> Result<String>| attempts.iter().copied().map(part).collect::<Result<Vec<_>>>();
    sqlx::query(
        "INSERT INTO longshore_intent (job, number, request, decision) \
         SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[])",
    )
    .bind(&columns.job)
    .bind(&columns.number)
    .bind(texts(|attempt| codec::json(&attempt.request))?)
    .bind(texts(|attempt| codec::json(&attempt.decision))?)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO longshore_attempt (job, number, state, open, session, launched_at, started_at, ended_at, closed_at, \
         charges, handle, outcome, host, quiet_at, created_at) \
         SELECT * FROM unnest($1::uuid[], $2::integer[], $3::smallint[], $4::boolean[], $5::uuid[], $6::bigint[], \
         $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[], \
         $15::bigint[])",
    )
    .bind(columns.job)
    .bind(columns.number)
    .bind(columns.state)
    .bind(columns.open)
    .bind(columns.session)
    .bind(columns.launched_at)
    .bind(columns.started_at)
    .bind(columns.ended_at)
    .bind(columns.closed_at)
    .bind(columns.charges)
    .bind(columns.handle)
    .bind(columns.outcome)
    .bind(attempts.iter().map(|attempt| attempt.host().to_string()).collect::<Vec<_>>())
    .bind(of(|attempt| attempt.quiet_at.map(codec::nanos)))
    .bind(of(|attempt| Some(codec::nanos(attempt.created_at))))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn insert_events(
    connection: &mut PgConnection,
    events: Vec<(JobId, JobEvent)>,
) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let bodies = events.iter().map(|(_, event)| codec::json(event)).collect::<Result<Vec<_>>>()?;
    sqlx::query(
        "INSERT INTO longshore_event (job, body) SELECT e.job, e.body \
         FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS e(job, body, place) ORDER BY e.place",
    )
    .bind(events.iter().map(|(job, _)| *job.as_uuid()).collect::<Vec<_>>())
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds to accounts, in one order, so that nobody waits in a circle.
async fn add_charges(connection: &mut PgConnection, charges: BTreeMap<Account, Decimal>) -> Result<(), Failure> {
    if charges.is_empty() {
        return Ok(());
    }
    let mut columns: (Vec<String>, Vec<i64>, Vec<String>, Vec<String>) = Default::default();
    for ((budget, period, currency), amount) in charges {
        columns.0.push(budget);
        columns.1.push(period);
        columns.2.push(currency);
        columns.3.push(amount.to_string());
    }
    sqlx::query(
        "INSERT INTO longshore_charged AS c (budget, period, currency, amount) \
         SELECT n.budget, n.period, n.currency, n.amount::numeric \
         FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY \
         AS n(budget, period, currency, amount, place) ORDER BY n.place \
         ON CONFLICT (budget, period, currency) DO UPDATE SET amount = c.amount + excluded.amount",
    )
    .bind(columns.0)
    .bind(columns.1)
    .bind(columns.2)
    .bind(columns.3)
    .execute(connection)
    .await?;
    Ok(())
}
