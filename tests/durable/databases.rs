//! PostgreSQL is restarted, crashes, and loses single connections, while jobs run and more are submitted.

use longshore_testkit::{suite::Test, tests};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection, Row};

use crate::{
    cluster::Cluster,
    jobs::Kind,
    verdict::Trouble,
    world::{Place, World, until},
};

pub(crate) const TESTS: &[Test] = &tests![a_server_that_restarts_crashes_and_loses_connections];

async fn a_server_that_restarts_crashes_and_loses_connections() {
    let server = Cluster::start().unwrap();
    let url = server.database().await;
    let world = World::on_postgres(Place::Embedded, url.clone()).await;
    let mut dispatcher = world.start();
    for trouble in [Some(Signal::INT), Some(Signal::QUIT), None] {
        let before = world.runs();
        submit(&world, &Kind::ALL).await;
        submit(&world, &Kind::ALL).await;
        world.begun(before + 4).await;
        match trouble {
            Some(signal) => {
                server.stop(signal);
                server.launch();
            }
            None => kill_a_backend(&url).await,
        }
    }
    world.settled().await;
    assert!(dispatcher.is_alive());
    dispatcher.terminate().await;
    world.judge(Trouble::None).await;
}

/// Submits until it is acknowledged. What was refused may be stored or not; nobody relies on it.
async fn submit(world: &World, kinds: &[Kind]) {
    world.insist(async || world.try_submit(kinds).await).await;
}

/// Kills the process behind one of the dispatcher's connections, which the server takes for a crash of all.
async fn kill_a_backend(url: &str) {
    const BACKENDS: &str =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let process = until("a connection is found", async || {
        let mut connection = PgConnection::connect(url).await.ok()?;
        let row = sqlx::query(BACKENDS).fetch_optional(&mut connection).await.ok()??;
        Pid::from_raw(row.get::<i32, _>(0))
    })
    .await;
    kill_process(process, Signal::KILL).unwrap();
}
