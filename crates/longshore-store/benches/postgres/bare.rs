//! The bare client: the same rows by the same batches, in five transactions each.

use longshore_core::JobId;
use longshore_store::{Actor, InUse, Intent, JobEvent, JobRecord, Outcome, Placement, Placer, SessionId, What};
use sqlx::{Connection, Executor, PgConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

use crate::{
    Size,
    desk::Desk,
    support::{at, exited, handle, host, submission},
};

/// What is written of a batch of jobs.
pub(crate) struct Rows {
    ids: Vec<Uuid>,
    fingerprints: Vec<Vec<u8>>,
    submissions: Vec<String>,
    requests: Vec<String>,
    decisions: Vec<String>,
    handles: Vec<String>,
    outcomes: Vec<String>,
    /// For each of the five transactions.
    events: [Vec<String>; 5],
}

/// The batches of all lanes.
pub(crate) fn rows(size: Size) -> Vec<Rows> {
    let batches = size.jobs.div_ceil(size.batch);
    (0..batches).map(|_| batch(size.batch)).collect()
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("JSON")
}

fn batch(count: usize) -> Rows {
    let session = SessionId::new(at(0));
    let mut rows = Rows {
        ids: Vec::new(),
        fingerprints: Vec::new(),
        submissions: Vec::new(),
        requests: Vec::new(),
        decisions: Vec::new(),
        handles: Vec::new(),
        outcomes: Vec::new(),
        events: Default::default(),
    };
    for _ in 0..count {
        let submission = submission("on-a");
        let id: JobId = submission.job.id;
        rows.ids.push(*id.as_uuid());
        rows.fingerprints.push(submission.fingerprint().to_vec());
        rows.submissions.push(json(&submission));
        let intent = intent(JobRecord::new(submission, at(0)));
        let token = intent.request.token;
        rows.requests.push(json(&intent.request));
        rows.decisions.push(json(&intent.decision));
        rows.handles.push(json(&handle(token, &host("a"))));
        rows.outcomes.push(json(&outcome(token)));
        let by = || Actor::Dispatcher(session);
        let event = |kind, detail: &str| {
            json(&JobEvent::new(at(2), kind, by()).of_attempt(1).with_detail(Some(detail.to_owned())))
        };
        rows.events[0].push(json(&JobEvent::new(at(0), "submitted", Actor::User("unknown".to_owned()))));
        rows.events[1].push(event("claimed", "on host a"));
        rows.events[2].push(event("launched", &format!("it-{token} on host a")));
        rows.events[3].push(event("ended", "exited with code 0"));
        rows.events[4].push(json(&JobEvent::new(at(2), "closed", by()).of_attempt(1)));
    }
    rows
}

fn intent(job: JobRecord) -> Intent {
    match Desk::with(&[("a", 10)]).place(&[job], &InUse::default()).pop() {
        Some(Placement::Launch(intent)) => *intent,
        other => panic!("the desk said {other:?}"),
    }
}

fn outcome(token: longshore_core::LaunchToken) -> Outcome {
    match exited(token, 0, 2).what {
        What::Ended { outcome, .. } => Arc::unwrap_or_clone(outcome),
        other => panic!("an end is {other:?}"),
    }
}

/// Writes them, each lane by a connection of its own.
pub(crate) async fn write(url: &str, size: Size, rows: Vec<Rows>) -> Duration {
    let mut lanes: Vec<Vec<Rows>> = (0..size.lanes).map(|_| Vec::new()).collect();
    rows.into_iter().enumerate().for_each(|(at, rows)| lanes[at % size.lanes].push(rows));
    let began = Instant::now();
    let lanes: Vec<_> = lanes.into_iter().map(|rows| tokio::spawn(lane(url.to_owned(), rows))).collect();
    for lane in lanes {
        lane.await.expect("a lane").expect("PostgreSQL");
    }
    began.elapsed()
}

async fn lane(url: String, batches: Vec<Rows>) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(&url).await?;
    // The same plans as the store's.
    connection
        .execute(
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off; \
             SET enable_mergejoin = off; SET jit = off",
        )
        .await?;
    for batch in &batches {
        submit(&mut connection, batch).await?;
        claim(&mut connection, batch).await?;
        launched(&mut connection, batch).await?;
        ended(&mut connection, batch).await?;
        closed(&mut connection, batch).await?;
    }
    Ok(())
}

