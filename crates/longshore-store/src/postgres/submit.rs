//! Submitting: many jobs in one transaction, each once.

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{JobId, Result};
use sqlx::{Row, postgres::PgConnection};
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

use super::{Failure, codec, news, rows::JobRow, schema::Installation, transact::Work, write};
use crate::{IdempotencyKey, JobEvent, JobRecord, News, Submission, Submitted, refusals};

/// Jobs to be stored, with the time at which they came.
pub(super) struct Submit<'a> {
    pub(super) submissions: &'a [(Submission, Timestamp)],
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for Submit<'_> {
    type Answer = Vec<Result<Submitted>>;
    const OPERATION: &'static str = "submit";

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Answer, Failure> {
        let mut answers: Vec<Option<Result<Submitted>>> = self.submissions.iter().map(|_| None).collect();
        let fingerprints: Vec<_> = self.submissions.iter().map(|(submission, _)| submission.fingerprint()).collect();
        let mut left: Vec<usize> = (0..self.submissions.len()).collect();
        while !left.is_empty() {
            let (round, later) = self.without_twins(left);
            let inserted = self.insert(connection, &round, &fingerprints).await?;
            let mut known = Vec::new();
            for index in round {
                let id = self.submissions[index].0.job.id;
                if inserted.contains(&id) {
                    answers[index] = Some(Ok(Submitted::New(id)));
                } else {
                    known.push(index);
                }
            }
            for (index, answer) in self.look_up(connection, &known, &fingerprints).await? {
                answers[index] = Some(answer);
            }
            left = later;
        }
        news::send(connection, self.installation, News { queue: true, moves: true, ..News::default() }).await?;
        answers.into_iter().map(|answer| answer.ok_or(Failure::Overtaken)).collect()
    }
}

impl Submit<'_> {
    /// Those of which no two have the same key or id, and the rest. In the order of their keys, so that two who submit the
    /// same don't wait in a circle.
    fn without_twins(&self, left: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
        let (mut keys, mut ids) = (HashSet::new(), HashSet::new());
        let mut apart = |index: &usize| {
            let submission = &self.submissions[*index].0;
            let new_key = submission.idempotency_key.as_ref().is_none_or(|key| !keys.contains(key));
            let alone = new_key && !ids.contains(&submission.job.id);
            // What waits for a later round holds its key and id too, so that entries keep their order.
            keys.extend(submission.idempotency_key.as_ref());
            ids.insert(submission.job.id);
            alone
        };
        let (mut round, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|index| apart(index));
        round.sort_by_key(|index| {
            let submission = &self.submissions[*index].0;
            (submission.idempotency_key.as_ref(), submission.job.id)
        });
        (round, later)
    }

    /// Stores those that are new, and tells which those were.
    async fn insert(
        &self,
        connection: &mut PgConnection,
        round: &[usize],
        fingerprints: &[[u8; 32]],
    ) -> Result<BTreeSet<JobId>, Failure> {
        let of_round = || round.iter().map(|index| &self.submissions[*index]);
        let prints = round.iter().map(|index| fingerprints[*index]);
        let inserted = insert_submissions(connection, of_round().map(|(submission, _)| submission), prints).await?;
        let (mut jobs, mut places, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for (submission, at) in of_round().filter(|(submission, _)| inserted.contains(&submission.job.id)) {
            let id = submission.job.id;
            let record = JobRecord::new(submission.clone(), *at);
            events.push((id, JobEvent::new(*at, "submitted", refusals::submitter(&submission.job))));
            places.push(codec::nanos(record.place_in_queue()));
            jobs.push(JobRow::of(&record));
        }
        if !jobs.is_empty() {
            write::insert_jobs(connection, jobs, places).await?;
            write::insert_events(connection, events).await?;
        }
        Ok(inserted)
    }

    /// The answers for those whose key or id is known.
    async fn look_up(
        &self,
        connection: &mut PgConnection,
        known: &[usize],
        fingerprints: &[[u8; 32]],
    ) -> Result<Vec<(usize, Result<Submitted>)>, Failure> {
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let there = Known::of(connection, known.iter().map(|index| &self.submissions[*index].0)).await?;
        let answer = |index: &usize| {
            let submission = &self.submissions[*index].0;
            // Neither is there any more: it was purged a moment ago.
            let (id, fingerprint) = there.find(submission).ok_or(Failure::Overtaken)?;
            let same = fingerprint.as_slice() == fingerprints[*index];
            let answer = if same { Ok(Submitted::Existing(id)) } else { Err(refusals::another_job(submission, id)) };
            Ok((*index, answer))
        };
        known.iter().map(answer).collect()
    }
}

