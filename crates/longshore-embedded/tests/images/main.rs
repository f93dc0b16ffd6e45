//! Images against a real registry, a full disk and a sudden death.
//!
//! The store is no part of the crate's interface, so its source is compiled into these tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod dying;
mod full_disk;
#[path = "../../src/image/mod.rs"]
#[expect(dead_code, unused_imports, reason = "its unit tests, and what only the executor uses, are not run here")]
mod image;
mod overlay;
mod pulls;
#[path = "../../../longshore-docker/tests/engine/registry.rs"]
mod registry;
mod registry_faults;
#[path = "../../../longshore-docker/tests/support/service.rs"]
mod service;
mod shelf;

use longshore_testkit::suite;
use registry::Registry;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(arguments) = dying::called() {
        return dying::main(arguments);
    }
    suite::main(&[
        ("pulls", || Box::pin(async { Registry::missing().map_or(Ok(()), Err) }), pulls::TESTS),
        ("registry_faults", || Box::pin(async { Registry::missing().map_or(Ok(()), Err) }), registry_faults::TESTS),
        ("full_disk", || Box::pin(async { full_disk::missing().map_or(Ok(()), Err) }), full_disk::TESTS),
        ("overlay", || Box::pin(async { full_disk::missing().map_or(Ok(()), Err) }), overlay::TESTS),
        ("dying", || Box::pin(async { Ok(()) }), dying::TESTS),
    ])
}
