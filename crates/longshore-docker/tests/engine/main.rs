//! Tests against real engines and registries, with what goes wrong between them and Longshore.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod identities;
mod launching;
#[path = "../support/local.rs"]
mod local;
mod missed;
mod private_engine;
mod pulls;
mod registry;
mod restarts;
#[path = "../support/service.rs"]
mod service;
#[path = "../support/mod.rs"]
mod support;
mod tls;

use longshore_testkit::suite;
use private_engine::PrivateEngine;
use registry::Registry;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite::main(&[
        ("faults", || Box::pin(async { support::engine_at(&local::socket()).await.map(drop) }), faults::TESTS),
        ("identities", || Box::pin(async { support::engine_at(&local::socket()).await.map(drop) }), identities::TESTS),
        ("missed", || Box::pin(async { support::engine_at(&local::socket()).await.map(drop) }), missed::TESTS),
        ("pulls", || Box::pin(engine_and_registry()), pulls::TESTS),
        ("tls", || Box::pin(async { support::engine_at(&local::socket()).await.map(drop) }), tls::TESTS),
        ("restarts", || Box::pin(async { PrivateEngine::missing().map_or(Ok(()), Err) }), restarts::TESTS),
    ])
}

async fn engine_and_registry() -> Result<(), String> {
    support::engine_at(&local::socket()).await?;
    Registry::missing().map_or(Ok(()), Err)
}
