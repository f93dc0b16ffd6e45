//! Where jobs go, and why.

#![cfg(feature = "rules")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cases;
mod decisions;
mod memo;
mod money;
mod properties;
mod router;
mod world;
