//! Recording what happened to attempts.

use async_trait::async_trait;
use longshore_core::{JobId, LaunchToken, Result};
use sqlx::{
    Row,
    postgres::{PgConnection, PgRow},
};
use std::collections::{BTreeMap, BTreeSet};

use super::{
    Failure, codec,
    known::{HeldRow, Known},
    news,
    pool::Pool,
    read,
    rows::{self, AttemptRow, JobRow, job_columns, moving_columns},
    schema::Installation,
    sessions,
    transact::Work,
    write::Writes,
};
use crate::{Actor, AttemptState, Change, JobEvent, JobMove, News, SessionId, What, refusals};

pub(super) struct Record<'a> {
    pub(super) session: SessionId,
    pub(super) changes: &'a [Change],
    pub(super) pool: &'a Pool,
    pub(super) known: &'a Known,
    pub(super) installation: &'a Installation,
}

pub(super) struct Recorded {
    pub(super) answers: Vec<Result<()>>,
    /// As what was written stands once it is committed.
    pub(super) rows: Vec<HeldRow>,
    /// On which server.
    pub(super) server: u64,
}

#[async_trait]
impl Work for Record<'_> {
    type Answer = Recorded;
    const OPERATION: &'static str = "record";

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Answer, Failure> {
        let server = self.pool.server_number();
        let version = sessions::alive(connection, self.session).await?;
        let tokens = self.changes.iter().map(|change| change.token).collect();
        let known = self.known.take(server, &tokens);
        let mut book = Book::open(connection, self.changes, tokens, known).await?;
        let mut answers = Vec::with_capacity(self.changes.len());
        for change in self.changes {
            answers.push(match book.enter(connection, self.session, change).await {
                Ok(()) => Ok(()),
                // What is known may be old: what is refused for it is looked at once more.
                Err(Failure::Refused(_)) if book.is_unread(change.token) => return Err(Failure::Overtaken),
                Err(Failure::Refused(refusal)) => Err(refusal),
                Err(failure) => return Err(failure),
            });
        }
        book.flush(connection).await?;
        let queue = self.changes.iter().any(|change| matches!(change.what, What::Ended { .. }));
        news::send(connection, self.installation, News { queue, moves: true, ..News::default() }).await?;
        Ok(Recorded { answers, rows: book.into_rows(&version), server })
    }
}

/// The jobs and attempts that changes are about, as they stand after the changes entered so far.
#[derive(Default)]
struct Book {
    jobs: BTreeMap<JobId, JobRow>,
    attempts: BTreeMap<LaunchToken, AttemptRow>,
    /// Of which attempts something was known already and not read.
    unread: BTreeSet<LaunchToken>,
    /// The jobs that were known already and not read, perhaps with another attempt than the one that is asked for.
    unread_jobs: BTreeSet<JobId>,
    writes: Writes,
}

impl Book {
    /// Reads what is not known. Jobs are locked, in one order, so that nobody waits in a circle; what is known is not, and
    /// neither are attempts: hardly anybody else changes what the session holds, and whoever does is noticed when it is
    /// written.
    async fn open(
        connection: &mut PgConnection,
        changes: &[Change],
        mut tokens: BTreeSet<LaunchToken>,
        known: Vec<HeldRow>,
    ) -> Result<Self, Failure> {
        let mut book = Self::default();
        for HeldRow { attempt, job } in known {
            book.unread.insert(attempt.token);
            book.attempts.insert(attempt.token, attempt);
            book.unread_jobs.extend(job.as_ref().map(|job| job.id));
            book.jobs.extend(job.map(|job| (job.id, job)));
        }
        let moving = changes.iter().filter(|change| change.effect().job.is_some()).map(|change| change.token.job());
        let unknown: BTreeSet<JobId> = moving.filter(|job| !book.jobs.contains_key(job)).collect();
        if !unknown.is_empty() {
            book.jobs.extend(lock_jobs(connection, unknown).await?);
        }
        tokens.retain(|token| !book.unread.contains(token));
        if !tokens.is_empty() {
            book.attempts.extend(read_attempts(connection, tokens).await?);
        }
        Ok(book)
    }

