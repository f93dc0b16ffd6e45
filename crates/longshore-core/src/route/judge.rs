//! Whether one host would do for one job now, and if not, why.

use jiff::Timestamp;
use std::sync::Arc;

use crate::{
    CheckedJob, ErrorKind, HostSettings, JobTemplate, Plan, Platform,
    price::{Estimate, Money},
    route::{
        Budget, CircuitState, HostState, Rejection, RejectionKind, RoutedHost, RoutingSnapshot, UnknownPrice,
        memo::{Planned, TemplateMemo},
    },
};

/// What is judged: a job's template, with what was remembered of it.
pub(super) struct Judge<'a> {
    pub(super) snapshot: &'a RoutingSnapshot,
    pub(super) template: &'a JobTemplate,
    pub(super) memo: Arc<TemplateMemo>,
    pub(super) now: Timestamp,
    /// The budgets on which the job counts.
    pub(super) budgets: Vec<&'a Budget>,
}

impl Judge<'_> {
    /// What the host at this place in the table would do for the job; what only a change of the job or of the
    /// configuration removes is looked at first.
    pub(super) fn judge(&self, at: usize, by_name: bool) -> Result<Arc<Planned>, Rejection> {
        let (host, state) = (&self.snapshot.table.hosts[at], &self.snapshot.states[at]);
        if !host.host.enabled {
            return Err(Rejection::new(RejectionKind::Disabled, "disabled by its operator"));
        }
        if host.host.weight == 0 && !by_name {
            return Err(Rejection::new(RejectionKind::ByNameOnly, "its weight is 0: reachable by name only"));
        }
        let placed = self.template.placement.check(&host.host);
        placed.map_err(|error| Rejection::new(RejectionKind::Place, error.message()))?;
        self.check_architecture(state)?;
        let planned = self.planned(at)?;
        self.check_budgets(host, &planned.estimate)?;
        state.is_free(host, self.now)?;
        Ok(planned)
    }

    /// What the host would do, as its executor says.
    pub(super) fn planned(&self, at: usize) -> Result<Arc<Planned>, Rejection> {
        let (host, state) = (&self.snapshot.table.hosts[at], &self.snapshot.states[at]);
        let make = || {
            let plan = self.plan(host, state)?;
            let estimate = self.snapshot.table.prices.estimate(&host.host, state.facts.as_deref(), &plan);
            Ok(Planned { plan, estimate })
        };
        self.memo.planned(at, state.facts.as_ref(), make).map_err(|error| {
            if let (Some(why), None) = (&state.unreachable, &state.facts) {
                return Rejection::new(RejectionKind::Unreachable, why.clone());
            }
            let kind = match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Timeout => RejectionKind::Unreachable,
                _ => RejectionKind::Incapable,
            };
            Rejection::new(kind, error.message())
        })
    }

    /// What the job is expected to cost on the cheapest of the hosts that can do it, in the currency of comparison.
    #[cfg(feature = "rules")]
    pub(super) fn least_cost(&self, hosts: &[usize]) -> Result<f64, String> {
        use rust_decimal::prelude::ToPrimitive;
        let prices = &self.snapshot.table.prices;
        let mut unknown = "no host of the rule's target can do the job".to_owned();
        let mut least = None;
        for at in hosts {
            let Ok(planned) = self.planned(*at) else { continue };
            match prices.comparable(&planned.estimate) {
                Ok(cost) => least = Some(least.map_or(cost, |least: rust_decimal::Decimal| least.min(cost))),
                Err(why) => unknown = why,
            }
        }
        least.and_then(|least| least.to_f64()).ok_or(unknown)
    }

    fn plan(&self, host: &RoutedHost, state: &HostState) -> crate::Result<Plan> {
        let executor = host.executor.as_ref();
        let checked = CheckedJob::placed(self.template, executor, &host.host)?;
        if self.snapshot.unseen && state.facts.is_none() {
            return Ok(Plan::granting(&checked, executor, HostSettings::new(0, serde_json::Value::Null)));
        }
        executor.plan(&checked)
    }

    fn check_architecture(&self, state: &HostState) -> Result<(), Rejection> {
        let (Some(wanted), Some(facts)) = (&self.template.platform, &state.facts) else { return Ok(()) };
        if facts.platforms.is_empty() || facts.platforms.iter().any(|platform| wanted.runs_on(platform)) {
            return Ok(());
        }
        let known: Vec<String> = facts.platforms.iter().map(Platform::to_string).collect();
        let why = format!("the job's platform is {wanted}, and the host runs {}", known.join(", "));
        Err(Rejection::new(RejectionKind::Architecture, why))
    }

    fn check_budgets(&self, host: &RoutedHost, estimate: &Estimate) -> Result<(), Rejection> {
        self.budgets_of(host).try_for_each(|budget| {
            let Some(hard) = &budget.hard else { return Ok(()) };
            match self.after(budget, hard, estimate) {
                Ok(total) if total.amount() > hard.amount() => Err(self.over(budget, hard, &total, estimate)),
                Ok(_) => Ok(()),
                Err(_) if self.snapshot.table.unknown_price == UnknownPrice::Allow => Ok(()),
                Err(why) => Err(Rejection::new(
                    RejectionKind::PriceUnknown,
                    format!("budget {} is hard, and the cost is not known: {why}", budget.name),
                )),
            }
        })
    }

    /// The budgets whose warning level the job would pass on this host.
    pub(super) fn warnings(&self, at: usize, estimate: &Estimate) -> Vec<String> {
        let passed = self.budgets_of(&self.snapshot.table.hosts[at]).filter_map(|budget| {
            let level = budget.warning.as_ref()?;
            let total = self.after(budget, level, estimate).ok()?;
            let text = || format!("budget {}: {total} with this job, beyond the warning level of {level}", budget.name);
            (total.amount() > level.amount()).then(text)
        });
        passed.collect()
    }

    fn budgets_of<'b>(&'b self, host: &'b RoutedHost) -> impl Iterator<Item = &'b &'b Budget> {
        let counts = |budget: &&&Budget| {
            budget.targets.is_empty() || budget.targets.iter().any(|target| target.covers(&host.host))
        };
        self.budgets.iter().filter(counts)
    }

    /// What will have been spent of the budget with this job, in the level's currency.
    fn after(&self, budget: &Budget, level: &Money, estimate: &Estimate) -> Result<Money, String> {
        let rates = &self.snapshot.table.prices;
        let cost = estimate.cost().map_err(ToOwned::to_owned)?;
        let cost = rates.convert(cost, level.currency())?;
        match self.snapshot.spent.get(&budget.name) {
            Some(spent) => {
                let spent = rates.convert(spent, level.currency())?;
                spent.checked_add(&cost).ok_or_else(|| "the sum is too large".to_owned())
            }
            None => Ok(cost),
        }
    }

    fn over(&self, budget: &Budget, hard: &Money, total: &Money, estimate: &Estimate) -> Rejection {
        let why = format!("budget {}: {total} with this job, beyond the limit of {hard}", budget.name);
        let rejection = Rejection::new(RejectionKind::Budget, why);
        let rates = &self.snapshot.table.prices;
        let alone = estimate.cost().ok().and_then(|cost| rates.convert(cost, hard.currency()).ok());
        let fits_alone = alone.is_some_and(|alone| alone.amount() <= hard.amount());
        match budget.period.ends(self.now) {
            Some(end) if fits_alone => rejection.passing_at(end),
            _ => rejection,
        }
    }
}

impl HostState {
    /// Whether the host takes a launch now; what stands against it may pass by itself.
    pub(super) fn is_free(&self, host: &RoutedHost, now: Timestamp) -> Result<(), Rejection> {
        if let Some(why) = &self.paused {
            return Err(Rejection::new(RejectionKind::Paused, format!("paused: {why}")));
        }
        match &self.circuit {
            CircuitState::Open { until, why } => {
                return Err(Rejection::new(RejectionKind::CircuitOpen, why.clone()).passing_at(*until));
            }
            CircuitState::CoolingDown { until, why } if *until > now => {
                return Err(Rejection::new(RejectionKind::CoolDown, why.clone()).passing_at(*until));
            }
            _ => {}
        }
        match host.host.max_concurrent_jobs {
            Some(most) if self.running >= most.get() => {
                let why = format!("full: {} of {most} jobs run there", self.running);
                Err(Rejection::new(RejectionKind::Full, why))
            }
            _ => Ok(()),
        }
    }
}
