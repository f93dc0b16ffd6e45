//! Claims: one at a time, so that what is in use is known exactly.

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{HostName, JobStatus, Result, clock::later, price::Money};
use sqlx::{Row, postgres::PgConnection};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

use super::{
    Failure, codec,
    known::HeldRow,
    news, read,
    rows::{self, JobRow, record_columns},
    schema::Installation,
    sessions,
    transact::Work,
    write::{self, Writes},
};
use crate::{
    Actor, AttemptRecord, Charge, Claim, Claimed, Held, InUse, JobEvent, JobRecord, News, Placement, Placer,
    WaitingFor, refusals,
};

/// How many jobs whose time has come are moved to the front line by one claim.
const DUE: i64 = 10_000;

/// When the queue is looked at again because some jobs in it could not be.
const SOON: Duration = Duration::from_secs(1);

pub(super) struct Claiming<'a> {
    pub(super) claim: &'a Claim,
    pub(super) placer: &'a dyn Placer,
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for Claiming<'_> {
    /// With the rows of what was claimed.
    type Answer = (Claimed, Vec<HeldRow>);
    const OPERATION: &'static str = "claim";

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Answer, Failure> {
        let version = sessions::alive(connection, self.claim.session).await?;
        one_at_a_time(connection).await?;
        wake_due(connection, self.claim.now).await?;
        let lines = lines(connection).await?;
        // Where nobody waits, nobody has to know what is in use.
        let in_use = if lines.is_empty() { InUse::default() } else { self.in_use(connection).await? };
        let (jobs, passed_over) = self.first(connection, lines, &in_use).await?;
        let placements = if jobs.is_empty() { Vec::new() } else { self.placer.place(&jobs, &in_use) };
        refusals::only_next_attempts(&jobs, &placements)?;
        let mut claimed = Claimed { looked_at: jobs.len(), ..Claimed::default() };
        let mut settling = Settling { claim: self.claim, writes: Writes::default(), launched: Vec::new() };
        for (job, placement) in jobs.into_iter().zip(placements) {
            settling.settle(job, placement);
        }
        let Settling { mut writes, launched, .. } = settling;
        claimed.held = launched;
        let attempts: Vec<&AttemptRecord> = claimed.held.iter().map(|held| &held.attempt).collect();
        write::insert_attempts(connection, &attempts).await?;
        writes.flush(connection).await?;
        claimed.next_at = self.next_at(connection, passed_over).await?;
        news::send(connection, self.installation, News { moves: claimed.looked_at > 0, ..News::default() }).await?;
        let rows = claimed.held.iter().map(|held| HeldRow::written(held, &version)).collect();
        Ok((claimed, rows))
    }
}

/// Waits until nobody else claims, and lets nobody else claim until the end of the transaction.
async fn one_at_a_time(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query("SELECT pg_advisory_xact_lock('longshore_job'::regclass::oid::int, 0)").execute(connection).await?;
    Ok(())
}

/// Jobs that somebody asks something of at this moment are left out here and below: nobody waits for anybody else's lock of
/// a job while having some.
async fn wake_due(connection: &mut PgConnection, now: Timestamp) -> Result<(), Failure> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        rows::job_columns!(),
        " FROM longshore_job j WHERE j.until <= $1 ORDER BY j.until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED"
    ))
    .bind(codec::nanos(now))
    .bind(DUE)
    .fetch_all(&mut *connection)
    .await?;
    wake(connection, &rows).await
}

/// Lets jobs, which are locked, wait for nothing.
async fn wake(connection: &mut PgConnection, rows: &[sqlx::postgres::PgRow]) -> Result<(), Failure> {
    let mut writes = Writes::default();
    let mut newer: (Vec<Uuid>, Vec<String>) = Default::default();
    for row in rows {
        if let Ok(mut job) = JobRow::read(row) {
            job.wait_for(WaitingFor::NOTHING);
            writes.jobs.insert(job.id, job);
        } else if let Some(rest) = rows::readable(row.try_get("rest").map_err(Failure::from))
            && let Some(rest) = rows::readable(rows::Rest::without_hosts(rest).map_err(Failure::from))
        {
            newer.0.push(row.try_get("id")?);
            newer.1.push(rest);
        }
    }
    write::wake_newer(connection, newer).await?;
    writes.flush(connection).await
}

