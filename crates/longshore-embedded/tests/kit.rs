//! The conformance kit against containers of this machine, as root.

#[path = "support/harness.rs"]
mod harness;
mod support;

use harness::EmbeddedHarness;
use longshore_testkit::kit::{self, SetupError};
use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_embedded::supervise();
    kit::main("embedded", async || {
        if rustix::process::geteuid().is_root() {
            return EmbeddedHarness::new();
        }
        Err(SetupError::unavailable("only root grants everything; the test `rootless` has what an ordinary user can"))
    })
}
