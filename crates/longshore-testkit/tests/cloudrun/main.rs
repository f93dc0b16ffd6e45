//! The fake Cloud Run, called as a program would call it, and by Google's own clients.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a broken precondition fails the test that it belongs to")]

mod client;
mod clocks;
mod faults;
mod life_cycle;
mod lists;
mod logs;
mod official;
mod refusals;

use longshore_testkit::suite::{self, Needs};
use std::process::ExitCode;

const NOTHING: Needs = || Box::pin(async { Ok(()) });

fn main() -> ExitCode {
    suite::main(&[
        ("clocks", NOTHING, clocks::TESTS),
        ("faults", NOTHING, faults::TESTS),
        ("life_cycle", NOTHING, life_cycle::TESTS),
        ("lists", NOTHING, lists::TESTS),
        ("logs", NOTHING, logs::TESTS),
        ("official", || Box::pin(official::missing()), official::TESTS),
        ("refusals", NOTHING, refusals::TESTS),
    ])
}
