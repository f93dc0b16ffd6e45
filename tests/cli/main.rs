//! The `longshore` program from its user's seat: what is typed, what is shown, what remains in a real engine.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::cognitive_complexity, reason = "a case is a straight story; each await and each assertion counts")]

mod bad_input;
mod bench;
#[path = "../../crates/longshore-store/tests/cluster/mod.rs"]
mod cluster;
mod databases;
mod desk;
mod dispatching;
mod embedded;
mod exit_codes;
mod faults;
mod jobs;
mod keep;
mod options;
mod output;
mod plan;
mod postgres;
mod program;
mod recorded;
mod refusals;
mod routed;
mod signals;
mod templates;
mod terminal;
mod variables;

use longshore_testkit::suite::{self, Needs};
use std::process::ExitCode;

fn main() -> ExitCode {
    let engine: Needs = || Box::pin(async { bench::engine().await.map(drop) });
    let nothing: Needs = || Box::pin(async { Ok(()) });
    let postgres: Needs = || Box::pin(async { cluster::shared().map(drop) });
    let code = suite::main(&[
        ("bad_input", nothing, bad_input::TESTS),
        ("databases", nothing, databases::TESTS),
        ("dispatching", nothing, dispatching::TESTS),
        ("embedded", nothing, embedded::TESTS),
        ("embedded_on_engine", engine, embedded::ON_ENGINE),
        ("exit_codes", engine, exit_codes::TESTS),
        ("faults", engine, faults::TESTS),
        ("jobs", nothing, jobs::TESTS),
        ("keep", engine, keep::TESTS),
        ("options", engine, options::TESTS),
        ("output", engine, output::TESTS),
        ("plan", engine, plan::TESTS),
        ("postgres", postgres, postgres::TESTS),
        ("recorded", nothing, recorded::TESTS),
        ("refusals", engine, refusals::TESTS),
        ("routed", engine, routed::TESTS),
        ("signals", engine, signals::TESTS),
        ("templates", nothing, templates::TESTS),
        ("terminal", engine, terminal::TESTS),
        ("variables", engine, variables::TESTS),
    ]);
    cluster::stop_shared();
    code
}
