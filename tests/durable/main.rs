//! Durable jobs against what really happens: dispatchers, engines and databases that are killed, frozen and restarted under
//! load. What ran is told by a ledger that the containers write themselves.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../crates/longshore-store/tests/cluster/mod.rs"]
mod cluster;
mod databases;
mod disk;
mod engines;
mod frozen;
mod handover;
mod jobs;
mod kills;
mod ledger;
#[path = "../../crates/longshore-docker/tests/support/local.rs"]
mod local;
#[path = "../../crates/longshore-docker/tests/engine/private_engine.rs"]
#[expect(dead_code, reason = "shared with the tests of the executor, which need more of it")]
mod private_engine;
mod program;
#[path = "../../crates/longshore-docker/tests/support/service.rs"]
mod service;
#[path = "../../crates/longshore-docker/tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the executor, which need more of it")]
mod support;
mod verdict;
mod versions;
mod world;

use longshore_testkit::suite::{self, Needs};
use private_engine::PrivateEngine;
use std::process::ExitCode;

fn main() -> ExitCode {
    longshore::embedded::supervise();
    if let Some(ended) = program::play() {
        return ended;
    }
    let embedded: Needs = || Box::pin(async { root() });
    let embedded_and_postgres: Needs = || Box::pin(async { root().and_then(|()| cluster::shared().map(drop)) });
    let docker: Needs = || Box::pin(async { support::engine_at(&local::socket()).await.map(drop) });
    let docker_and_postgres: Needs = || {
        Box::pin(async {
            support::engine_at(&local::socket()).await?;
            cluster::shared().map(drop)
        })
    };
    let private_engine: Needs = || Box::pin(async { PrivateEngine::missing().map_or(Ok(()), Err) });
    let private_engine_and_postgres: Needs = || {
        Box::pin(async {
            PrivateEngine::missing().map_or(Ok(()), Err)?;
            cluster::shared().map(drop)
        })
    };
    let ended = suite::main(&[
        ("kills", docker, kills::DOCKER_SQLITE),
        ("kills", docker_and_postgres, kills::DOCKER_POSTGRES),
        ("kills", embedded, kills::EMBEDDED_SQLITE),
        ("kills", embedded_and_postgres, kills::EMBEDDED_POSTGRES),
        ("engines", private_engine, engines::SQLITE),
        ("engines", private_engine_and_postgres, engines::POSTGRES),
        ("databases", embedded_and_postgres, databases::TESTS),
        ("disk", embedded, disk::TESTS),
        ("frozen", embedded_and_postgres, frozen::TESTS),
        ("handover", embedded, handover::TESTS),
        ("versions", embedded, versions::SQLITE),
        ("versions", embedded_and_postgres, versions::POSTGRES),
    ]);
    cluster::stop_shared();
    ended
}

/// Whether this is root, whom containers without a daemon need here, and a small disk too.
fn root() -> Result<(), String> {
    let is_root = rustix::process::geteuid().is_root();
    is_root
        .then_some(())
        .ok_or_else(|| "containers without a daemon are tried as root here; run the tests as root".to_owned())
}
