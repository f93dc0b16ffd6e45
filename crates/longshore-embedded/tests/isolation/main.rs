//! What a container can't reach: each test is a way out of some container runtime, tried.

mod host;
mod images;
mod inside;
mod networks;
#[path = "../support/mod.rs"]
mod support;

use longshore_testkit::suite::{self, Needs};
use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_embedded::supervise();
    let nothing: Needs = || Box::pin(async { Ok(()) });
    let root: Needs = || Box::pin(async { inside::root() });
    let slirp: Needs = || Box::pin(async { networks::can_try("slirp4netns") });
    let pasta: Needs = || Box::pin(async { networks::can_try("pasta") });
    suite::main(&[
        ("images", nothing, images::TESTS),
        ("host", nothing, host::TESTS),
        ("host", root, host::AS_ROOT),
        ("inside", nothing, inside::TESTS),
        ("inside", root, inside::AS_ROOT),
        ("networks", nothing, networks::WITHOUT),
        ("networks", slirp, networks::THROUGH_SLIRP),
        ("networks", pasta, networks::THROUGH_PASTA),
    ])
}