    /// What it holds, once it is flushed and committed: rows without a version were written by this transaction.
    fn into_rows(self, version: &str) -> Vec<HeldRow> {
        let Self { mut jobs, attempts, .. } = self;
        let version = || Some(version.to_owned());
        let row = |mut attempt: AttemptRow| {
            attempt.seen = attempt.seen.or_else(version);
            let job = jobs.remove(&attempt.token.job());
            HeldRow { attempt, job: job.map(|job| JobRow { seen: job.seen.clone().or_else(version), ..job }) }
        };
        attempts.into_values().map(row).collect()
    }

    fn is_unread(&self, token: LaunchToken) -> bool {
        self.unread.contains(&token) || self.unread_jobs.contains(&token.job())
    }

    fn attempt(&self, token: LaunchToken) -> Result<&AttemptRow> {
        self.attempts.get(&token).ok_or_else(|| refusals::no_such_attempt(token))
    }

    /// Writes what was entered. From then on those rows are this transaction's.
    async fn flush(&mut self, connection: &mut PgConnection) -> Result<(), Failure> {
        for token in self.writes.attempts.keys() {
            self.attempts.entry(*token).and_modify(|attempt| {
                (attempt.seen, attempt.handle, attempt.outcome) = Default::default();
            });
        }
        for job in self.writes.jobs.keys() {
            self.jobs.entry(*job).and_modify(|job| job.seen = None);
        }
        self.writes.flush(connection).await
    }

    /// Enters one change, or refuses it, which leaves everything as it was.
    async fn enter(
        &mut self,
        connection: &mut PgConnection,
        session: SessionId,
        change: &Change,
    ) -> Result<(), Failure> {
        let attempt = self.attempt(change.token)?.clone();
        if self.is_known(connection, &attempt, change).await? {
            return Ok(());
        }
        if !change.may_be_told(session, attempt.session, attempt.state) {
            return Err(refusals::stale(change, attempt.state).into());
        }
        let effect = change.effect();
        let job = self.jobs.get(&change.token.job()).cloned();
        let cancelled = job.as_ref().is_some_and(|job| job.rest.cancel.is_some());
        let job_move = effect.job.map(|it| if cancelled { it.of_cancelled() } else { it });
        if job_move.as_ref().is_some_and(|it| job.as_ref().is_none_or(|job| !it.from().contains(&job.status))) {
            return Err(refusals::stale(change, attempt.state).into());
        }
        let by = Actor::Dispatcher(session);
        let event = JobEvent::new(change.at, effect.kind, by).of_attempt(change.token.attempt());
        let event = event.with_detail(effect.detail);
        if matches!(change.what, What::Noted(_)) && self.is_told(connection, change, &event).await? {
            return Ok(());
        }
        self.writes.tell(change.token.job(), event);
        if let (Some(job), Some(job_move)) = (job, job_move) {
            self.move_job(job, change, job_move);
        }
        self.move_attempt(connection, change, effect.attempt).await
    }

    /// Whether exactly this was recorded before. That is read in full only where the little that is at hand allows it.
    async fn is_known(
        &mut self,
        connection: &mut PgConnection,
        attempt: &AttemptRow,
        change: &Change,
    ) -> Result<bool, Failure> {
        let perhaps = match &change.what {
            What::Started => return Ok(attempt.started_at.is_some()),
            What::Closed => return Ok(attempt.closed_at == Some(change.at)),
            What::Noted(_) => return Ok(false),
            What::Renewed(_) => true,
            What::Launched(_) => attempt.launched_at == Some(change.at),
            What::Ended { .. } => attempt.ended_at == Some(change.at),
        };
        if !perhaps {
            return Ok(false);
        }
        self.flush(connection).await?;
        let token = (vec![*change.token.job().as_uuid()], vec![codec::integer(change.token.attempt())]);
        let held = read::held_of(connection, token).await?.pop();
        Ok(held.is_some_and(|held| change.is_in(&held.attempt)))
    }

    /// Whether the history tells this already.
    async fn is_told(
        &mut self,
        connection: &mut PgConnection,
        change: &Change,
        event: &JobEvent,
    ) -> Result<bool, Failure> {
        self.flush(connection).await?;
        let job = [*change.token.job().as_uuid()];
        Ok(read::events_of(connection, &job).await?.iter().any(|(_, told)| told == event))
    }

