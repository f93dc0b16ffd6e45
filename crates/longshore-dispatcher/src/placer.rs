//! Finding places inside the claiming transaction: the router, over what is really in use.

use jiff::Timestamp;
use longshore_core::{
    HostName, LaunchRequest, Owner,
    price::{Money, PriceBook},
    route::{BudgetName, RejectionKind, Route, RouteOutcome, RouteRequest, RoutingSnapshot},
};
use longshore_store::{Charge, InUse, Intent, JobRecord, Pause, Placement, Placer, WaitingFor};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// When a job that waits for nothing in particular is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Finds places by the router's newest snapshot.
#[derive(Debug)]
pub(crate) struct RouterPlacer {
    pub(crate) snapshot: Arc<RoutingSnapshot>,
    pub(crate) owner: Owner,
    pub(crate) launch_window: Duration,
    pub(crate) now: Timestamp,
    /// The time by our own clock, by which deadlines are judged.
    pub(crate) own_now: Timestamp,
    /// Set when a job waits for a host of which nothing is known yet.
    pub(crate) missed: AtomicBool,
    #[cfg(feature = "planted")]
    pub(crate) planted: Option<crate::planted::Bug>,
}

impl RouterPlacer {
    /// The budgets' periods of which it needs to know what was spent.
    pub(crate) fn periods(&self) -> Vec<(BudgetName, Option<Timestamp>)> {
        let budgets = self.snapshot.table().budgets().iter();
        budgets.map(|budget| (budget.name.clone(), budget.period.began(self.now))).collect()
    }

    /// The snapshot with what is in use.
    fn over(&self, in_use: &InUse) -> RoutingSnapshot {
        let mut snapshot = RoutingSnapshot::clone(&self.snapshot);
        let hosts: Vec<HostName> = snapshot.table().hosts().iter().map(|host| host.host.name.clone()).collect();
        for host in hosts {
            let running = in_use.hosts.get(&host).copied().unwrap_or_default();
            let pause = in_use.pauses.iter().find(|pause| pause.host.as_ref().is_none_or(|paused| *paused == host));
            snapshot = snapshot.with(&host, |state| {
                state.running = running;
                state.paused = pause.map(in_words);
            });
        }
        let table = Arc::clone(snapshot.table());
        for budget in table.budgets() {
            let period = budget.period.began(self.now);
            let level = budget.hard.as_ref().or(budget.warning.as_ref());
            if let Some(spent) = sum(table.prices(), level, in_use.of_budget(&budget.name, period)) {
                snapshot = snapshot.with_spent(budget.name.clone(), spent);
            }
        }
        snapshot
    }

    fn place_one(&self, job: &JobRecord, snapshot: &RoutingSnapshot) -> (Placement, Vec<Charge>) {
        if job.queue_deadline().is_some_and(|deadline| deadline <= self.now) {
            return (Placement::GiveUp, Vec::new());
        }
        let mut request = RouteRequest::new(job.job(), self.now).refused_by(&job.refused_by);
        request.bound.clone_from(&job.submission.bound);
        request.again = job.reason.is_some() || job.attempts > 0;
        let route = snapshot.route(&request);
        // With what each host has against it, such as who has paused it and why.
        let told = route.decision.error().map(|error| error.message().to_owned());
        match &route.decision.outcome {
            RouteOutcome::Chosen { estimate, .. } => {
                let cost = estimate.cost().ok().cloned();
                self.launch(job, route, cost.as_ref(), snapshot)
            }
            RouteOutcome::NotNow { reason, ask_again_at } => {
                let waiting_for = self.waiting_for(job, &route, *ask_again_at);
                (Placement::Wait { reason: told.unwrap_or_else(|| reason.clone()), waiting_for }, Vec::new())
            }
            RouteOutcome::Never { .. } if may_be_paid_later(&route, snapshot) => {
                let until = longshore_core::clock::later(self.now, LOOK_AGAIN);
                let waiting_for = WaitingFor::until(until).at_most_until(job.queue_deadline());
                let reason = "a budget has no room beside what running jobs may cost".to_owned();
                (Placement::Wait { reason, waiting_for }, Vec::new())
            }
            RouteOutcome::Never { reason } => {
                // Where hosts have refused it, what they said is the reason.
                let said = job.reason.clone().filter(|_| !job.refused_by.is_empty());
                let reason = said.or(told).unwrap_or_else(|| reason.clone());
                (Placement::Refuse { reason, decision: Box::new(route.decision) }, Vec::new())
            }
            _ => (Placement::Leave, Vec::new()),
        }
    }

