//! Looking for damage, and for what contradicts itself.

use async_trait::async_trait;
use longshore_core::{JobId, Result};
use rust_decimal::Decimal;
use sqlx::{Executor, Row, postgres::PgConnection};
use std::{collections::BTreeMap, time::Duration};

use super::{Failure, archive::Archive, codec, pool::Pool, query::OWN_PLANS, transact::Work};
use crate::{Charge, JobArchive};

/// How many jobs are read at once.
const PAGE: i64 = 500;

/// What must never be, each with how it is told. Each query answers with the jobs concerned.
const NEVER: &[(&str, &str)] = &[
    (
        "has no record of what was asked for",
        "SELECT id FROM longshore_job j WHERE NOT EXISTS (SELECT FROM longshore_submission s WHERE s.job = j.id)",
    ),
    (
        "is known by what was asked for, and has no status",
        "SELECT job FROM longshore_submission s WHERE NOT EXISTS (SELECT FROM longshore_job j WHERE j.id = s.job)",
    ),
    (
        "is unknown, and has an attempt",
        "SELECT job FROM longshore_attempt a WHERE NOT EXISTS (SELECT FROM longshore_job j WHERE j.id = a.job)",
    ),
    (
        "is unknown, and has a history",
        "SELECT DISTINCT job FROM longshore_event e WHERE NOT EXISTS (SELECT FROM longshore_job j WHERE j.id = e.job)",
    ),
    (
        "has an attempt without its intent, or an intent without its attempt",
        "SELECT coalesce(a.job, i.job) FROM longshore_attempt a FULL JOIN longshore_intent i \
         ON i.job = a.job AND i.number = a.number WHERE a.job IS NULL OR i.job IS NULL",
    ),
    (
        "counts another number of attempts than it has",
        "SELECT j.id FROM longshore_job j LEFT JOIN (SELECT job, max(number) AS last FROM longshore_attempt GROUP BY job) a \
         ON a.job = j.id WHERE coalesce(a.last, 0) <> j.attempts",
    ),
    (
        "has two attempts that take a place",
        "SELECT job FROM longshore_attempt WHERE state IN (0, 1) GROUP BY job HAVING count(*) > 1",
    ),
    (
        "is launching or running without an attempt that takes a place, or has such an attempt and is neither",
        "SELECT j.id FROM longshore_job j WHERE (j.status IN (1, 2)) <> EXISTS \
         (SELECT FROM longshore_attempt a WHERE a.job = j.id AND a.state IN (0, 1))",
    ),
    (
        "has ended without a time, or has a time and has not ended",
        "SELECT id FROM longshore_job WHERE open <> (status < 3) OR open <> (finished_at IS NULL)",
    ),
    (
        "is pending and in no line, or in a line and not pending",
        "SELECT id FROM longshore_job WHERE (status = 0) <> (line IS NOT NULL OR until IS NOT NULL)",
    ),
    ("has an attempt whose marks disagree", "SELECT job FROM longshore_attempt WHERE open <> (state < 3)"),
    (
        "has an attempt of a session that is over",
        "SELECT a.job FROM longshore_attempt a WHERE a.session IS NOT NULL \
         AND NOT EXISTS (SELECT FROM longshore_session s WHERE s.id = a.session)",
    ),
];

/// Looks at everything.
pub(super) async fn check(pool: &Pool) -> Result<Vec<String>> {
    let mut words = pool.transact(&Contradictions { server: pool.server() }).await?;
    let mut charged = BTreeMap::new();
    let mut after = None;
    loop {
        let (page, last) = read_page(pool, after, &mut words).await?;
        for archive in &page {
            // Those that have ended: what others reserve may be charged less a moment later.
            let attempts = archive.attempts.iter().filter(|attempt| !attempt.state.takes_place());
            attempts.flat_map(|attempt| &attempt.charges).for_each(|charge| add(&mut charged, charge));
        }
        let Some(last) = last else { break };
        after = Some(last);
    }
    words.extend(pool.transact(&Accounts { charged }).await?);
    Ok(words)
}