/// Stores submissions that are new, and tells which those were.
pub(super) async fn insert_submissions<'a>(
    connection: &mut PgConnection,
    submissions: impl Iterator<Item = &'a Submission> + Clone + Send,
    fingerprints: impl Iterator<Item = [u8; 32]> + Send,
) -> Result<BTreeSet<JobId>, Failure> {
    let labels = |submission: &Submission| -> Result<Option<String>> {
        let template = submission.job.resolved_template();
        (!template.labels.is_empty()).then(|| codec::json(&template.labels)).transpose()
    };
    let user = |submission: &Submission| submission.job.created_by.as_ref().map(|by| codec::text(&by.name));
    let all = submissions;
    let rows = sqlx::query(
        "INSERT INTO longshore_submission (job, key, fingerprint, template, submitter, labels, body) \
         SELECT job, key, fingerprint, template, submitter, labels::jsonb, body \
         FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY \
         AS n(job, key, fingerprint, template, submitter, labels, body, place) ORDER BY place \
         ON CONFLICT DO NOTHING RETURNING job",
    )
    .bind(all.clone().map(|it| *it.job.id.as_uuid()).collect::<Vec<_>>())
    .bind(all.clone().map(|it| it.idempotency_key.as_ref().map(|key| key.as_str().to_owned())).collect::<Vec<_>>())
    .bind(fingerprints.map(|print| print.to_vec()).collect::<Vec<_>>())
    .bind(all.clone().map(|it| it.job.template.name.as_str().to_owned()).collect::<Vec<_>>())
    .bind(all.clone().map(user).collect::<Vec<_>>())
    .bind(all.clone().map(labels).collect::<Result<Vec<_>>>()?)
    .bind(all.map(codec::json).collect::<Result<Vec<_>>>()?)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(codec::job_id(row.try_get(0)?))).collect()
}

/// Jobs that are there, by key and by id, with their fingerprints.
pub(super) struct Known {
    by_key: HashMap<String, JobId>,
    fingerprints: HashMap<JobId, Vec<u8>>,
}

impl Known {
    pub(super) async fn of<'a>(
        connection: &mut PgConnection,
        submissions: impl Iterator<Item = &'a Submission> + Clone + Send,
    ) -> Result<Self, Failure> {
        let keys = submissions.clone().filter_map(|it| it.idempotency_key.as_ref().map(|key| key.as_str().to_owned()));
        let ids: Vec<Uuid> = submissions.map(|it| *it.job.id.as_uuid()).collect();
        let rows = sqlx::query(
            "SELECT job, key, fingerprint FROM longshore_submission WHERE key = ANY($1) \
             UNION SELECT job, key, fingerprint FROM longshore_submission WHERE job = ANY($2)",
        )
        .bind(keys.collect::<Vec<_>>())
        .bind(ids)
        .fetch_all(connection)
        .await?;
        let mut known = Self { by_key: HashMap::new(), fingerprints: HashMap::new() };
        for row in rows {
            let id = codec::job_id(row.try_get(0)?);
            known.by_key.extend(row.try_get::<Option<String>, _>(1)?.map(|key| (key, id)));
            known.fingerprints.insert(id, row.try_get(2)?);
        }
        Ok(known)
    }

    pub(super) fn by_key(&self, key: &IdempotencyKey) -> Option<JobId> {
        self.by_key.get(key.as_str()).copied()
    }

    pub(super) fn has(&self, id: JobId) -> bool {
        self.fingerprints.contains_key(&id)
    }

    /// The job that the submission's key stands for, or else its id.
    pub(super) fn find(&self, submission: &Submission) -> Option<(JobId, &Vec<u8>)> {
        let by_key = submission.idempotency_key.as_ref().and_then(|key| self.by_key(key));
        let id = by_key.unwrap_or(submission.job.id);
        Some((id, self.fingerprints.get(&id)?))
    }
}