impl Claiming<'_> {
    async fn in_use(&self, connection: &mut PgConnection) -> Result<InUse, Failure> {
        let mut in_use = InUse { pauses: read::pauses(connection).await?, ..InUse::default() };
        let sql = "SELECT host, count(*) FROM longshore_attempt WHERE open AND state IN (0, 1) GROUP BY host";
        for row in sqlx::query(sql).fetch_all(&mut *connection).await? {
            let host = codec::parsed_name::<HostName>(row.try_get(0)?, "the host of an attempt")?;
            in_use.hosts.insert(host, u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u32::MAX));
        }
        if !self.claim.periods.is_empty() {
            in_use.charged = self.charged(connection).await?;
        }
        Ok(in_use)
    }

    async fn charged(&self, connection: &mut PgConnection) -> Result<Vec<Charge>, Failure> {
        let periods: BTreeSet<_> = self.claim.periods.iter().collect();
        let rows = sqlx::query(
            "SELECT n.place, c.currency, c.amount::text \
             FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS n(budget, period, place) \
             JOIN longshore_charged c ON c.budget = n.budget AND c.period = n.period \
             ORDER BY n.place, c.currency COLLATE \"C\"",
        )
        .bind(periods.iter().map(|(budget, _)| budget.to_string()).collect::<Vec<_>>())
        .bind(periods.iter().map(|(_, period)| codec::period(*period)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
        let periods: Vec<_> = periods.into_iter().collect();
        let mut charged = Vec::new();
        for row in rows {
            let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
            let Some((budget, period)) = place.checked_sub(1).and_then(|at| periods.get(at)) else { continue };
            if let Some(amount) = money(row.try_get(2)?, row.try_get(1)?)? {
                charged.push(Charge::new(budget.clone(), *period, amount));
            }
        }
        Ok(charged)
    }

    /// When to look again. What is due by now could not be woken, and what was passed over is somebody else's for a moment:
    /// nobody tells when it is not any more.
    async fn next_at(&self, connection: &mut PgConnection, passed_over: bool) -> Result<Option<Timestamp>, Failure> {
        let sql = "SELECT min(until) FROM longshore_job WHERE until IS NOT NULL";
        let row = sqlx::query(sql).fetch_one(connection).await?;
        let next = row.try_get::<Option<i64>, _>(0)?.map(codec::time);
        let soon = later(self.claim.now, SOON);
        let next = next.map(|next| if next <= self.claim.now { soon } else { next });
        Ok(if passed_over { Some(next.map_or(soon, |next| next.min(soon))) } else { next })
    }

    /// The jobs to be looked at, by their place in the queue: as many of each line as there is room for; and whether some
    /// were passed over because somebody has their rows. Neither those nor what can't be read hide what is behind them.
    async fn first(
        &self,
        connection: &mut PgConnection,
        lines: Vec<Line>,
        in_use: &InUse,
    ) -> Result<(Vec<JobRecord>, bool), Failure> {
        let mut wanted: (Vec<Uuid>, Vec<i64>) = Default::default();
        for (line, hosts) in lines {
            let room = if hosts.is_empty() { self.claim.most } else { self.placer.room(&hosts, in_use) };
            let room = room.min(self.claim.most);
            if room > 0 {
                wanted.0.push(line);
                wanted.1.push(i64::try_from(room).unwrap_or(i64::MAX));
            }
        }
        let (mut left, mut passed_over) = (Vec::new(), false);
        loop {
            let chosen = self.choose(connection, &wanted, &left).await?;
            if chosen.is_empty() {
                return Ok((Vec::new(), passed_over));
            }
            let (jobs, locked) = lock(connection, &chosen).await?;
            passed_over |= locked < chosen.len();
            if jobs.len() == chosen.len() {
                return Ok((jobs, passed_over));
            }
            let found: BTreeSet<Uuid> = jobs.iter().map(|job| *job.id().as_uuid()).collect();
            left.extend(chosen.into_iter().filter(|id| !found.contains(id)));
        }
    }

    /// The first jobs of these lines, without those that are left out.
    async fn choose(
        &self,
        connection: &mut PgConnection,
        (lines, rooms): &(Vec<Uuid>, Vec<i64>),
        left: &[Uuid],
    ) -> Result<Vec<Uuid>, Failure> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT f.id FROM unnest($1::uuid[], $2::bigint[]) AS l(line, room) \
             CROSS JOIN LATERAL (SELECT q.id, q.place FROM longshore_job q WHERE q.line = l.line AND q.id <> ALL($4) \
             ORDER BY q.place, q.id LIMIT l.room) f ORDER BY f.place, f.id LIMIT $3",
        )
        .bind(lines)
        .bind(rooms)
        .bind(i64::try_from(self.claim.most).unwrap_or(i64::MAX))
        .bind(left)
        .fetch_all(connection)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

/// Locks the rows of jobs that wait, and reads those that can be read; with how many were locked.
async fn lock(connection: &mut PgConnection, chosen: &[Uuid]) -> Result<(Vec<JobRecord>, usize), Failure> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        record_columns!(),
        " FROM unnest($1::uuid[]) WITH ORDINALITY AS f(id, place) JOIN longshore_job j ON j.id = f.id \
         JOIN longshore_submission s ON s.job = f.id \
         WHERE j.line IS NOT NULL ORDER BY f.place FOR NO KEY UPDATE OF j SKIP LOCKED"
    ))
    .bind(chosen)
    .fetch_all(connection)
    .await?;
    Ok((rows.iter().filter_map(|row| rows::readable(rows::job_record(row))).collect(), rows.len()))
}

