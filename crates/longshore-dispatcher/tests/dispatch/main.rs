//! The dispatcher over the store in memory and the scripted executor, on a clock that waits for nobody.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cancelling;
mod clocks;
mod ends;
mod idleness;
mod panics;
mod refusals;
mod reloading;
mod retention;
mod service;
mod slow_stores;
mod stage;
mod takeover;
