//! What only a real server of PostgreSQL can show: its ends and restarts, lost answers, locks, refusals.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::cognitive_complexity, reason = "a case is a straight story; each await and each assertion counts")]

#[path = "../cluster/mod.rs"]
mod cluster;
#[path = "../stores/desk.rs"]
mod desk;
mod faults;
mod locks;
mod news;
mod refusals;
mod restart;
#[path = "../stores/support.rs"]
#[expect(dead_code, reason = "the store suite uses all of it")]
mod support;

use longshore_store::{JobStore, PostgresOptions, PostgresStore};
use longshore_testkit::suite::{self, Group, Test};
use sqlx::{Connection, Executor, PgConnection};
use std::{process::ExitCode, sync::Arc, time::Duration};

const TESTS: &[&[Test]] = &[refusals::TESTS, locks::TESTS, news::TESTS, faults::TESTS, restart::TESTS];

const fn group(name: &'static str, at: usize) -> Group {
    (name, || Box::pin(async { cluster::shared().map(|_| ()) }), TESTS[at])
}

fn main() -> ExitCode {
    const GROUPS: &[Group] =
        &[group("refusals", 0), group("locks", 1), group("news", 2), group("faults", 3), group("restart", 4)];
    let code = suite::main(GROUPS);
    cluster::stop_shared();
    code
}

/// Opens the store in a database, so that it waits for as long as a server on a busy machine needs to start again.
async fn open(url: &str) -> Arc<dyn JobStore> {
    let options = PostgresOptions::builder().patience(Duration::from_secs(60)).build();
    Arc::new(PostgresStore::connect(url, options).await.unwrap())
}

/// A connection beside the store's.
async fn beside(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// One number that the database tells.
async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

/// Asks until the database tells that it is so.
async fn until(connection: &mut PgConnection, sql: &'static str) {
    let asked = async {
        while !sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut *connection).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), asked).await;
    assert!(in_time.is_ok(), "never so: {sql}");
}

/// Does something that a user of the database may do.
async fn run(connection: &mut PgConnection, sql: &str) {
    connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
}