/// A line in which jobs wait, and the hosts for which they do.
type Line = (Uuid, BTreeSet<HostName>);

/// All of them: from one to the next, however many wait in each.
async fn lines(connection: &mut PgConnection) -> Result<Vec<Line>, Failure> {
    let rows = sqlx::query(
        "WITH RECURSIVE lines AS (\
         (SELECT line FROM longshore_job WHERE line IS NOT NULL ORDER BY line LIMIT 1) \
         UNION ALL \
         SELECT (SELECT j.line FROM longshore_job j WHERE j.line > l.line ORDER BY j.line LIMIT 1) \
         FROM lines l WHERE l.line IS NOT NULL) \
         SELECT l.line, (SELECT j.rest FROM longshore_job j WHERE j.line = l.line ORDER BY j.place, j.id LIMIT 1) \
         FROM lines l WHERE l.line IS NOT NULL",
    )
    .fetch_all(connection)
    .await?;
    let line = |row: &sqlx::postgres::PgRow| -> Result<_, Failure> {
        let line: Uuid = row.try_get(0)?;
        Ok((line, if line.is_nil() { BTreeSet::new() } else { rows::Rest::hosts_in(row.try_get(1)?)? }))
    };
    Ok(rows.iter().filter_map(|row| rows::readable(line(row))).collect())
}

fn money(amount: &str, currency: &str) -> Result<Option<Money>> {
    let what = "an account";
    let currency = codec::parsed_name(currency.to_owned(), what)?;
    Ok(Money::new(codec::decimal(amount, what)?, currency))
}

/// What becomes of the jobs that were looked at.
struct Settling<'a> {
    claim: &'a Claim,
    writes: Writes,
    launched: Vec<Held>,
}

impl Settling<'_> {
    fn settle(&mut self, job: JobRecord, placement: Placement) {
        let id = job.id();
        match placement {
            Placement::Leave => {}
            Placement::Wait { reason, waiting_for } => {
                if job.waiting_for.hosts != waiting_for.hosts || job.reason.is_none() {
                    self.tell(&job, "waiting", Some(reason.clone()));
                }
                let mut row = JobRow::of(&job);
                row.rest.reason = Some(reason);
                row.wait_for(waiting_for);
                self.writes.jobs.insert(id, row);
            }
            Placement::Refuse { reason, .. } => self.end(&job, JobStatus::Failed, reason),
            Placement::GiveUp => self.end(&job, JobStatus::TimedOut, refusals::waited_too_long(&job)),
            Placement::Launch(intent) => {
                self.launch(job, AttemptRecord::new(*intent, self.claim.session, self.claim.now));
            }
        }
    }

    fn event(&self, kind: &str) -> JobEvent {
        JobEvent::new(self.claim.now, kind, Actor::Dispatcher(self.claim.session))
    }

    fn tell(&mut self, job: &JobRecord, kind: &str, detail: Option<String>) {
        let event = self.event(kind).with_detail(detail);
        self.writes.tell(job.id(), event);
    }

    fn end(&mut self, job: &JobRecord, status: JobStatus, reason: String) {
        self.tell(job, "ended", Some(reason.clone()));
        let mut row = JobRow::of(job);
        row.finish(status, reason, self.claim.now);
        self.writes.jobs.insert(job.id(), row);
    }

    fn launch(&mut self, mut job: JobRecord, attempt: AttemptRecord) {
        let number = attempt.token().attempt();
        let event = self.event("claimed").of_attempt(number);
        self.writes.tell(job.id(), event.with_detail(Some(format!("on host {}", attempt.host()))));
        self.writes.charge(&[], &attempt.charges);
        job.begin(&attempt);
        self.writes.jobs.insert(job.id(), JobRow::of(&job));
        self.launched.push(Held::new(job, attempt));
    }
}

pub(super) struct WakeQueue<'a> {
    pub(super) session: crate::SessionId,
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for WakeQueue<'_> {
    type Answer = ();
    const OPERATION: &'static str = "wake the queue";

    async fn run(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        sessions::alive(connection, self.session).await?;
        one_at_a_time(connection).await?;
        wake_waiting(connection).await?;
        news::send(connection, self.installation, News { queue: true, ..News::default() }).await
    }
}

/// Lets every job wait for nothing, some thousands at a time.
async fn wake_waiting(connection: &mut PgConnection) -> Result<(), Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        rows::job_columns!(),
        " FROM longshore_job j WHERE j.open AND j.id > $1 AND (j.line <> $2 OR j.until IS NOT NULL) \
         ORDER BY j.id LIMIT $3 FOR NO KEY UPDATE"
    );
    let mut after = Uuid::nil();
    loop {
        let asked = sqlx::query(SQL).bind(after).bind(Uuid::nil()).bind(DUE);
        let rows = asked.fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("id")?;
        wake(connection, &rows).await?;
    }
}
