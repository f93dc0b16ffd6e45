//! Configurations as people write them: read, checked, explained, followed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod environment;
mod formats;
mod fuzz;
mod jobs;
mod live;
mod problems;
mod published;
mod routing;
mod support;
