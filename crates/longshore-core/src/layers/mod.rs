//! Executors around executors. Each implements every method of the contract, and a lint proves it.

mod timeout;
mod tracing;

pub use timeout::{TimeoutLayer, Timeouts};
pub use tracing::TracingLayer;
