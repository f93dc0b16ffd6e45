//! What becomes of executions when launchers, supervisors, disks and neighbours fail.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

#[path = "../support/bench.rs"]
mod bench;
mod disks;
mod launches;
mod programs;
mod races;
mod runtimes;
#[path = "../support/slow_network.rs"]
mod slow_network;
#[path = "../support/small_disk.rs"]
mod small_disk;
mod state;
mod supervisors;
#[path = "../support/mod.rs"]
mod support;

use longshore_testkit::suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_embedded::supervise();
    if let Some(arguments) = bench::called() {
        return bench::launch_once(&arguments);
    }
    suite::main(&[
        ("launches", || Box::pin(async { bench::missing() }), launches::TESTS),
        ("supervisors", || Box::pin(async { bench::missing() }), supervisors::TESTS),
        ("races", || Box::pin(async { bench::missing() }), races::TESTS),
        ("state", || Box::pin(async { bench::missing() }), state::TESTS),
        ("runtimes", || Box::pin(async { bench::missing() }), runtimes::TESTS),
        ("disks", || Box::pin(async { bench::missing() }), disks::TESTS),
        ("programs", || Box::pin(async { bench::missing() }), programs::TESTS),
    ])
}
