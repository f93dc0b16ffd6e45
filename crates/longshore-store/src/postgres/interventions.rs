//! What people ask of jobs and hosts.

use async_trait::async_trait;
use longshore_core::{HostName, JobId, JobStatus, LaunchToken, Priority, Result};
use sqlx::{Row, postgres::PgConnection};

use super::{
    Failure, codec, news,
    rows::{self, AttemptRow, JobRow, moving_columns, record_columns},
    schema::Installation,
    transact::Work,
    write::Writes,
};
use crate::{AttemptState, Intervention, JobEvent, JobRecord, News, Outcome, Pause, Request, WaitingFor, refusals};

pub(super) struct Intervene<'a> {
    pub(super) job: JobId,
    pub(super) intervention: Intervention,
    pub(super) request: Request,
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for Intervene<'_> {
    type Answer = JobRecord;
    const OPERATION: &'static str = "intervene";

    async fn run(&self, connection: &mut PgConnection) -> Result<JobRecord, Failure> {
        let mut record = self.locked(connection).await?;
        let mut writes = Writes::default();
        match self.intervention {
            Intervention::Cancel => self.cancel(&mut record, &mut writes)?,
            Intervention::SettleLost => self.settle_lost(connection, &mut record, &mut writes).await?,
            Intervention::Reprioritize(priority) => {
                self.reprioritize(connection, &mut record, priority, &mut writes).await?;
            }
        }
        writes.flush(connection).await?;
        let news = News { queue: true, interventions: true, moves: true, ..News::default() };
        news::send(connection, self.installation, news).await?;
        Ok(record)
    }
}

impl Intervene<'_> {
    /// The job, which nobody else changes meanwhile.
    async fn locked(&self, connection: &mut PgConnection) -> Result<JobRecord, Failure> {
        // Its submission is read afterwards: what one statement reads beside a row that it had to wait for may be older.
        let locked = sqlx::query("SELECT 1 FROM longshore_job WHERE id = $1 FOR NO KEY UPDATE");
        if locked.bind(self.job.as_uuid()).fetch_optional(&mut *connection).await?.is_none() {
            return Err(refusals::no_such_job(self.job).into());
        }
        const SQL: &str = concat!(
            "SELECT ",
            record_columns!(),
            " FROM longshore_job j JOIN longshore_submission s ON s.job = j.id WHERE j.id = $1"
        );
        rows::job_record(&sqlx::query(SQL).bind(self.job.as_uuid()).fetch_one(connection).await?)
    }

    fn event(&self, kind: &str) -> JobEvent {
        JobEvent::new(self.request.at, kind, self.request.by.clone())
    }

    fn cancel(&self, record: &mut JobRecord, writes: &mut Writes) -> Result<()> {
        if record.cancel.is_some() {
            return Ok(());
        }
        refusals::only_unfinished(record)?;
        writes.tell(self.job, self.event("cancel-requested").with_detail(self.request.why.clone()));
        if record.status == JobStatus::Pending {
            finish(record, JobStatus::Cancelled, "cancelled before it was launched".to_owned(), &self.request);
        }
        record.cancel = Some(self.request.clone());
        writes.jobs.insert(self.job, JobRow::of(record));
        Ok(())
    }

    async fn settle_lost(
        &self,
        connection: &mut PgConnection,
        record: &mut JobRecord,
        writes: &mut Writes,
    ) -> Result<(), Failure> {
        if record.status == JobStatus::Lost {
            return Ok(());
        }
        refusals::only_launched(record)?;
        let why = self.request.why.clone().unwrap_or_else(|| format!("settled by {}", self.request.by));
        let token = LaunchToken::new(self.job, record.attempts);
        let attempt = lock_attempt(connection, token).await?;
        if let Some(mut attempt) = attempt.filter(|attempt| attempt.state.takes_place()) {
            attempt.state = AttemptState::Ended;
            attempt.ended_at = Some(self.request.at);
            attempt.outcome = Some(codec::json(&Outcome::lost(why.clone()))?);
            writes.attempts.insert(token, attempt);
        }
        let event = self.event("settled-lost").of_attempt(record.attempts).with_detail(Some(why.clone()));
        writes.tell(self.job, event);
        finish(record, JobStatus::Lost, why, &self.request);
        writes.jobs.insert(self.job, JobRow::of(record));
        Ok(())
    }

    async fn reprioritize(
        &self,
        connection: &mut PgConnection,
        record: &mut JobRecord,
        priority: Priority,
        writes: &mut Writes,
    ) -> Result<(), Failure> {
        refusals::only_pending(record)?;
        if record.job().priority == priority {
            return Ok(());
        }
        record.submission.job.priority = priority;
        sqlx::query("UPDATE longshore_submission SET body = $2 WHERE job = $1")
            .bind(self.job.as_uuid())
            .bind(codec::json(&record.submission)?)
            .execute(&mut *connection)
            .await?;
        sqlx::query("UPDATE longshore_job SET place = $2 WHERE id = $1")
            .bind(self.job.as_uuid())
            .bind(codec::nanos(record.place_in_queue()))
            .execute(connection)
            .await?;
        writes.tell(self.job, self.event("reprioritized").with_detail(Some(format!("priority {priority}"))));
        Ok(())
    }
}

fn finish(record: &mut JobRecord, status: JobStatus, reason: String, request: &Request) {
    record.status = status;
    record.reason = Some(reason);
    record.finished_at = Some(request.at);
    record.waiting_for = WaitingFor::NOTHING;
}

/// An attempt, which nobody else changes meanwhile; locked after its job.
async fn lock_attempt(connection: &mut PgConnection, token: LaunchToken) -> Result<Option<AttemptRow>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        moving_columns!(),
        " FROM longshore_attempt a WHERE a.job = $1 AND a.number = $2 FOR NO KEY UPDATE"
    );
    let row = sqlx::query(SQL).bind(token.job().as_uuid()).bind(codec::integer(token.attempt()));
    row.fetch_optional(connection).await?.as_ref().map(AttemptRow::read).transpose()
}

pub(super) struct SetPause<'a> {
    pub(super) pause: &'a Pause,
    pub(super) installation: &'a Installation,
}

/// The host of a pause as its row's key.
fn key(host: Option<&HostName>) -> &str {
    host.map_or("", HostName::as_str)
}

#[async_trait]
impl Work for SetPause<'_> {
    type Answer = ();
    const OPERATION: &'static str = "pause";

    async fn run(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        sqlx::query(
            "INSERT INTO longshore_pause (host, body) VALUES ($1, $2) ON CONFLICT (host) DO UPDATE SET body = excluded.body",
        )
        .bind(key(self.pause.host.as_ref()))
        .bind(codec::json(self.pause)?)
        .execute(&mut *connection)
        .await?;
        news::send(connection, self.installation, News { interventions: true, ..News::default() }).await
    }
}

pub(super) struct EndPause<'a> {
    pub(super) host: Option<&'a HostName>,
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for EndPause<'_> {
    type Answer = bool;
    const OPERATION: &'static str = "resume";

    async fn run(&self, connection: &mut PgConnection) -> Result<bool, Failure> {
        let ended = sqlx::query("DELETE FROM longshore_pause WHERE host = $1 RETURNING 1")
            .bind(key(self.host))
            .fetch_optional(&mut *connection)
            .await?;
        let ended: Option<i32> = ended.map(|row| row.try_get(0)).transpose()?;
        let news = News { queue: true, interventions: true, ..News::default() };
        news::send(connection, self.installation, news).await?;
        Ok(ended.is_some())
    }
}
