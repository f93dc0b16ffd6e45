//! The conformance kit against the fake of Cloud Run, on a clock that runs many times faster.

#[path = "support/harness.rs"]
mod harness;

use harness::FakeHarness;
use longshore_testkit::kit;
use std::process::ExitCode;

fn main() -> ExitCode {
    kit::main("cloudrun", FakeHarness::start)
}
