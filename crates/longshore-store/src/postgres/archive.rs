//! Jobs with everything that is kept of them: leaving, coming, and going for ever.

use async_trait::async_trait;
use longshore_core::{JobId, Result};
use sqlx::{Row, postgres::PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

use super::{
    Failure, codec, news, read,
    rows::{self, JobRow, record_columns},
    schema::Installation,
    submit::{self, Known},
    transact::Work,
    write::{self, Writes},
};
use crate::{AttemptRecord, JobArchive, News, SessionId, Submission, refusals};

pub(super) struct Archive {
    pub(super) after: Option<JobId>,
    pub(super) most: i64,
}

#[async_trait]
impl Work for Archive {
    type Answer = Vec<JobArchive>;
    const OPERATION: &'static str = "archive";
    /// All of it as it stood at one moment.
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    const LIMIT: Duration = Duration::from_secs(600);

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<JobArchive>, Failure> {
        const SQL: &str = concat!(
            "SELECT ",
            record_columns!(),
            " FROM longshore_job j JOIN longshore_submission s ON s.job = j.id WHERE j.id > $1 ORDER BY j.id LIMIT $2"
        );
        let after = self.after.map_or(Uuid::nil(), |id| *id.as_uuid());
        let rows = sqlx::query(SQL).bind(after).bind(self.most).fetch_all(&mut *connection).await?;
        let records = rows.iter().map(rows::job_record).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<Uuid> = records.iter().map(|record| *record.id().as_uuid()).collect();
        let mut archives: BTreeMap<JobId, JobArchive> =
            records.into_iter().map(|job| (job.id(), JobArchive::new(job, Vec::new(), Vec::new()))).collect();
        for attempt in read::attempts_of(connection, &ids).await? {
            if let Some(archive) = archives.get_mut(&attempt.token().job()) {
                archive.attempts.push(attempt);
            }
        }
        for (job, event) in read::events_of(connection, &ids).await? {
            if let Some(archive) = archives.get_mut(&job) {
                archive.events.push(event);
            }
        }
        Ok(archives.into_values().collect())
    }
}

pub(super) struct Import<'a> {
    pub(super) archives: &'a [JobArchive],
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for Import<'_> {
    type Answer = u64;
    const OPERATION: &'static str = "import";
    const LIMIT: Duration = Duration::from_secs(600);

    async fn run(&self, connection: &mut PgConnection) -> Result<u64, Failure> {
        let new = self.unknown(connection).await?;
        let submissions = || new.iter().map(|archive| &archive.job.submission);
        let prints = submissions().map(Submission::fingerprint);
        let inserted = submit::insert_submissions(connection, submissions(), prints).await?;
        if inserted.len() != new.len() {
            // Somebody else took in some of them a moment ago.
            return Err(Failure::Overtaken);
        }
        if !new.is_empty() {
            take_in(connection, &new).await?;
        }
        news::send(connection, self.installation, News::EVERYTHING).await?;
        Ok(u64::try_from(new.len()).unwrap_or(u64::MAX))
    }
}

impl Import<'_> {
    /// The archives of jobs that are not here yet, by their keys.
    async fn unknown(&self, connection: &mut PgConnection) -> Result<Vec<&JobArchive>, Failure> {
        self.archives.iter().try_for_each(refusals::only_whole)?;
        let known = Known::of(connection, self.archives.iter().map(|archive| &archive.job.submission)).await?;
        let (mut ids, mut keys) = (BTreeSet::new(), BTreeMap::new());
        let mut new = Vec::new();
        for archive in self.archives {
            let submission = &archive.job.submission;
            let id = archive.job.id();
            if known.has(id) || !ids.insert(id) {
                continue;
            }
            if let Some(key) = &submission.idempotency_key {
                let other = known.by_key(key).or_else(|| keys.get(key).copied());
                if let Some(other) = other {
                    return Err(refusals::another_job(submission, other).into());
                }
                keys.insert(key, id);
            }
            new.push(archive);
        }
        new.sort_by_key(|archive| (archive.job.submission.idempotency_key.as_ref(), archive.job.id()));
        Ok(new)
    }
}

async fn take_in(connection: &mut PgConnection, new: &[&JobArchive]) -> Result<(), Failure> {
    let jobs = new.iter().map(|archive| JobRow::of(&archive.job)).collect();
    let places = new.iter().map(|archive| codec::nanos(archive.job.place_in_queue())).collect();
    write::insert_jobs(connection, jobs, places).await?;
    let attempts = held_by_the_living(connection, new).await?;
    write::insert_attempts(connection, &attempts.iter().collect::<Vec<_>>()).await?;
    let mut writes = Writes::default();
    for attempt in &attempts {
        writes.charge(&[], &attempt.charges);
    }
    for archive in new {
        for event in &archive.events {
            writes.tell(archive.job.id(), event.clone());
        }
    }
    writes.flush(connection).await
}

/// The attempts of archives. One whose session is open here stays with it, and any other is held by nobody.
async fn held_by_the_living(connection: &mut PgConnection, new: &[&JobArchive]) -> Result<Vec<AttemptRecord>, Failure> {
    let attempts = || new.iter().flat_map(|archive| &archive.attempts);
    let sessions: BTreeSet<SessionId> = attempts().filter_map(|attempt| attempt.session).collect();
    let rows = sqlx::query("SELECT id FROM longshore_session WHERE id = ANY($1) ORDER BY id FOR KEY SHARE")
        .bind(sessions.iter().map(|session| *session.as_uuid()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
    let living: BTreeSet<SessionId> = ids.into_iter().map(SessionId::from_uuid).collect();
    let held = |attempt: &AttemptRecord| {
        let session = attempt.session.filter(|session| attempt.state.is_open() && living.contains(session));
        AttemptRecord { session, ..attempt.clone() }
    };
    Ok(attempts().map(held).collect())
}

pub(super) struct Purge<'a>(pub(super) &'a [JobId]);

#[async_trait]
impl Work for Purge<'_> {
    type Answer = Vec<JobId>;
    const OPERATION: &'static str = "purge";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<JobId>, Failure> {
        // What may be purged stays so: a job that has ended gets no attempt any more, and a closed one is not opened again.
        let rows = sqlx::query(
            "SELECT j.id FROM longshore_job j WHERE j.id = ANY($1) AND NOT j.open AND NOT EXISTS \
             (SELECT FROM longshore_attempt a WHERE a.job = j.id AND a.open) ORDER BY j.id FOR UPDATE OF j",
        )
        .bind(self.0.iter().map(|id| *id.as_uuid()).collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await?;
        let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
        for sql in [
            // Attempts first: whoever notes something of one has its row locked, so that the note is there by now, or not
            // taken any more.
            "DELETE FROM longshore_attempt WHERE job = ANY($1)",
            "DELETE FROM longshore_event WHERE job = ANY($1)",
            "DELETE FROM longshore_intent WHERE job = ANY($1)",
            "DELETE FROM longshore_submission WHERE job = ANY($1)",
            "DELETE FROM longshore_job WHERE id = ANY($1)",
        ] {
            sqlx::query(sql).bind(&ids).execute(&mut *connection).await?;
        }
        let mut purged: BTreeSet<JobId> = ids.into_iter().map(codec::job_id).collect();
        Ok(self.0.iter().filter(|id| purged.remove(id)).copied().collect())
    }
}
