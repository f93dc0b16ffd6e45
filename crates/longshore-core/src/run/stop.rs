//! Stopping a run from elsewhere.

use std::sync::Arc;
use tokio::sync::watch;

/// How hard a run is to be stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StopLevel {
    /// Not at all.
    #[default]
    Running,
    /// The stop signal, the grace period, then the kill.
    Graceful,
    /// The kill at once.
    Kill,
}

/// Stops a run from elsewhere, once gracefully, again at once; clones are the same switch.
#[derive(Debug, Clone)]
pub struct StopSwitch(Arc<watch::Sender<StopLevel>>);

impl Default for StopSwitch {
    fn default() -> Self {
        Self::new()
    }
}

impl StopSwitch {
    /// A switch that nobody has used.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(StopLevel::Running)))
    }

    /// Asks for a stop of at least this level; a level once reached stays.
    pub fn stop(&self, level: StopLevel) {
        self.0.send_if_modified(|current| {
            let raised = level > *current;
            *current = level.max(*current);
            raised
        });
    }

    /// The level that is reached.
    #[must_use]
    pub fn level(&self) -> StopLevel {
        *self.0.borrow()
    }

    /// Waits until the level is reached. Cancel-safe.
    pub async fn reached(&self, level: StopLevel) -> StopLevel {
        let mut receiver = self.0.subscribe();
        let reached = receiver.wait_for(|current| *current >= level).await.map(|current| *current);
        reached.unwrap_or(StopLevel::Kill)
    }
}
