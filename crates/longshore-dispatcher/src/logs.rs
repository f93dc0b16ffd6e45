//! Where the dispatcher has logs kept.

use async_trait::async_trait;
use longshore_core::{ContainerExecutor, ExecutionHandle, Result};
use longshore_store::LogReference;
use std::fmt;

/// A log that is kept.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SavedLog {
    /// Where it is.
    pub reference: LogReference,
    /// The standard output, where that is one JSON value.
    pub parsed_output: Option<serde_json::Value>,
}

impl SavedLog {
    /// A log that is kept.
    #[must_use]
    pub const fn new(reference: LogReference, parsed_output: Option<serde_json::Value>) -> Self {
        Self { reference, parsed_output }
    }
}

/// Keeps the logs of ended executions.
#[async_trait]
pub trait LogKeeper: fmt::Debug + Send + Sync {
    /// Reads the whole log and keeps it, durable when this returns. May be repeated.
    ///
    /// # Errors
    /// As the executor answers, or as the log can be kept.
    async fn save(
        &self,
        executor: &dyn ContainerExecutor,
        handle: &ExecutionHandle,
        cap: Option<u64>,
    ) -> Result<SavedLog>;
}
