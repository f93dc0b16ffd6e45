//! The dispatcher as its users see it.

use longshore_core::{Clock, Result, route::Router};
use longshore_store::JobStore;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

use crate::{LogKeeper, Settings, metrics, report, session, session::End};

/// The pause before another session is opened after one was lost.
const PAUSE: Duration = Duration::from_secs(1);

/// What a dispatcher works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where jobs are kept.
    pub store: Arc<dyn JobStore>,
    /// Where logs are kept.
    pub logs: Arc<dyn LogKeeper>,
    /// What finds places, and the executors behind them.
    pub router: Arc<Router>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How it works.
    pub settings: Settings,
}

/// How a dispatcher is to end. A later one takes the place of an earlier one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DrainMode {
    /// Not at all.
    #[default]
    Open,
    /// It claims nothing new and ends when all that it holds has ended, what it adopts included.
    Finish,
    /// It cancels what it holds, adopts nothing more, and ends when all of it has ended.
    StopJobs,
    /// It ends soon. What runs goes on running, and whoever comes next takes it over.
    HandOver,
}

/// Ends a dispatcher from elsewhere; clones are the same.
#[derive(Debug, Clone)]
pub struct Drain(Arc<watch::Sender<DrainMode>>);

impl Drain {
    /// Begins to end it.
    pub fn begin(&self, mode: DrainMode) {
        self.0.send_if_modified(|now| {
            let raised = mode > *now;
            *now = mode.max(*now);
            raised
        });
    }
}

/// Carries jobs from the queue to their end. Any number of them may share a store.
#[derive(Debug)]
pub struct Dispatcher {
    parts: Parts,
    drain: Drain,
    idle: watch::Sender<bool>,
}

impl Dispatcher {
    /// A dispatcher that works with these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let drain = Drain(Arc::new(watch::Sender::new(DrainMode::Open)));
        Self { parts, drain, idle: watch::Sender::new(false) }
    }

    /// What ends it.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Whether there is nothing to do now: nothing is held or on its way, what others had left is adopted, and nothing in the
    /// queue can be launched. Not waited for is what has ended and could not be removed for about a minute, and what a session
    /// holds that is dead and not yet fenced off.
    #[must_use]
    pub fn idle(&self) -> watch::Receiver<bool> {
        self.idle.subscribe()
    }

    /// Works until it is drained. While the store can't be reached it waits; when it was fenced off, because it was taken
    /// for dead, it begins anew.
    ///
    /// Cancellation: dropping it is like the death of its process. What runs goes on, and the next dispatcher takes it over.
    ///
    /// # Errors
    /// What keeps it from working at all: a store that refuses, not one that can't be reached.
    pub async fn run(&self) -> Result<()> {
        loop {
            match session::run(&self.parts, &self.drain.0, &self.idle).await? {
                End::Drained => return Ok(()),
                End::Lost(error) => {
                    metrics::fenced("self");
                    report::trouble(&error, "the session is lost; beginning anew");
                    self.parts.clock.sleep(PAUSE).await;
                }
            }
        }
    }
}
