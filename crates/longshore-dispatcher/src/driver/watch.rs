//! From the stored handle to the stored outcome.

use jiff::Timestamp;
use longshore_core::{Capability, ExecutionHandle, ExecutionStatus, JobTemplate, StopReason, clock::later};
use longshore_store::What;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

use super::{Driver, Leave, Step, stop::Stopped};
use crate::{scene::planted, watcher::Sight};

impl Driver {
    /// Watches the execution to its end, stops it when it is to end, and stores what became of it.
    pub(super) async fn see_through(&mut self) -> Step {
        let Some(handle) = self.held.attempt.handle.clone() else { return Err(Leave::Stale) };
        let mut sight = self.scene.watchers.watch(&Arc::clone(&self.scene), &handle);
        loop {
            let seen = sight.borrow_and_update().clone();
            match seen {
                Sight::Status(ExecutionStatus::Terminated(end)) => return self.settle(&handle, end).await,
                Sight::Status(ExecutionStatus::NotFound) => return self.vanished().await,
                Sight::Status(ExecutionStatus::Running { .. }) if self.held.attempt.started_at.is_none() => {
                    self.tell(What::Started).await;
                }
                Sight::Silent { since, why } if self.is_too_long(since) => {
                    return self.lose(format!("its provider has not answered since {since:.0}: {why}")).await;
                }
                Sight::Silent { since, .. } if planted!(self.scene, TakesSilenceForTheEnd) => {
                    return self.lose(format!("silent since {since}")).await;
                }
                _ => {}
            }
            let running = self.held.attempt.started_at.is_some();
            if let Some(reason) = self.wait_for_news(&mut sight, running).await? {
                match self.stop(&handle, reason, &sight).await? {
                    Stopped::Ended(end) => return self.settle(&handle, end).await,
                    Stopped::Vanished => return self.vanished().await,
                    Stopped::CanNot => return self.wait_for_the_end(&handle, sight).await,
                    Stopped::TooSilent(why) => return self.lose(why).await,
                }
            }
        }
    }

    /// Waits until something else is seen of it, or until it is to be stopped.
    async fn wait_for_news(&mut self, sight: &mut watch::Receiver<Sight>, running: bool) -> Step<Option<StopReason>> {
        let limit = self.limit(running);
        let mut told = std::mem::take(&mut self.told);
        let news = tokio::select! {
            biased;
            () = self.scene.drained() => Err(Leave::Gone),
            () = self.cancelled() => Ok(Some(StopReason::Cancelled)),
            settled = self.settled() => settled,
            changed = sight.changed() => changed.map(|()| None).map_err(|_| Leave::Gone),
            leave = told.refused(&self.held) => Err(leave),
            () = self.reach(limit) => Ok(Some(StopReason::TimedOut)),
        };
        self.told = told;
        news
    }

    /// Somebody has settled the job by hand.
    async fn settled(&self) -> Step<Option<StopReason>> {
        let mut attention = self.seat.attention.clone();
        if attention.wait_for(|attention| attention.settled).await.is_err() {
            std::future::pending::<()>().await;
        }
        Err(Leave::Stale)
    }

    /// When it is to be stopped for taking too long; by our own clock, because the provider's may be another.
    pub(super) fn limit(&self, running: bool) -> Option<Timestamp> {
        let attempt = &self.held.attempt;
        if planted!(self.scene, ForgetsLimits) {
            return None;
        }
        let JobTemplate { start_timeout, run_timeout, .. } = &attempt.request.plan.template;
        match attempt.started_at.filter(|_| running) {
            Some(started_at) => run_timeout.map(|limit| later(started_at, limit)),
            None => start_timeout.map(|limit| later(attempt.created_at, limit)),
        }
    }

    pub(super) async fn reach(&self, time: Option<Timestamp>) {
        let Some(time) = time else { return std::future::pending().await };
        loop {
            let left = longshore_core::clock::since(time, self.scene.known_now().await);
            if left.is_zero() {
                return;
            }
            self.scene.clock().sleep(left.min(Duration::from_secs(24 * 3600))).await;
        }
    }

    /// It can't be stopped: whatever anybody wants, its own end is waited for.
    async fn wait_for_the_end(&mut self, handle: &ExecutionHandle, mut sight: watch::Receiver<Sight>) -> Step {
        self.record(What::Noted("this executor can't stop it; waiting for its own end".to_owned())).await?;
        loop {
            let seen = sight.borrow_and_update().clone();
            match seen {
                Sight::Status(ExecutionStatus::Terminated(end)) => return self.settle(handle, end).await,
                Sight::Status(ExecutionStatus::NotFound) => return self.vanished().await,
                Sight::Silent { since, why } if self.is_too_long(since) => {
                    return self.lose(format!("its provider has not answered since {since:.0}: {why}")).await;
                }
                _ => {}
            }
            tokio::select! {
                biased;
                () = self.scene.drained() => return Err(Leave::Gone),
                changed = sight.changed() => changed.map_err(|_| Leave::Gone)?,
            }
        }
    }

    pub(super) fn is_too_long(&self, since: Timestamp) -> bool {
        later(since, self.scene.settings().lost_after) <= self.now()
    }

    /// Whether its executor says that it can't stop anything. One that is not configured now says nothing.
    pub(super) fn can_not_stop(&self) -> bool {
        self.executor().is_ok_and(|executor| !executor.capabilities().has(Capability::Stop))
    }

    /// The provider, asked and answering, has no such execution: what became of it nobody can prove.
    async fn vanished(&mut self) -> Step {
        self.lose("its provider has no such execution any more".to_owned()).await
    }
}
