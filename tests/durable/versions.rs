//! A newer version brings the database up to date while this one works.

use longshore::{
    Error, ErrorKind,
    store::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore},
};
use longshore_testkit::{suite::Test, tests};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    cluster,
    jobs::Kind,
    program::Database,
    verdict::Trouble,
    world::{Place, World},
};

pub(crate) const SQLITE: &[Test] = &tests![a_sqlite_file_is_migrated_under_a_dispatcher_at_work];
pub(crate) const POSTGRES: &[Test] = &tests![a_postgres_database_is_migrated_under_a_dispatcher_at_work];

/// What a newer version adds, without harm to this one.
const ADDS: &str = "ALTER TABLE {jobs} ADD COLUMN added_later text; \
                    ALTER TABLE {attempts} ADD COLUMN added_later text; \
                    CREATE TABLE added_later (id integer PRIMARY KEY); \
                    INSERT INTO {versions} (version, needs) VALUES (2, 1);";

/// What this version can't live with.
const SHUTS_OUT: &str = "INSERT INTO {versions} (version, needs) VALUES (3, 3);";

async fn a_sqlite_file_is_migrated_under_a_dispatcher_at_work() {
    let world = World::on_sqlite(Place::Embedded).await;
    let Database::Sqlite(path) = world.assignment.database.clone() else { panic!("a file") };
    let migrate = async |sql: &str| {
        let newer = rusqlite::Connection::open(&path).unwrap();
        newer.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        let sql = named(sql, ["jobs", "attempts", "schema_versions"]);
        newer.execute_batch(&format!("BEGIN IMMEDIATE; {sql} COMMIT;")).unwrap();
    };
    let open = async || SqliteStore::open(&path, SqliteOptions::default()).await.map(drop);
    migrated(&world, migrate, open).await;
}

async fn a_postgres_database_is_migrated_under_a_dispatcher_at_work() {
    let url = cluster::shared().unwrap().database().await;
    let world = World::on_postgres(Place::Embedded, url.clone()).await;
    let migrate = async |sql: &str| {
        let mut newer = PgConnection::connect(&url).await.unwrap();
        let sql = named(sql, ["longshore_job", "longshore_attempt", "longshore_schema"]);
        newer.execute(sqlx::AssertSqlSafe(format!("BEGIN; {sql} COMMIT;"))).await.unwrap();
    };
    let open = async || PostgresStore::connect(&url, PostgresOptions::default()).await.map(drop);
    migrated(&world, migrate, open).await;
}

fn named(sql: &str, [jobs, attempts, versions]: [&str; 3]) -> String {
    sql.replace("{jobs}", jobs).replace("{attempts}", attempts).replace("{versions}", versions)
}

/// Those that are at work go on, and those of this version that are started later work too, until a version comes that
/// needs newer programs.
async fn migrated(world: &World, migrate: impl AsyncFn(&str), open: impl AsyncFn() -> Result<(), Error>) {
    let first = world.start();
    world.submit(&Kind::ALL).await;
    world.submit(&Kind::ALL).await;
    world.begun(2).await;
    migrate(ADDS).await;
    open().await.unwrap();
    let second = world.start_as("second");
    world.submit(&Kind::ALL).await;
    world.settled().await;
    migrate(SHUTS_OUT).await;
    let refusal = open().await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Unsupported, "{}", refusal.chain());
    // Whoever is at work still can write what it holds.
    for dispatcher in [first, second] {
        dispatcher.terminate().await;
    }
    world.judge(Trouble::None).await;
}
