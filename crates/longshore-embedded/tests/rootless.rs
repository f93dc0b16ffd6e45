//! The conformance kit as an ordinary user, who has nobody but itself to give to a container.

#[path = "support/harness.rs"]
mod harness;
#[path = "support/ordinary.rs"]
mod ordinary;
mod support;

use harness::EmbeddedHarness;
use longshore_testkit::kit;
use std::process::ExitCode;

/// A user that no table knows, and that has no ranges therefore.
const NOBODY_KNOWN: u32 = 47_110;

fn main() -> ExitCode {
    longshore_embedded::supervise();
    ordinary::as_user(NOBODY_KNOWN, NOBODY_KNOWN, || kit::main("rootless", async || EmbeddedHarness::new()))
}
