//! A placer that reads a job's name, on hosts with limits and a budget.

use jiff::{SignedDuration, Timestamp};
use longshore_core::{
    HostName, LaunchRequest, Plan,
    price::Money,
    route::{BudgetName, RouteDecision},
};
use longshore_store::{Charge, InUse, Intent, JobRecord, Placement, Placer, SessionId, WaitingFor};
use rust_decimal::Decimal;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::support::at;

/// What a job's name asks for:
/// - `on-a`, `on-a-b`: one of these hosts, the first with a free place; else it waits for them;
/// - `paid-a`: on host `a`, for one dollar of the budget; else it waits for time to pass;
/// - `later-a`: on host `a`, a minute after it was submitted;
/// - `never`, `give-up`, `leave`.
#[derive(Clone)]
pub(crate) struct Desk {
    limits: BTreeMap<HostName, u32>,
    budget: u32,
    session: Option<SessionId>,
    now: Timestamp,
    /// How many attempts ahead of the next one its intents are, which is a mistake.
    pub(crate) ahead: u32,
}

impl Desk {
    pub(crate) fn with(limits: &[(&str, u32)]) -> Self {
        let limits = limits.iter().map(|(host, limit)| (host.parse().unwrap(), *limit)).collect();
        Self { limits, budget: 0, session: None, now: at(0), ahead: 0 }
    }

    /// The same with so many dollars.
    pub(crate) fn with_budget(mut self, dollars: u32) -> Self {
        self.budget = dollars;
        self
    }

    pub(crate) fn of(mut self, session: SessionId, now: Timestamp) -> Self {
        self.session = Some(session);
        self.now = now;
        self
    }

    pub(crate) fn budget() -> BudgetName {
        "research".parse().unwrap()
    }

    /// The budget has a period, so that the two of them make the key.
    pub(crate) fn period() -> Option<Timestamp> {
        Some(at(-1000))
    }

    pub(crate) fn periods(&self) -> Vec<(BudgetName, Option<Timestamp>)> {
        vec![(Self::budget(), Self::period())]
    }

    fn free(&self, host: &HostName, in_use: &InUse) -> u32 {
        let taken = in_use.hosts.get(host).copied().unwrap_or_default();
        self.limits.get(host).copied().unwrap_or_default().saturating_sub(taken)
    }

    fn spent(in_use: &InUse) -> Decimal {
        let budget = Self::budget();
        in_use.of_budget(&budget, Self::period()).map(Money::amount).sum()
    }

    fn one(&self, job: &JobRecord, in_use: &mut InUse) -> Placement {
        let name = job.name().as_str();
        let (word, hosts) = name.split_once('-').unwrap_or((name, ""));
        let hosts: BTreeSet<HostName> = hosts.split('-').filter_map(|host| host.parse().ok()).collect();
        let due = job.submitted_at + SignedDuration::from_secs(60);
        match word {
            "never" => {
                Placement::Refuse { reason: "no host is blue".to_owned(), decision: Box::new(decision(job, self.now)) }
            }
            "give" => Placement::GiveUp,
            "leave" => Placement::Leave,
            "later" if self.now < due => wait("for a minute", WaitingFor::until(due)),
            "paid" if Self::spent(in_use) >= Decimal::from(self.budget) => {
                wait("the budget is used up", WaitingFor::until(self.now + SignedDuration::from_secs(60)))
            }
            _ => self.on_one_of(job, &hosts, word == "paid", in_use),
        }
    }

    fn on_one_of(&self, job: &JobRecord, hosts: &BTreeSet<HostName>, paid: bool, in_use: &mut InUse) -> Placement {
        let Some(host) = hosts.iter().find(|host| self.free(host, in_use) > 0) else {
            return wait("no place is free", WaitingFor::hosts(hosts.iter().cloned()));
        };
        *in_use.hosts.entry(host.clone()).or_default() += 1;
        let dollar = Charge::new(Self::budget(), Self::period(), "1 USD".parse().unwrap());
        let charges: Vec<_> = paid.then_some(dollar).into_iter().collect();
        in_use.charged.extend(charges.clone());
        Placement::Launch(Box::new(intent(job, host, self.ahead, self.now, charges)))
    }
}

fn wait(reason: &str, waiting_for: WaitingFor) -> Placement {
    Placement::Wait { reason: reason.to_owned(), waiting_for }
}

impl Placer for Desk {
    fn room(&self, hosts: &BTreeSet<HostName>, in_use: &InUse) -> usize {
        hosts.iter().map(|host| self.free(host, in_use) as usize).sum()
    }

    fn place(&self, jobs: &[JobRecord], in_use: &InUse) -> Vec<Placement> {
        let mut in_use = in_use.clone();
        jobs.iter().map(|job| self.one(job, &mut in_use)).collect()
    }
}

fn intent(job: &JobRecord, host: &HostName, ahead: u32, now: Timestamp, charges: Vec<Charge>) -> Intent {
    let plan = serde_json::json!({
        "executor_type": "mock", "host": host, "template": job.job().template, "grants": [],
        "host_settings": {"version": 1, "settings": {"zone": "b"}},
    });
    let plan: Plan = serde_json::from_value(plan).unwrap();
    let owner = "tests".parse().unwrap();
    let minute = Duration::from_secs(60);
    let request = LaunchRequest::new(job.job(), job.attempts + 1 + ahead, plan, owner, now, minute);
    Intent::new(request, decision(job, now), charges)
}

fn decision(job: &JobRecord, now: Timestamp) -> RouteDecision {
    let decision = serde_json::json!({
        "job": job.id(), "decided_at": now, "stages": [],
        "outcome": {"never": {"reason": "the desk does not route"}},
    });
    serde_json::from_value(decision).unwrap()
}
