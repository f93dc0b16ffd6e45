//! The tables, made and brought up to date at the first use.
//!
//! Steps only go forward and only add, so that programs of two versions may run at once. A step that older programs could
//! not live with says from which version on they can.

use async_trait::async_trait;
use longshore_core::{Error, ErrorKind, Owner, Result};
use sqlx::{Executor, Row, postgres::PgConnection};
use std::time::Duration;

use crate::ids::new_owner;

use super::{codec, failure::Failure, pool::Pool, transact::Work};

/// One step.
struct Step {
    /// The version that it leads to.
    version: i32,
    /// The oldest version whose programs can use the tables afterwards.
    needs: i32,
    sql: &'static str,
}

const STEPS: &[Step] = &[Step { version: 1, needs: 1, sql: include_str!("1.sql") }];

/// The version of the tables that this program knows.
const KNOWN: i32 = STEPS[STEPS.len() - 1].version;

/// The oldest PostgreSQL that is supported, as it says its version.
const OLDEST_SERVER: i32 = 150_000;

/// What is the installation's own, of which several may share a database in schemas of their own.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    /// The channel of its news.
    pub(super) channel: String,
    /// Whose the things are that it makes.
    pub(super) owner: Owner,
}

/// Makes the tables and brings them up to date.
pub(super) async fn prepare(pool: &Pool, migrate: bool) -> Result<Installation> {
    pool.transact(&Prepare { server: pool.server(), migrate }).await
}

struct Prepare<'a> {
    server: &'a str,
    migrate: bool,
}

#[async_trait]
impl Work for Prepare<'_> {
    type Answer = Installation;
    const OPERATION: &'static str = "prepare the database";
    const LIMIT: Duration = Duration::from_secs(600);

    async fn run(&self, connection: &mut PgConnection) -> Result<Installation, Failure> {
        self.check_server(connection).await?;
        let (found, needs) = versions(connection).await?;
        if needs > KNOWN {
            return Err(self.too_new(found, needs).into());
        }
        if found < KNOWN {
            self.take_steps(connection).await?;
        }
        let sql = "SELECT 'longshore_job'::regclass::oid::bigint, owner FROM longshore_installation";
        let row = sqlx::query(sql).fetch_one(connection).await?;
        let owner = codec::parsed_name(row.try_get(1)?, "the installation's owner")?;
        Ok(Installation { channel: format!("longshore_{}", row.try_get::<i64, _>(0)?), owner })
    }
}

/// The version of the tables, and the oldest version whose programs can use them; zero where there are none yet.
async fn versions(connection: &mut PgConnection) -> Result<(i32, i32), Failure> {
    let there = sqlx::query("SELECT to_regclass('longshore_schema') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there.try_get::<bool, _>(0)? {
        return Ok((0, 0));
    }
    let row = sqlx::query("SELECT coalesce(max(version), 0), coalesce(max(needs), 0) FROM longshore_schema")
        .fetch_one(connection)
        .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

impl Prepare<'_> {
    async fn check_server(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        let asked = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')";
        let row = sqlx::query(asked).fetch_one(connection).await?;
        let (version, encoding): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
        if version < OLDEST_SERVER {
            let message = format!("{} is PostgreSQL {}; use 15 or later", self.server, version / 10_000);
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
        if encoding != "UTF8" {
            let message = format!("the database on {} is encoded as {encoding}; use one with UTF8", self.server);
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
        Ok(())
    }

    /// Takes the steps that are missing, while nobody else does.
    async fn take_steps(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        if !self.migrate {
            let message = format!(
                "the tables of Longshore on {} are missing or older than this program; bring them up to date with \
                 `longshore db migrate`, which harms no older program that runs",
                self.server
            );
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
        // Whoever else takes steps may take its time, and so may those who use a table that is changed.
        connection.execute("SET LOCAL lock_timeout = 0; SET LOCAL plan_cache_mode = auto").await?;
        connection
            .execute("SELECT pg_advisory_xact_lock(hashtextextended('longshore schema ' || current_schema(), 0))")
            .await?;
        connection
            .execute(
                "CREATE TABLE IF NOT EXISTS longshore_schema (version integer PRIMARY KEY, needs integer NOT NULL)",
            )
            .await?;
        let (found, _) = versions(connection).await?;
        for step in STEPS.iter().filter(|step| step.version > found) {
            connection.execute(step.sql).await?;
            sqlx::query("INSERT INTO longshore_schema (version, needs) VALUES ($1, $2)")
                .bind(step.version)
                .bind(step.needs)
                .execute(&mut *connection)
                .await?;
        }
        let once = "INSERT INTO longshore_installation (owner) SELECT $1 WHERE NOT EXISTS (SELECT FROM longshore_installation)";
        sqlx::query(once).bind(new_owner().to_string()).execute(connection).await?;
        Ok(())
    }

    fn too_new(&self, found: i32, needs: i32) -> Error {
        let message = format!(
            "the tables of Longshore on {} have version {found} and need a program that knows version {needs}; this one \
             knows {KNOWN}: use a newer Longshore. Nothing was changed",
            self.server
        );
        Error::new(ErrorKind::Unsupported, message)
    }
}
