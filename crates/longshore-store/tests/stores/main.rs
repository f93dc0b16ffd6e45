//! What every store promises, each case written once and run on each store; and each store against the one in memory,
//! through the same random operations.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::cognitive_complexity, reason = "a case is a straight story; each await and each assertion counts")]

#[macro_use]
mod list;
mod cases;
mod desk;
mod ground;
#[cfg(feature = "postgres")]
mod postgres;
mod random;
mod support;

#[cfg(feature = "sqlite")]
use ground::Sqlite;
use ground::{Kind, Memory};
use longshore_testkit::suite::{self, Group, Test};
use std::process::ExitCode;

fn main() -> ExitCode {
    const MEMORY: &[Test] = &every_case!(Memory);
    #[cfg(feature = "sqlite")]
    const SQLITE: &[Test] = &every_case!(Sqlite);
    #[cfg(feature = "postgres")]
    const POSTGRES: &[Test] = &every_case!(postgres::Postgres);
    const GROUPS: &[Group] = &[
        ("memory", || Box::pin(Memory::needs()), MEMORY),
        #[cfg(feature = "sqlite")]
        ("sqlite", || Box::pin(Sqlite::needs()), SQLITE),
        #[cfg(feature = "postgres")]
        ("postgres", || Box::pin(postgres::Postgres::needs()), POSTGRES),
    ];
    let code = suite::main(GROUPS);
    #[cfg(feature = "postgres")]
    postgres::stop();
    code
}
