//! The service of `axum_service` on the mock: no engine.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod life_cycle;
mod refusals;
mod shutdown;
mod support;
mod wire;
