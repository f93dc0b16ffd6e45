//! Whether one host would do for one job now, and if not, why.

use jiff::Timestamp;
use std::{cell::OnceCell, sync::Arc};
#[cfg(feature = "rules")]
use std::{cell::RefCell, collections::BTreeMap};

#[cfg(feature = "rules")]
use crate::route::Target;
use crate::{
    CheckedJob, ErrorKind, HostSettings, JobTemplate, Plan, Platform,
    price::{Estimate, Money},
    route::{
        Budget, BudgetName, CircuitState, HostState, Rejection, RejectionKind, RoutedHost, RoutingSnapshot,
        UnknownPrice,
        memo::{Planned, TemplateMemo},
    },
};

/// What is judged: a job's template, with what was remembered of it.
pub(super) struct Judge<'a> {
    snapshot: &'a RoutingSnapshot,
    template: &'a JobTemplate,
    memo: Arc<TemplateMemo>,
    now: Timestamp,
    /// The budgets on which the job counts.
    budgets: Vec<&'a Budget>,
    /// What was judged already: several stages and conditions ask for the same hosts.
    judged: Vec<OnceCell<Result<Arc<Planned>, Rejection>>>,
    /// What it costs at the targets that conditions have asked for already.
    #[cfg(feature = "rules")]
    costs: RefCell<BTreeMap<Target, Result<f64, String>>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        snapshot: &'a RoutingSnapshot,
        template: &'a JobTemplate,
        now: Timestamp,
        budgets: Vec<&'a Budget>,
    ) -> Self {
        let judged = snapshot.states.iter().map(|_| OnceCell::new()).collect();
        Self {
            snapshot,
            template,
            memo: snapshot.memo.of(template),
            now,
            budgets,
            judged,
            #[cfg(feature = "rules")]
            costs: RefCell::default(),
        }
    }

    /// What the host at this place in the table would do for the job; what only a change of the job or of the
    /// configuration removes is looked at first.
    pub(super) fn judge(&self, at: usize, by_name: bool) -> Result<Arc<Planned>, Rejection> {
        let host = &self.snapshot.table.hosts[at].host;
        if !host.enabled {
            return Err(Rejection::new(RejectionKind::Disabled, "disabled by its operator"));
        }
        if host.weight == 0 && !by_name {
            return Err(Rejection::new(RejectionKind::ByNameOnly, "its weight is 0: reachable by name only"));
        }
        self.judged[at].get_or_init(|| self.judge_enabled(at)).clone()
    }

    fn judge_enabled(&self, at: usize) -> Result<Arc<Planned>, Rejection> {
        let (host, state) = (&self.snapshot.table.hosts[at], &self.snapshot.states[at]);
        let placed = self.template.placement.check(&host.host);
        placed.map_err(|error| Rejection::new(RejectionKind::Place, error.message()))?;
        self.check_architecture(state)?;
        let planned = self.planned(at)?;
        self.check_budgets(host, &planned.estimate)?;
        state.is_free(host, self.now)?;
        Ok(planned)
    }

    /// What the host would do, as its executor says.
    fn planned(&self, at: usize) -> Result<Arc<Planned>, Rejection> {
        let (host, state) = (&self.snapshot.table.hosts[at], &self.snapshot.states[at]);
        let make = || {
            let plan = self.plan(host, state)?;
            let free = self.snapshot.free_left(&host.host.name);
            let estimate = self.snapshot.table.prices.estimate(&host.host, state.facts.as_deref(), &plan, free);
            Ok(Planned { plan, estimate })
        };
        // What an executor can't do it can't do either once it is reached, so only what says that it was not passes.
        self.memo.planned(at, state.facts.as_ref(), make).map_err(|error| match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout => {
                let why = state.unreachable.clone().unwrap_or_else(|| error.message().to_owned());
                Rejection::new(RejectionKind::Unreachable, why)
            }
            _ => Rejection::new(RejectionKind::Incapable, error.message()),
        })
    }

    /// What the job is expected to cost on the cheapest of a target's hosts that would take it, in the currency of
    /// comparison; where none would now, on the cheapest of those that may later.
    #[cfg(feature = "rules")]
    pub(super) fn least_cost(&self, target: &Target, hosts: &[usize]) -> Result<f64, String> {
        if let Some(known) = self.costs.borrow().get(target) {
            return known.clone();
        }
        let cost = self.least(target, hosts);
        self.costs.borrow_mut().insert(target.clone(), cost.clone());
        cost
    }

    #[cfg(feature = "rules")]
    fn least(&self, target: &Target, hosts: &[usize]) -> Result<f64, String> {
        let judged = || hosts.iter().map(|at| (*at, self.judge(*at, target.is_by_name())));
        if judged().any(|(_, judged)| judged.is_ok()) {
            return self.least_of(judged().filter_map(|(_, judged)| judged.ok().map(Ok)));
        }
        let later = judged().filter(|(_, judged)| judged.as_ref().is_err_and(Rejection::is_temporary));
        self.least_of(later.map(|(at, _)| self.planned(at)))
    }

    #[cfg(feature = "rules")]
    fn least_of(&self, planned: impl Iterator<Item = Result<Arc<Planned>, Rejection>>) -> Result<f64, String> {
        use rust_decimal::prelude::ToPrimitive;
        let mut unknown = "no host of the rule's target can do the job".to_owned();
        let mut least: Option<rust_decimal::Decimal> = None;
        for planned in planned {
            let planned = planned.map_err(|rejection| rejection.why);
            match planned.and_then(|planned| self.snapshot.table.prices.comparable(&planned.estimate)) {
                Ok(cost) => least = Some(least.map_or(cost, |least| least.min(cost))),
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

    /// All budgets are looked at, so that one that will never allow it wins over one that will later.
    fn check_budgets(&self, host: &RoutedHost, estimate: &Estimate) -> Result<(), Rejection> {
        let refused = self.budgets_of(host).filter_map(|budget| self.check_budget(budget, estimate).err());
        // Those without an end come last, and of the others the one that ends last.
        let lasting = refused.reduce(|one, other| {
            let lasts = |rejection: &Rejection| rejection.until.unwrap_or(Timestamp::MAX);
            if lasts(&other) > lasts(&one) { other } else { one }
        });
        lasting.map_or(Ok(()), Err)
    }

    fn check_budget(&self, budget: &Budget, estimate: &Estimate) -> Result<(), Rejection> {
        let Some(hard) = &budget.hard else { return Ok(()) };
        let unknown = |why: &str| {
            let why = format!("budget {} is hard, and the cost is not known: {why}", budget.name);
            Rejection::new(RejectionKind::PriceUnknown, why)
        };
        match estimate.cost() {
            Ok(cost) => {
                let total = self.after(budget, hard, cost).map_err(|why| unknown(&why))?;
                if total.amount() > hard.amount() { Err(self.over(budget, hard, &total, cost)) } else { Ok(()) }
            }
            Err(_) if self.snapshot.table.unknown_price == UnknownPrice::Allow => {
                let spent = self.spent(budget, hard).map_err(|why| unknown(&why))?;
                spent.filter(|spent| spent.amount() >= hard.amount()).map_or(Ok(()), |spent| {
                    let why = format!("budget {}: {spent} are spent already, with a limit of {hard}", budget.name);
                    Err(self.until_it_ends(budget, Rejection::new(RejectionKind::Budget, why)))
                })
            }
            Err(why) => Err(unknown(why)),
        }
    }

    /// The budgets on which the job counts at this host.
    pub(super) fn counts_on(&self, at: usize) -> Vec<BudgetName> {
        self.budgets_of(&self.snapshot.table.hosts[at]).map(|budget| budget.name.clone()).collect()
    }

    /// The budgets whose warning level the job would pass on this host.
    pub(super) fn warnings(&self, at: usize, estimate: &Estimate) -> Vec<String> {
        let passed = self.budgets_of(&self.snapshot.table.hosts[at]).filter_map(|budget| {
            let level = budget.warning.as_ref()?;
            let total = self.after(budget, level, estimate.cost().ok()?).ok()?;
            let text = || format!("budget {}: {total} with this job, beyond the warning level of {level}", budget.name);
            (total.amount() > level.amount()).then(text)
        });
        passed.collect()
    }

    fn budgets_of<'b>(&'b self, host: &'b RoutedHost) -> impl Iterator<Item = &'b &'b Budget> {
        self.budgets.iter().filter(|budget| budget.counts_on(&host.host))
    }

    /// What was spent of the budget, in the level's currency; none where nothing was.
    fn spent(&self, budget: &Budget, level: &Money) -> Result<Option<Money>, String> {
        let spent = self.snapshot.spent.get(&budget.name);
        spent.map(|spent| self.snapshot.table.prices.convert(spent, level.currency())).transpose()
    }

    /// What will have been spent of the budget with this job, in the level's currency.
    fn after(&self, budget: &Budget, level: &Money, cost: &Money) -> Result<Money, String> {
        let cost = self.snapshot.table.prices.convert(cost, level.currency())?;
        match self.spent(budget, level)? {
            Some(spent) => spent.checked_add(&cost).ok_or_else(|| "the sum is too large".to_owned()),
            None => Ok(cost),
        }
    }

    fn over(&self, budget: &Budget, hard: &Money, total: &Money, cost: &Money) -> Rejection {
        let why = format!("budget {}: {total} with this job, beyond the limit of {hard}", budget.name);
        let rejection = Rejection::new(RejectionKind::Budget, why);
        let alone = self.snapshot.table.prices.convert(cost, hard.currency());
        let fits_alone = alone.is_ok_and(|alone| alone.amount() <= hard.amount());
        if fits_alone { self.until_it_ends(budget, rejection) } else { rejection }
    }

    /// The rejection, passing when the budget's period ends, where it does.
    fn until_it_ends(&self, budget: &Budget, rejection: Rejection) -> Rejection {
        match budget.period.ends(self.now) {
            Some(end) => rejection.passing_at(end),
            None => rejection,
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
            Some(most) if !self.has_room(host) => {
                let why = format!("full: {} of {most} jobs run there", self.running);
                Err(Rejection::new(RejectionKind::Full, why))
            }
            _ => Ok(()),
        }
    }

    /// Whether the host may run another job.
    pub(super) fn has_room(&self, host: &RoutedHost) -> bool {
        host.host.max_concurrent_jobs.is_none_or(|most| self.running < most.get())
    }
}
