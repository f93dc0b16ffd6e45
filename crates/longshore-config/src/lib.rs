#![doc = include_str!("docs.md")]

mod check;
mod config;
mod document;
mod environment;
mod find;
mod format;
mod live;
mod loader;
mod problem;
mod reading;
mod report;
mod routing_test;
mod schema;
mod secret;
mod shape;
mod source;
mod spec;
mod tree;

#[doc = include_str!("routing.md")]
pub mod routing {}

pub use config::Config;
pub use environment::Environment;
pub use find::{Ambiguous, configurations_in, find};
pub use format::Format;
pub use live::{Build, LOOK, LiveConfig};
pub use loader::{Checked, Loader, job_schema};
pub use problem::{Place, Problem, Problems, Severity};
pub use routing_test::TestOutcome;
pub use schema::schema;
pub use shape::Shape;
pub use spec::DescribedJob;

/// A configuration to begin with: `longshore config init` writes it.
pub const FIRST: &str = include_str!("first.toml");