    fn launch(
        &self,
        job: &JobRecord,
        route: Route,
        cost: Option<&Money>,
        snapshot: &RoutingSnapshot,
    ) -> (Placement, Vec<Charge>) {
        let Some(plan) = route.plan else { return (Placement::Leave, Vec::new()) };
        let attempt = job.attempts + 1;
        let owner = self.owner.clone();
        let mut request = LaunchRequest::new(job.job(), attempt, plan, owner, self.now, self.launch_window);
        request.deadline = longshore_core::clock::later(self.own_now, self.launch_window);
        let charged = route.budgets.iter().filter_map(|name| {
            let budget = snapshot.table().budgets().iter().find(|budget| budget.name == *name)?;
            Some(Charge::new(name.clone(), budget.period.began(self.now), cost?.clone()))
        });
        let charges: Vec<Charge> = charged.collect();
        let intent = Intent::new(request, route.decision, charges.clone());
        (Placement::Launch(Box::new(intent)), charges)
    }

    fn waiting_for(&self, job: &JobRecord, route: &Route, ask_again_at: Option<Timestamp>) -> WaitingFor {
        use RejectionKind::{CircuitOpen, CoolDown, Full, Paused, Unreachable};
        let passes = |kind| matches!(kind, CircuitOpen | CoolDown | Full | Paused | Unreachable);
        let hosts = route.decision.rejections().filter(|(_, rejection)| passes(rejection.kind));
        let hosts: BTreeSet<HostName> = hosts
            .map(|(host, rejection)| {
                if rejection.kind == Unreachable {
                    self.missed.store(true, Ordering::Relaxed);
                }
                host.clone()
            })
            .collect();
        let mut waiting = WaitingFor::hosts(hosts);
        waiting.until = ask_again_at;
        if waiting.hosts.is_empty() && waiting.until.is_none() {
            waiting.until = Some(longshore_core::clock::later(self.now, LOOK_AGAIN));
        }
        waiting.at_most_until(job.queue_deadline())
    }
}

impl Placer for RouterPlacer {
    fn room(&self, hosts: &BTreeSet<HostName>, in_use: &InUse) -> usize {
        let snapshot = self.over(in_use);
        let rooms = hosts.iter().map(|host| {
            if snapshot.state(host).is_some_and(|state| state.facts.is_none()) {
                // Looking at the jobs again helps only once the host is discovered.
                self.missed.store(true, Ordering::Relaxed);
                return 0;
            }
            snapshot.room(host, self.now) as usize
        });
        rooms.fold(0, usize::saturating_add)
    }

    fn place(&self, jobs: &[JobRecord], in_use: &InUse) -> Vec<Placement> {
        let mut snapshot = self.over(in_use);
        let mut placements = Vec::with_capacity(jobs.len());
        for job in jobs {
            let (placement, charges) = self.place_one(job, &snapshot);
            if let Placement::Launch(intent) = &placement {
                snapshot = self.with_placed(snapshot, &intent.request.plan.host, &charges);
            }
            placements.push(placement);
        }
        placements
    }
}

impl RouterPlacer {
    /// The snapshot after one more job was placed.
    fn with_placed(&self, snapshot: RoutingSnapshot, host: &HostName, charges: &[Charge]) -> RoutingSnapshot {
        #[cfg(feature = "planted")]
        if self.planted == Some(crate::planted::Bug::OverbooksHosts) {
            return snapshot;
        }
        let mut snapshot = snapshot.with(host, |state| state.running = state.running.saturating_add(1));
        for charge in charges {
            let spent = snapshot.spent(&charge.budget).cloned();
            let both = [spent, Some(charge.amount.clone())];
            let level = both[0].as_ref();
            if let Some(total) = sum(snapshot.table().prices(), level, both.iter().flatten()) {
                snapshot = snapshot.with_spent(charge.budget.clone(), total);
            }
        }
        snapshot
    }
}

/// Whether a budget keeps the job from a host while jobs run: they have reserved what they may cost, and may cost less.
fn may_be_paid_later(route: &Route, snapshot: &RoutingSnapshot) -> bool {
    let is_running = |host: &HostName| snapshot.state(host).is_some_and(|state| state.running > 0);
    let mut hosts = snapshot.table().hosts().iter();
    route.decision.rejections().any(|(_, rejection)| rejection.kind == RejectionKind::Budget)
        && hosts.any(|host| is_running(&host.host.name))
}

/// The sum of amounts, in the level's currency where there is a level. What can't be converted is left out by nobody: it
/// then is the sum, so that a budget which can't be counted refuses instead of overspending.
fn sum<'a>(prices: &PriceBook, level: Option<&Money>, amounts: impl Iterator<Item = &'a Money>) -> Option<Money> {
    amounts.fold(None, |total: Option<Money>, amount| {
        let currency = level.map_or_else(|| amount.currency(), Money::currency);
        let Ok(amount) = prices.convert(amount, currency) else { return Some(amount.clone()) };
        Some(match total {
            Some(total) => total.checked_add(&amount).unwrap_or(total),
            None => amount,
        })
    })
}

fn in_words(pause: &Pause) -> String {
    let why = pause.request.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("by {}{why}", pause.request.by)
}
