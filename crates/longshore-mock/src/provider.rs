//! The provider as a test holds it: to look behind the executor's back, and to trouble it.

use longshore_core::{Cause, Clock, Error, ErrorKind, LaunchRequest, LaunchToken, Result, Signal};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    behaviour::Loss,
    config::MockConfig,
    execution::{Execution, Stage},
    process::Sender,
    world::{State, World},
};

/// A provider in memory, reached over a link. It outlives its executors: another executor that is attached to it is
/// what a restarted program would have.
///
/// A clone is the same provider over the same link; [`another_link`](Self::another_link) is the same provider over a
/// link of its own, which can be cut by itself.
#[derive(Debug, Clone)]
pub struct MockProvider {
    world: Arc<World>,
    link: Arc<Mutex<Link>>,
}

/// What lies between an executor and the provider.
#[derive(Debug, Default)]
struct Link {
    is_cut: bool,
    calls_to_lose: u32,
    launches_to_lose: VecDeque<Loss>,
    calls: BTreeMap<&'static str, u64>,
}

impl MockProvider {
    /// A provider that has nothing yet, on the given clock.
    #[must_use]
    pub fn new(config: MockConfig, clock: Arc<dyn Clock>) -> Self {
        Self { world: Arc::new(World::new(config, clock)), link: Arc::default() }
    }

    /// The same provider over a link of its own.
    #[must_use]
    pub fn another_link(&self) -> Self {
        Self { world: Arc::clone(&self.world), link: Arc::default() }
    }

    /// Cuts this link: nothing passes any more, and who waits over it is told so.
    pub fn lose_contact(&self) {
        self.link().is_cut = true;
        self.world.wake();
    }

    /// Mends this link.
    pub fn restore_contact(&self) {
        self.link().is_cut = false;
        self.world.wake();
    }

    /// Loses so many of the next calls over this link, unsent.
    pub fn lose_calls(&self, calls: u32) {
        self.link().calls_to_lose = calls;
    }

    /// Loses the next launch over this link that is not lost or refused otherwise; called again, also the one after.
    pub fn lose_launch(&self, loss: Loss) {
        self.link().launches_to_lose.push_back(loss);
    }

    /// How often the operation, such as `check_status`, was asked for over this link.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.link().calls.get(operation).copied().unwrap_or_default()
    }

    /// Sends the signal to the latest execution of the token, as somebody else would: `STOP` halts it, `CONT`
    /// continues it. False when there is none that runs.
    #[must_use]
    pub fn kill(&self, token: &LaunchToken, signal: Signal) -> bool {
        self.trouble(token, Stage::Running, |execution, now| execution.receive(Sender::Outside, signal, now))
    }

    /// Ends the latest execution of the token as the provider itself would, with the given cause. False when there is
    /// none that is pending or runs.
    #[must_use]
    pub fn interrupt(&self, token: &LaunchToken, cause: Cause) -> bool {
        let from = Sender::Provider(cause);
        self.trouble(token, Stage::Pending, |execution, now| execution.receive(from, Signal::KILL, now))
    }

    /// Forgets the latest execution of the token, running or not. False when there is none.
    #[must_use]
    pub fn remove(&self, token: &LaunchToken) -> bool {
        self.world.change(|state, now| {
            let Some(reference) = state.latest(*token, now) else { return false };
            state.remove(&reference, now);
            true
        })
    }

    /// Tells all who listen to events that some may have been missed.
    pub fn tell_gap(&self) {
        self.world.change(|state, now| state.events.tell_gap(now));
    }

    /// Keeps a secret, which `provider:NAME` then leads to.
    pub fn store_secret(&self, name: impl Into<String>, value: &[u8]) {
        self.world.store_secret(name.into(), value.to_vec().into());
    }

    /// How many executions were launched under the token, whatever became of them.
    #[must_use]
    pub fn launches(&self, token: &LaunchToken) -> u32 {
        self.world.view(|state, _| state.launches(*token))
    }

    /// The requests of all executions that are there, in the order of their launches, whoever owns them.
    #[must_use]
    pub fn executions(&self) -> Vec<LaunchRequest> {
        self.requests(|_| true)
    }

    /// The requests of all executions that run now, in the order of their launches, whoever owns them.
    #[must_use]
    pub fn running(&self) -> Vec<LaunchRequest> {
        self.requests(|stage| stage == Stage::Running)
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Counts a call, and lets it pass if anything passes.
    pub(crate) async fn call(&self, operation: &'static str) -> Result<()> {
        *self.link().calls.entry(operation).or_default() += 1;
        let latency = self.world.config().latency;
        if !latency.is_zero() {
            self.world.clock().sleep(latency).await;
        }
        let mut link = self.link();
        if link.calls_to_lose > 0 {
            link.calls_to_lose -= 1;
            return Err(unreachable_now("the call was lost on its way"));
        }
        drop(link);
        self.check_contact()
    }

    pub(crate) fn check_contact(&self) -> Result<()> {
        if self.is_reachable() {
            return Ok(());
        }
        Err(unreachable_now("contact was lost, or an outage is scripted; ask again when it is over"))
    }

    pub(crate) fn is_reachable(&self) -> bool {
        !self.link().is_cut && !self.world.is_out()
    }

    /// In which way the launch that is on its way is lost.
    pub(crate) fn next_loss(&self) -> Option<Loss> {
        self.link().launches_to_lose.pop_front()
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the latest execution of the token, if it has come as far and has not ended.
    fn trouble(
        &self,
        token: &LaunchToken,
        least: Stage,
        trouble: impl FnOnce(&mut Execution, jiff::Timestamp),
    ) -> bool {
        self.world.change(|state, now| {
            let Some(reference) = state.latest(*token, now) else { return false };
            let Some(stage) = state.find(&reference, now).map(|execution| execution.stage(now)) else { return false };
            let is_fit = stage >= least && stage < Stage::Ended;
            if is_fit {
                state.change(&reference, now, |execution| trouble(execution, now));
            }
            is_fit
        })
    }

    fn requests(&self, fits: impl Fn(Stage) -> bool) -> Vec<LaunchRequest> {
        self.world.view(|state: &mut State, now| {
            state.refresh_all(now);
            let fitting = state.executions().filter(|execution| fits(execution.stage(now)));
            fitting.map(|execution| execution.request.as_ref().clone()).collect()
        })
    }
}

fn unreachable_now(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the mock provider can't be reached: {why}"))
}
