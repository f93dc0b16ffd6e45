//! Everything that can be scripted, on a clock that is paused.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod contact;
mod events;
mod launching;
mod logs;
mod planning;
mod restarts;
mod runs;
mod states;
mod support;