    fn move_job(&mut self, mut job: JobRow, change: &Change, job_move: JobMove<'_>) {
        if let What::Ended { outcome, .. } = &change.what {
            job.exit_code = outcome.exit_code();
        }
        match job_move {
            JobMove::Run => job.status = job_move.status(),
            JobMove::Finish { status, reason } => job.finish(status, reason.to_owned(), change.at),
            JobMove::Requeue { reason, waiting_for, refused_by } => {
                job.status = job_move.status();
                job.rest.reason = Some(reason.to_owned());
                job.rest.refused_by.extend(refused_by.cloned());
                job.wait_for(waiting_for.clone());
            }
        }
        self.jobs.insert(job.id, job.clone());
        self.writes.jobs.insert(job.id, job);
    }

    async fn move_attempt(
        &mut self,
        connection: &mut PgConnection,
        change: &Change,
        state: Option<AttemptState>,
    ) -> Result<(), Failure> {
        // Not the one that was looked at: a flush since then has made the row this transaction's.
        let mut attempt = self.attempt(change.token)?.clone();
        attempt.state = state.unwrap_or(attempt.state);
        match &change.what {
            What::Renewed(request) => renew(connection, change.token, codec::json(&**request)?).await?,
            What::Launched(handle) => {
                attempt.handle = Some(codec::json(&**handle)?);
                attempt.launched_at = Some(change.at);
            }
            What::Started => attempt.started_at = Some(change.at),
            What::Ended { outcome, charges, .. } => {
                attempt.outcome = Some(codec::json(&**outcome)?);
                attempt.ended_at = Some(change.at);
                let before = std::mem::replace(&mut attempt.charges, charges.clone());
                self.writes.charge(&before, charges);
            }
            What::Closed | What::Noted(_) => {}
        }
        if attempt.state == AttemptState::Closed {
            attempt.closed_at.get_or_insert(change.at);
            attempt.session = None;
        }
        self.attempts.insert(change.token, attempt.clone());
        self.writes.attempts.insert(change.token, attempt);
        Ok(())
    }
}

async fn lock_jobs(connection: &mut PgConnection, jobs: BTreeSet<JobId>) -> Result<BTreeMap<JobId, JobRow>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        job_columns!(),
        ", j.xmin::text AS seen FROM longshore_job j WHERE j.id = ANY($1) ORDER BY j.id FOR NO KEY UPDATE"
    );
    let ids: Vec<_> = jobs.iter().map(|job| *job.as_uuid()).collect();
    let rows = sqlx::query(SQL).bind(ids).fetch_all(connection).await?;
    let job = |row: &PgRow| -> Result<_, Failure> { Ok(JobRow { seen: row.try_get("seen")?, ..JobRow::read(row)? }) };
    Ok(rows.iter().filter_map(|row| rows::readable(job(row))).map(|job| (job.id, job)).collect())
}

async fn read_attempts(
    connection: &mut PgConnection,
    tokens: BTreeSet<LaunchToken>,
) -> Result<BTreeMap<LaunchToken, AttemptRow>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        moving_columns!(),
        " FROM unnest($1::uuid[], $2::integer[]) AS t(job, number) \
         JOIN longshore_attempt a ON a.job = t.job AND a.number = t.number"
    );
    let rows = sqlx::query(SQL)
        .bind(tokens.iter().map(|token| *token.job().as_uuid()).collect::<Vec<_>>())
        .bind(tokens.iter().map(|token| codec::integer(token.attempt())).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let attempts = rows.iter().filter_map(|row| rows::readable(AttemptRow::read(row)));
    Ok(attempts.map(|attempt| (attempt.token, attempt)).collect())
}

async fn renew(connection: &mut PgConnection, token: LaunchToken, request: String) -> Result<(), Failure> {
    sqlx::query("UPDATE longshore_intent SET request = $3 WHERE job = $1 AND number = $2")
        .bind(token.job().as_uuid())
        .bind(codec::integer(token.attempt()))
        .bind(request)
        .execute(connection)
        .await?;
    Ok(())
}
