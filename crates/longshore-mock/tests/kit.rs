//! The conformance kit against the mock.

mod harness;

use harness::MockHarness;
use longshore_mock::MockConfig;
use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_testkit::kit::main("mock", || MockHarness::start(MockConfig::default()))
}