type Charged = BTreeMap<(String, i64, String), Decimal>;

fn add(charged: &mut Charged, charge: &Charge) {
    let currency = charge.amount.currency().to_string();
    *charged.entry((charge.budget.to_string(), codec::period(charge.period), currency)).or_default() +=
        charge.amount.amount();
}

/// A page of jobs, and the last one of it. What can't be read is told, and passed over.
async fn read_page(
    pool: &Pool,
    after: Option<JobId>,
    words: &mut Vec<String>,
) -> Result<(Vec<JobArchive>, Option<JobId>)> {
    let ids = pool.transact(&Ids { after }).await?;
    let last = ids.last().copied();
    match pool.transact(&Archive { after, most: PAGE }).await {
        Ok(page) => return Ok((page, last)),
        Err(error) if error.is_lost_contact() => return Err(error),
        Err(_) => {}
    }
    let mut page = Vec::new();
    let mut before = after;
    for id in ids {
        match pool.transact(&Archive { after: before, most: 1 }).await {
            Ok(one) => page.extend(one),
            Err(error) if error.is_lost_contact() => return Err(error),
            Err(error) => words.push(error.chain()),
        }
        before = Some(id);
    }
    Ok((page, last))
}

struct Ids {
    after: Option<JobId>,
}

#[async_trait]
impl Work for Ids {
    type Answer = Vec<JobId>;
    const OPERATION: &'static str = "check";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<JobId>, Failure> {
        let after = self.after.map_or(uuid::Uuid::nil(), |id| *id.as_uuid());
        let asked = sqlx::query("SELECT id FROM longshore_job WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = asked.bind(after).bind(PAGE).fetch_all(connection).await?;
        rows.iter().map(|row| Ok(codec::job_id(row.try_get(0)?))).collect()
    }
}

struct Contradictions<'a> {
    server: &'a str,
}

#[async_trait]
impl Work for Contradictions<'_> {
    type Answer = Vec<String>;
    const OPERATION: &'static str = "check";
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    const LIMIT: Duration = Duration::from_secs(3600);

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<String>, Failure> {
        connection.execute(OWN_PLANS).await?;
        let mut words = Vec::new();
        let unsafe_settings = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') \
                               AND setting = 'off' ORDER BY name";
        for row in sqlx::query(unsafe_settings).fetch_all(&mut *connection).await? {
            let (server, name) = (self.server, row.try_get::<&str, _>(0)?);
            words.push(format!(
                "{server} runs with {name} off: what is stored may be lost or damaged when its machine stops"
            ));
        }
        for (what, sql) in NEVER {
            for row in sqlx::query(*sql).fetch_all(&mut *connection).await? {
                words.push(format!("job {} {what}", codec::job_id(row.try_get(0)?)));
            }
        }
        Ok(words)
    }
}

/// Compares accounts with the charges of attempts. What was purged stays charged, so only what is missing is told.
struct Accounts {
    charged: Charged,
}

#[async_trait]
impl Work for Accounts {
    type Answer = Vec<String>;
    const OPERATION: &'static str = "check";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<String>, Failure> {
        let rows = sqlx::query("SELECT budget, period, currency, amount::text FROM longshore_charged")
            .fetch_all(connection)
            .await?;
        let mut kept = Charged::new();
        for row in rows {
            kept.insert(
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?),
                codec::decimal(row.try_get(3)?, "an account")?,
            );
        }
        let missing = self.charged.iter().filter_map(|(account @ (budget, _, currency), amount)| {
            let kept = kept.get(account).copied().unwrap_or_default();
            let less = kept < *amount;
            less.then(|| {
                format!("budget {budget} counts {kept} {currency}, and attempts were charged {amount} {currency}")
            })
        });
        Ok(missing.collect())
    }
}
