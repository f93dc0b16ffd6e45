//! The conformance kit against a real Docker Engine.

#[path = "support/harness.rs"]
mod harness;
#[path = "support/local.rs"]
mod local;
mod support;

use harness::DockerHarness;
use longshore_testkit::kit;
use std::process::ExitCode;

fn main() -> ExitCode {
    kit::main("docker", async || DockerHarness::at(&local::socket()).await)
}
