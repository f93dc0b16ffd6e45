//! The conformance kit against the mock.

mod harness;

use harness::MockHarness;
use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_testkit::kit::main("mock", MockHarness::start)
}
