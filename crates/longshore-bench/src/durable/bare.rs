//! A bare client of PostgreSQL that writes, in batches, the rows that a job leaves: what the store is measured against.

use futures::StreamExt;
use sqlx::{Connection, PgConnection, Row};
use std::time::Instant;
use uuid::Uuid;

use crate::raw::{Failure, Result};

/// How many jobs one batch has. With more or fewer, or with other numbers of batches at once, it is slower.
const BATCH: usize = 512;
/// How many batches are under way at one time.
const LANES: usize = 4;

/// The texts of one job's rows.
pub(crate) struct Bare {
    submission: String,
    rest: String,
    request: String,
    decision: String,
    handle: String,
    outcome: String,
    events: Vec<String>,
}

impl Bare {
    /// Writes what a finished job of this database has.
    pub(crate) async fn like(url: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let row = sqlx::query(
            "SELECT j.id, s.body, j.rest, i.request, i.decision, a.handle, a.outcome FROM longshore_job j \
             JOIN longshore_submission s ON s.job = j.id JOIN longshore_intent i ON i.job = j.id \
             JOIN longshore_attempt a ON a.job = j.id WHERE NOT j.open LIMIT 1",
        )
        .fetch_one(&mut connection)
        .await?;
        let events = sqlx::query("SELECT body FROM longshore_event WHERE job = $1 ORDER BY seq")
            .bind(row.get::<Uuid, _>(0))
            .fetch_all(&mut connection)
            .await?;
        Ok(Self {
            submission: row.get(1),
            rest: row.get(2),
            request: row.get(3),
            decision: row.get(4),
            handle: row.get(5),
            outcome: row.get(6),
            events: events.iter().map(|event| event.get(0)).collect(),
        })
    }

    /// Writes so many jobs; how many a second.
    pub(crate) async fn write(&self, url: &str, jobs: usize) -> Result<f64> {
        let began = Instant::now();
        let lanes = futures::stream::iter(0..LANES).map(|lane| async move {
            let mut connection = PgConnection::connect(url).await?;
            for done in (lane * BATCH..jobs).step_by(LANES * BATCH) {
                self.write_batch(&mut connection, BATCH.min(jobs - done)).await?;
            }
            Ok::<(), Failure>(())
        });
        let mut lanes = lanes.buffer_unordered(LANES);
        while let Some(done) = lanes.next().await {
            done?;
        }
        Ok(f64::from(u32::try_from(jobs)?) / began.elapsed().as_secs_f64())
    }

    /// One batch through all that a job goes through, a transaction for each step.
    async fn write_batch(&self, connection: &mut PgConnection, size: usize) -> Result<()> {
        let ids: Vec<Uuid> = (0..size).map(|_| Uuid::now_v7()).collect();
        let mut events = self.events.iter();
        let steps: [(&[&str], &[&String]); 5] = [
            (&[SUBMISSION, JOB], &[&self.submission, &self.rest]),
            (&[CLAIM, INTENT, ATTEMPT], &[&self.rest, &self.request, &self.decision]),
            (&[LAUNCHED], &[&self.handle]),
            (&[ENDED, FINISHED], &[&self.outcome, &self.rest]),
            (&[CLOSED], &[]),
        ];
        for (statements, texts) in steps {
            let mut transaction = connection.begin().await?;
            for statement in statements {
                // As any client must, it sends each row's own text.
                let column = |place: usize| texts.get(place).map_or_else(Vec::new, |text| vec![text.as_str(); size]);
                let query = sqlx::query(*statement).bind(&ids).bind(column(0)).bind(column(1)).bind(column(2));
                query.execute(&mut *transaction).await?;
            }
            let event = events.next().map_or("", String::as_str);
            sqlx::query(EVENT).bind(&ids).bind(vec![event; size]).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        // The history of a job may have more than one event a step.
        for event in events {
            sqlx::query(EVENT).bind(&ids).bind(vec![event; size]).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

/// Each statement takes the ids, and up to three columns of texts.
macro_rules! statement {
    ($($sql:literal)+) => {
        concat!(
            "WITH n AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS n(id, a, b, c)) ",
            $($sql, " "),+
        )
    };
}

const SUBMISSION: &str = statement!(
    "INSERT INTO longshore_submission (job, fingerprint, template, body)"
    "SELECT id, decode(md5(a) || md5(b), 'hex'), 'bench', a FROM n"
);
const JOB: &str = statement!(
    "INSERT INTO longshore_job (id, status, open, submitted_at, place, line, attempts, cancelled, rest)"
    "SELECT id, 0, true, 1760000000000000000, 1760000000000000000, '00000000-0000-0000-0000-000000000000', 0, false, b"
    "FROM n"
);
const CLAIM: &str = statement!(
    "UPDATE longshore_job j SET status = 1, line = NULL, attempts = 1, host = 'bench', executor = 'mock', rest = a"
    "FROM n WHERE j.id = n.id"
);
const INTENT: &str =
    statement!("INSERT INTO longshore_intent (job, number, request, decision) SELECT id, 1, b, c FROM n");
const ATTEMPT: &str = statement!(
    "INSERT INTO longshore_attempt (job, number, state, open, session, host, created_at)"
    "SELECT id, 1, 0, true, '00000000-0000-0000-0000-000000000001', 'bench', 1760000000000000000 FROM n"
);
const LAUNCHED: &str = statement!(
    "UPDATE longshore_attempt t SET state = 1, launched_at = 1760000000000000000, handle = a"
    "FROM n WHERE t.job = n.id AND t.number = 1"
);
const ENDED: &str = statement!(
    "UPDATE longshore_attempt t SET state = 2, ended_at = 1760000000000000000, outcome = a"
    "FROM n WHERE t.job = n.id AND t.number = 1"
);
const FINISHED: &str = statement!(
    "UPDATE longshore_job j SET status = 3, open = false, finished_at = 1760000000000000000, exit_code = 0, rest = b"
    "FROM n WHERE j.id = n.id"
);
const CLOSED: &str = statement!(
    "UPDATE longshore_attempt t SET state = 3, open = false, session = NULL, closed_at = 1760000000000000000"
    "FROM n WHERE t.job = n.id AND t.number = 1"
);
const EVENT: &str =
    "INSERT INTO longshore_event (job, body) SELECT id, body FROM unnest($1::uuid[], $2::text[]) AS n(id, body)";
