//! What makes `run` durable: its job is stored before anything is launched, and everything that becomes of it.
//!
//! `run` is no dispatcher, but holds its one attempt as a dispatcher would, in a session of its own. When it dies, the
//! session is fenced off, and the next dispatcher goes on with the job. While it lives it is the only one that does.

mod intent;
mod journal;
mod layer;
mod recorder;

use longshore::{Clock, ContainerExecutor, Error, Result, RunOutcome, SystemClock};
use std::sync::Arc;

use crate::database::Database;
pub(crate) use journal::{IN_DOUBT, Journal, Launching};
use layer::RecordingLayer;

/// The record of a run, or none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording(Option<Arc<Journal>>);

impl Recording {
    /// Begins to record.
    ///
    /// # Errors
    /// As the database answers.
    pub(crate) async fn begin(database: &Database) -> Result<Self> {
        Self::by(database, Arc::new(SystemClock)).await
    }

    async fn by(database: &Database, clock: Arc<dyn Clock>) -> Result<Self> {
        Journal::open(database, clock).await.map(|journal| Self(Some(Arc::new(journal))))
    }

    /// The record, where there is one.
    pub(crate) fn journal(&self) -> Option<&Arc<Journal>> {
        self.0.as_ref()
    }

    /// The executor, everything that is done with which is recorded.
    pub(crate) fn of(&self, executor: Arc<dyn ContainerExecutor>, launching: Launching) -> Arc<dyn ContainerExecutor> {
        match &self.0 {
            Some(journal) => Arc::new(RecordingLayer::new(executor, Arc::clone(journal), launching)),
            None => executor,
        }
    }

    /// Records how the run came to its end, and what is still to be done.
    pub(crate) async fn conclude(&self, outcome: &RunOutcome) {
        if let Some(journal) = &self.0 {
            journal.conclude(outcome).await;
        }
    }

    /// Records that the run could not be taken to its end, and gives back the error that tells what is known then.
    pub(crate) async fn break_off(&self, error: Error) -> Error {
        match &self.0 {
            Some(journal) => journal.break_off(error).await,
            None => error,
        }
    }

    /// The run leaves its job as it is: whoever comes next goes on with it.
    pub(crate) async fn leave(&self) {
        if let Some(journal) = &self.0 {
            journal.close().await;
        }
    }
}

#[cfg(test)]
#[cfg(feature = "mock")]
mod tests;
