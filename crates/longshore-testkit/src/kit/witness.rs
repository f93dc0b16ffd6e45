//! An observer that remembers what a run told it.

use async_trait::async_trait;
use longshore_core::{CapturedLogs, Error, ErrorKind, ExecutionHandle, Result, RunEvent, RunObserver};
use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// What a run has told, without what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Planned,
    Launched,
    Logs,
    Stopping,
    Terminated,
    Other,
}

/// How the observer takes its logs.
#[derive(Debug)]
enum Manner {
    /// It keeps them.
    Willing,
    /// It fails on every one.
    Failing,
    /// It does not return before it is released.
    Frozen(watch::Sender<bool>),
}

/// Remembers what a run told it.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) logs: CapturedLogs,
    handle: OnceLock<ExecutionHandle>,
    told: Mutex<Vec<Told>>,
    manner: Manner,
}

impl Witness {
    fn of_manner(manner: Manner) -> Self {
        Self { logs: CapturedLogs::default(), handle: OnceLock::new(), told: Mutex::default(), manner }
    }

    pub(crate) fn willing() -> Self {
        Self::of_manner(Manner::Willing)
    }

    /// Fails on every log record.
    pub(crate) fn failing() -> Self {
        Self::of_manner(Manner::Failing)
    }

    /// Does not return from the first log record before it is released.
    pub(crate) fn frozen() -> Self {
        Self::of_manner(Manner::Frozen(watch::Sender::new(false)))
    }

    pub(crate) fn release(&self) {
        if let Manner::Frozen(released) = &self.manner {
            released.send_replace(true);
        }
    }

    pub(crate) fn handle(&self) -> Option<ExecutionHandle> {
        self.handle.get().cloned()
    }

    /// What was told, in order, with repetitions left out.
    pub(crate) fn told(&self) -> Vec<Told> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.dedup();
        told
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.logs.stdout()).into_owned()
    }
}

#[async_trait]
impl RunObserver for Witness {
    async fn observe(&self, event: RunEvent<'_>) -> Result<()> {
        let told = match &event {
            RunEvent::Planned(_) => Told::Planned,
            RunEvent::Launched(_) => Told::Launched,
            RunEvent::Logs(_) => Told::Logs,
            RunEvent::Stopping(_) => Told::Stopping,
            RunEvent::Terminated(_) => Told::Terminated,
            _ => Told::Other,
        };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        if let RunEvent::Launched(handle) = &event {
            let _ = self.handle.set((*handle).clone());
        }
        if told == Told::Logs {
            self.take_logs().await?;
        }
        self.logs.observe(event).await
    }
}

impl Witness {
    async fn take_logs(&self) -> Result<()> {
        match &self.manner {
            Manner::Willing => Ok(()),
            Manner::Failing => Err(Error::new(ErrorKind::Unexpected, "the kit's observer takes no logs")),
            Manner::Frozen(released) => {
                let _ = released.subscribe().wait_for(|released| *released).await;
                Ok(())
            }
        }
    }
}
