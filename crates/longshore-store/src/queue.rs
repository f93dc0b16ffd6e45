//! The queue, and how places are found for what waits in it.

use jiff::Timestamp;
use longshore_core::{
    HostName,
    price::Money,
    route::{BudgetName, RouteDecision},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::{Charge, Intent, JobRecord, Pause, SessionId};

/// What keeps a pending job in the queue. A job that waits for nothing is looked at by the next claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct WaitingFor {
    /// Hosts of which one must take launches again. Jobs that wait for the same hosts wait in one line: none of them is
    /// looked at while none of the hosts takes launches.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hosts: BTreeSet<HostName>,
    /// A time that must come; with hosts, whichever is first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl WaitingFor {
    /// Waits for nothing.
    pub const NOTHING: Self = Self { hosts: BTreeSet::new(), until: None };

    /// Waits for one of these hosts.
    #[must_use]
    pub fn hosts(hosts: impl IntoIterator<Item = HostName>) -> Self {
        Self { hosts: hosts.into_iter().collect(), until: None }
    }

    /// Waits for a time.
    #[must_use]
    pub const fn until(time: Timestamp) -> Self {
        Self { hosts: BTreeSet::new(), until: Some(time) }
    }

    /// The same, but no longer than this; absent, the same.
    #[must_use]
    pub fn at_most_until(mut self, time: Option<Timestamp>) -> Self {
        self.until = match (self.until, time) {
            (Some(until), Some(time)) => Some(until.min(time)),
            (None, Some(time)) if !self.hosts.is_empty() => Some(time),
            (until, _) => until,
        };
        self
    }

    /// Whether it waits for nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }
}

/// What is in use at the moment of a claim, exactly: nobody else claims meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InUse {
    /// How many attempts take a place on each host that has any.
    pub hosts: BTreeMap<HostName, u32>,
    /// What was charged or reserved of each budget in each period, in each currency.
    pub charged: Vec<Charge>,
    /// The pauses in force: one that was asked for before the claim holds for it.
    pub pauses: Vec<Pause>,
}

impl InUse {
    /// What was charged or reserved of a budget in a period, in each currency.
    pub fn of_budget<'a>(
        &'a self,
        budget: &'a BudgetName,
        period: Option<Timestamp>,
    ) -> impl Iterator<Item = &'a Money> + 'a {
        let of_it = move |charge: &&Charge| charge.budget == *budget && charge.period == period;
        self.charged.iter().filter(of_it).map(|charge| &charge.amount)
    }
}

/// Finds places for jobs. It is asked inside the claiming transaction, so it is quick, pure and never waits.
pub trait Placer: Send + Sync {
    /// Whether jobs that wait for one of these hosts are to be looked at, and how many at most.
    fn room(&self, hosts: &BTreeSet<HostName>, in_use: &InUse) -> usize;

    /// What becomes of each of these jobs, in their order. What is placed counts for those behind it.
    fn place(&self, jobs: &[JobRecord], in_use: &InUse) -> Vec<Placement>;
}

/// What becomes of a pending job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Placement {
    /// It is launched.
    Launch(Box<Intent>),
    /// It goes on waiting.
    Wait {
        /// For what, in words.
        reason: String,
        /// For what.
        waiting_for: WaitingFor,
    },
    /// No place will ever take it.
    Refuse {
        /// Why, in words.
        reason: String,
        /// Where was looked.
        decision: Box<RouteDecision>,
    },
    /// It has waited for as long as it may.
    GiveUp,
    /// It stays as it is: whoever claims can take no more now.
    Leave,
}

/// A look at the queue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claim {
    /// Who claims.
    pub session: SessionId,
    /// The time.
    pub now: Timestamp,
    /// How many jobs to look at, at most.
    pub most: usize,
    /// The budgets' periods of which the placer wants to know what was spent.
    pub periods: Vec<(BudgetName, Option<Timestamp>)>,
}

impl Claim {
    /// A look at so many jobs at most.
    #[must_use]
    pub const fn new(session: SessionId, now: Timestamp, most: usize) -> Self {
        Self { session, now, most, periods: Vec::new() }
    }

    /// The same, asking for what was spent of these budgets' periods.
    #[must_use]
    pub fn with_periods(mut self, periods: Vec<(BudgetName, Option<Timestamp>)>) -> Self {
        self.periods = periods;
        self
    }
}

/// What a claim found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Claimed {
    /// The jobs that are now launching, each with its new attempt, held by whoever claimed.
    pub held: Vec<crate::Held>,
    /// How many jobs were looked at. As many as asked for means that there may be more.
    pub looked_at: usize,
    /// When the next job has waited for its time, if one waits for a time.
    pub next_at: Option<Timestamp>,
}
