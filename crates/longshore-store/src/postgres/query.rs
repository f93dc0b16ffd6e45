//! Looking for jobs.

use async_trait::async_trait;
use longshore_core::{JobStatus, Result};
use sqlx::{Executor, Postgres, QueryBuilder, Row, postgres::PgConnection};

use super::{
    Failure, codec,
    rows::{self, record_columns},
    transact::Work,
};
use crate::{JobQuery, JobRecord};

pub(super) struct Jobs<'a>(pub(super) &'a JobQuery);

#[async_trait]
impl Work for Jobs<'_> {
    type Answer = Vec<JobRecord>;
    const OPERATION: &'static str = "look for jobs";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<JobRecord>, Failure> {
        // What is looked for decides which index serves.
        connection.execute(OWN_PLANS).await?;
        let few = self.few_have_ended(connection).await?;
        if few {
            connection.execute(ONE_BY_ONE).await?;
        }
        let mut sql = self.sql(few)?;
        let rows = sql.build().persistent(false).fetch_all(connection).await?;
        rows.iter().map(rows::job_record).collect()
    }
}

/// Lets PostgreSQL plan for what is asked, with every means, until the end of the transaction.
pub(super) const OWN_PLANS: &str = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on; \
     SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";

/// Makes PostgreSQL look up each of the few that are found first, instead of going through all jobs beside them.
const ONE_BY_ONE: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// How many jobs at most are few enough for all of them to be looked at, whichever are asked for.
const FEW: i64 = 10_000;

impl Jobs<'_> {
    /// Whether only few have ended before the time that is asked for, if one is.
    async fn few_have_ended(&self, connection: &mut PgConnection) -> Result<bool, Failure> {
        let Some(before) = self.0.finished_before else { return Ok(false) };
        let sql = "SELECT count(*) <= $2 FROM (SELECT FROM longshore_job WHERE finished_at < $1 LIMIT $2 + 1) f";
        let asked = sqlx::query(sql).bind(codec::nanos(before)).bind(FEW).persistent(false);
        Ok(asked.fetch_one(connection).await?.try_get(0)?)
    }

    /// The query: fixed words, and every value bound. What few have is looked for by the index of what has ended: by their
    /// ids, all that came later would have to be passed first.
    fn sql(&self, few_have_ended: bool) -> Result<QueryBuilder<Postgres>> {
        let query = self.0;
        let mut sql = QueryBuilder::new("");
        if let Some(before) = query.finished_before.filter(|_| few_have_ended) {
            sql.push("WITH finished AS MATERIALIZED (SELECT * FROM longshore_job WHERE finished_at < ");
            sql.push_bind(codec::nanos(before)).push(") ");
        }
        sql.push(concat!("SELECT ", record_columns!(), " FROM "));
        sql.push(if few_have_ended { "finished" } else { "longshore_job" });
        sql.push(" j JOIN longshore_submission s ON s.job = j.id WHERE true");
        if !query.statuses.is_empty() {
            push_statuses(&mut sql, query);
        }
        if let Some(host) = &query.host {
            sql.push(" AND j.host = ").push_bind(host.to_string());
        }
        if let Some(kind) = &query.executor {
            sql.push(" AND j.executor = ").push_bind(kind.to_string());
        }
        if let Some(template) = &query.template {
            sql.push(" AND s.template = ").push_bind(codec::text(template));
        }
        if let Some(user) = &query.user {
            sql.push(" AND s.submitter = ").push_bind(codec::text(user));
        }
        if !query.labels.is_empty() {
            sql.push(" AND s.labels @> ").push_bind(codec::json(&query.labels)?).push("::jsonb");
        }
        if let Some(since) = query.since {
            sql.push(" AND j.submitted_at >= ").push_bind(codec::nanos(since));
        }
        if let Some(before) = query.finished_before.filter(|_| !few_have_ended) {
            sql.push(" AND j.finished_at < ").push_bind(codec::nanos(before));
        }
        if let Some(after) = query.after {
            sql.push(" AND j.id < ").push_bind(*after.as_uuid());
        }
        sql.push(" ORDER BY j.id DESC LIMIT ").push_bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
        Ok(sql)
    }
}

fn push_statuses(sql: &mut QueryBuilder<Postgres>, query: &JobQuery) {
    let numbers: Vec<i16> = query.statuses.iter().copied().map(codec::status_number).collect();
    sql.push(" AND j.status = ANY(").push_bind(numbers).push(")");
    // Said besides, because there is an index for it.
    if !query.statuses.iter().copied().any(JobStatus::is_terminal) {
        sql.push(" AND j.open");
    }
}
