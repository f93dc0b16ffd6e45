//! The log store: what it keeps, what it survives, and the places where it keeps.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod full_disk;
mod keeping;
mod opening;
mod program;
#[cfg(feature = "s3")]
mod s3;
mod support;
mod surviving;

use longshore_testkit::suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite::main(&[
        ("keeping", || Box::pin(async { Ok(()) }), keeping::TESTS),
        ("surviving", || Box::pin(async { Ok(()) }), surviving::TESTS),
        ("opening", || Box::pin(async { Ok(()) }), opening::TESTS),
        ("full_disk", || Box::pin(full_disk::needs()), full_disk::TESTS),
        #[cfg(feature = "s3")]
        ("s3", || Box::pin(s3::needs()), s3::TESTS),
    ])
}
