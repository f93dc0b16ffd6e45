//! The conformance kit against containers of this machine.

#[path = "support/harness.rs"]
mod harness;
mod support;

use harness::EmbeddedHarness;
use longshore_testkit::kit;
use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_embedded::supervise();
    kit::main("embedded", async || EmbeddedHarness::new())
}