async fn tell(connection: &mut PgConnection, batch: &Rows, transaction: usize) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO longshore_event (job, body) SELECT * FROM unnest($1::uuid[], $2::text[])")
        .bind(&batch.ids)
        .bind(&batch.events[transaction])
        .execute(&mut *connection)
        .await?;
    connection.execute("COMMIT").await?;
    Ok(())
}

async fn submit(connection: &mut PgConnection, batch: &Rows) -> sqlx::Result<()> {
    connection.execute("BEGIN").await?;
    sqlx::query(
        "INSERT INTO longshore_submission (job, fingerprint, template, body) \
         SELECT n.job, n.fingerprint, 'on-a', n.body FROM unnest($1::uuid[], $2::bytea[], $3::text[]) AS n(job, fingerprint, body)",
    )
    .bind(&batch.ids)
    .bind(&batch.fingerprints)
    .bind(&batch.submissions)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO longshore_job (id, status, open, submitted_at, place, line, attempts, cancelled, rest) \
         SELECT n.id, 0, true, $2, $2, '00000000-0000-0000-0000-000000000000', 0, false, '{}' FROM unnest($1::uuid[]) AS n(id)",
    )
    .bind(&batch.ids)
    .bind(1_772_366_400_123_456_789_i64)
    .execute(&mut *connection)
    .await?;
    tell(connection, batch, 0).await
}

async fn claim(connection: &mut PgConnection, batch: &Rows) -> sqlx::Result<()> {
    connection.execute("BEGIN").await?;
    sqlx::query(
        "INSERT INTO longshore_intent (job, number, request, decision) \
         SELECT n.job, 1, n.request, n.decision FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n(job, request, decision)",
    )
    .bind(&batch.ids)
    .bind(&batch.requests)
    .bind(&batch.decisions)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO longshore_attempt (job, number, state, open, session, host, created_at) \
         SELECT n.job, 1, 0, true, '00000000-0000-0000-0000-000000000001', 'a', $2 FROM unnest($1::uuid[]) AS n(job)",
    )
    .bind(&batch.ids)
    .bind(1_772_366_401_123_456_789_i64)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE longshore_job j SET status = 1, line = NULL, attempts = 1, host = 'a', executor = 'mock' \
         FROM unnest($1::uuid[]) AS n(id) WHERE j.id = n.id",
    )
    .bind(&batch.ids)
    .execute(&mut *connection)
    .await?;
    tell(connection, batch, 1).await
}

async fn launched(connection: &mut PgConnection, batch: &Rows) -> sqlx::Result<()> {
    connection.execute("BEGIN").await?;
    sqlx::query(
        "UPDATE longshore_attempt a SET state = 1, launched_at = $3, handle = n.handle \
         FROM unnest($1::uuid[], $2::text[]) AS n(job, handle) WHERE a.job = n.job AND a.number = 1",
    )
    .bind(&batch.ids)
    .bind(&batch.handles)
    .bind(1_772_366_402_123_456_789_i64)
    .execute(&mut *connection)
    .await?;
    tell(connection, batch, 2).await
}

async fn ended(connection: &mut PgConnection, batch: &Rows) -> sqlx::Result<()> {
    connection.execute("BEGIN").await?;
    sqlx::query(
        "UPDATE longshore_job j SET status = 3, open = false, finished_at = $2, exit_code = 0, \
         rest = '{\"reason\":\"exited with code 0\"}' FROM unnest($1::uuid[]) AS n(id) WHERE j.id = n.id",
    )
    .bind(&batch.ids)
    .bind(1_772_366_402_123_456_789_i64)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE longshore_attempt a SET state = 2, ended_at = $3, outcome = n.outcome \
         FROM unnest($1::uuid[], $2::text[]) AS n(job, outcome) WHERE a.job = n.job AND a.number = 1",
    )
    .bind(&batch.ids)
    .bind(&batch.outcomes)
    .bind(1_772_366_402_123_456_789_i64)
    .execute(&mut *connection)
    .await?;
    tell(connection, batch, 3).await
}

async fn closed(connection: &mut PgConnection, batch: &Rows) -> sqlx::Result<()> {
    connection.execute("BEGIN").await?;
    sqlx::query(
        "UPDATE longshore_attempt a SET state = 3, open = false, session = NULL, closed_at = $2 \
         FROM unnest($1::uuid[]) AS n(job) WHERE a.job = n.job AND a.number = 1",
    )
    .bind(&batch.ids)
    .bind(1_772_366_402_123_456_789_i64)
    .execute(&mut *connection)
    .await?;
    tell(connection, batch, 4).await
}
