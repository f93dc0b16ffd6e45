//! Where the dispatcher has logs kept.

use async_trait::async_trait;
use longshore_core::{ByteSize, ContainerExecutor, ExecutionHandle, LaunchToken, Result};
use longshore_store::{LogReference, LogStore, SavedLog};
use std::fmt;

/// Keeps the logs of ended executions. [`LogStore`] is the one for all but simulations.
#[async_trait]
pub trait LogKeeper: fmt::Debug + Send + Sync {
    /// Keeps the whole log, up to the cap; durable when this returns. May be repeated.
    ///
    /// # Errors
    /// As [`LogStore::save`].
    async fn save(&self, executor: &dyn ContainerExecutor, handle: &ExecutionHandle, cap: ByteSize)
    -> Result<SavedLog>;

    /// Removes what is kept of an attempt beside the log with this reference, which is stored with the attempt. May be
    /// repeated.
    ///
    /// # Errors
    /// As [`LogStore::keep_only`].
    async fn keep_only(&self, token: LaunchToken, reference: Option<&LogReference>) -> Result<()>;
}

#[async_trait]
impl LogKeeper for LogStore {
    async fn save(
        &self,
        executor: &dyn ContainerExecutor,
        handle: &ExecutionHandle,
        cap: ByteSize,
    ) -> Result<SavedLog> {
        Self::save(self, executor, handle, cap).await
    }

    async fn keep_only(&self, token: LaunchToken, reference: Option<&LogReference>) -> Result<()> {
        Self::keep_only(self, token, reference).await.map(drop)
    }
}
