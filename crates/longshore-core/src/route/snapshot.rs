//! What is true of the places now.

use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

use crate::{
    HostFacts, HostName,
    price::{FreeLeft, Money},
    route::{BudgetName, CircuitState, RoutingTable, memo::PlanMemo},
};

/// A table, and what is true now: what runs where, what was refused, what was spent. Cheap to copy; never changes.
#[derive(Debug, Clone)]
pub struct RoutingSnapshot {
    pub(super) table: Arc<RoutingTable>,
    pub(super) states: Vec<HostState>,
    pub(super) spent: BTreeMap<BudgetName, Money>,
    /// What is left of the month's free tier, where it counts.
    pub(super) free: BTreeMap<HostName, FreeLeft>,
    pub(super) memo: Arc<PlanMemo>,
    /// Whether a host that was not reached yet counts as one that can do what its executor declares.
    pub(super) unseen: bool,
}

/// What is true of one host now.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct HostState {
    /// What its executor has found out; none before it could be reached.
    pub facts: Option<Arc<HostFacts>>,
    /// Why it could not be reached when it was last asked for its facts.
    pub unreachable: Option<String>,
    /// How many jobs run there or are about to.
    pub running: u32,
    /// Why nothing new goes there for now, where its operator has paused it.
    pub paused: Option<String>,
    /// Whether it takes launches.
    pub circuit: CircuitState,
}

impl RoutingSnapshot {
    /// Nothing runs yet, nothing was refused, nothing was spent; the facts are those that the executors have now.
    #[must_use]
    pub fn new(table: Arc<RoutingTable>) -> Self {
        let states = table.hosts.iter().map(|host| HostState { facts: host.executor.facts(), ..HostState::default() });
        let memo = Arc::new(PlanMemo::new(table.hosts.len()));
        Self { states: states.collect(), spent: BTreeMap::new(), free: BTreeMap::new(), memo, unseen: false, table }
    }

    /// The same with the facts that the executors have now.
    #[must_use]
    pub fn with_fresh_facts(mut self) -> Self {
        for (state, host) in self.states.iter_mut().zip(&self.table.hosts) {
            state.facts = host.executor.facts();
        }
        self
    }

    /// The same with something else true of one host; a host that there is not changes nothing.
    #[must_use]
    pub fn with(mut self, host: &HostName, change: impl FnOnce(&mut HostState)) -> Self {
        if let Some(state) = self.table.position(host).and_then(|at| self.states.get_mut(at)) {
            change(state);
        }
        self
    }

    /// The same, taking hosts that were not reached yet for well and able to do all that their executors declare: for
    /// trying rules out where no host can be reached.
    #[must_use]
    pub fn assuming_reachable(mut self) -> Self {
        self.unseen = true;
        self.memo = Arc::new(PlanMemo::new(self.table.hosts.len()));
        self
    }

    /// The same with what was spent of a budget in its period so far.
    #[must_use]
    pub fn with_spent(mut self, budget: BudgetName, spent: Money) -> Self {
        self.spent.insert(budget, spent);
        self
    }

    /// What was spent of a budget in its period so far, where that was told.
    #[must_use]
    pub fn spent(&self, budget: &BudgetName) -> Option<&Money> {
        self.spent.get(budget)
    }

    /// The same with what is left of a host's free tier this month, which estimates then count. Without it, or with nothing,
    /// every job is taken to be charged. What was estimated before is forgotten where this changes anything.
    #[must_use]
    pub fn with_free_left(mut self, host: HostName, left: FreeLeft) -> Self {
        if self.free_left(&host) != left {
            self.free.insert(host, left);
            self.memo = Arc::new(PlanMemo::new(self.table.hosts.len()));
        }
        self
    }

    pub(super) fn free_left(&self, host: &HostName) -> FreeLeft {
        self.free.get(host).copied().unwrap_or_default()
    }

    /// How many more jobs a host takes now; none while it is paused, ill or cooling down. `u32::MAX` without a limit.
    #[must_use]
    pub fn room(&self, host: &HostName, now: Timestamp) -> u32 {
        let Some(at) = self.table.position(host) else { return 0 };
        let (host, state) = (&self.table.hosts[at], &self.states[at]);
        if !host.host.enabled || state.is_free(host, now).is_err() {
            return 0;
        }
        host.host.max_concurrent_jobs.map_or(u32::MAX, |most| most.get().saturating_sub(state.running))
    }

    /// The load of a host.
    #[cfg(feature = "rules")]
    pub(super) fn load(&self, host: &HostName) -> Option<crate::rules::HostLoad> {
        let at = self.table.position(host)?;
        let most = self.table.hosts[at].host.max_concurrent_jobs.map(std::num::NonZeroU32::get);
        Some(crate::rules::HostLoad::new(self.states[at].running, most))
    }

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &Arc<RoutingTable> {
        &self.table
    }

    /// What is true of a host.
    #[must_use]
    pub fn state(&self, host: &HostName) -> Option<&HostState> {
        self.table.position(host).and_then(|at| self.states.get(at))
    }
}
