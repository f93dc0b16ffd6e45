//! The prices of all hosts, and what currencies are worth in each other.

use rust_decimal::Decimal;
use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use crate::{
    ExecutionHost, HostFacts, HostName, Plan,
    price::{Consumption, Currency, Estimate, FreeLeft, Money, PriceSheet, builtin, builtin::regions},
};

/// What currencies are worth in each other, as far as somebody has said so. None is built in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExchangeRates(BTreeMap<(Currency, Currency), Decimal>);

impl ExchangeRates {
    /// No rate at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One unit of the currency is worth as much of another; and the other way round, unless that is given as well. A
    /// rate of zero is none.
    #[must_use]
    pub fn with(mut self, one: Currency, worth: &Money) -> Self {
        if !worth.amount().is_zero() {
            self.0.insert((one, worth.currency().clone()), worth.amount());
        }
        self
    }

    /// The amount in another currency.
    ///
    /// # Errors
    /// That there is no rate, naming the one that would be needed; or that the amount is too large.
    pub fn convert(&self, money: &Money, to: &Currency) -> Result<Money, String> {
        let from = money.currency();
        if from == to {
            return Ok(money.clone());
        }
        let direct = self.0.get(&(from.clone(), to.clone())).map(|rate| money.amount().checked_mul(*rate));
        let inverse = || self.0.get(&(to.clone(), from.clone())).map(|rate| money.amount().checked_div(*rate));
        let converted = direct.or_else(inverse).ok_or_else(|| {
            format!("there is no rate from {from} to {to}; set routing.exchange_rates.{from} = \"… {to}\"")
        })?;
        let amount = converted.ok_or_else(|| format!("{money} is too much to be counted in {to}"))?;
        Money::new(amount.round_dp(12), to.clone()).ok_or_else(|| format!("{money} can't be counted in {to}"))
    }
}

/// The prices of all hosts.
#[derive(Debug, Clone)]
pub struct PriceBook {
    by_host: BTreeMap<HostName, PriceSheet>,
    rates: ExchangeRates,
    currency: Currency,
}

impl Default for PriceBook {
    /// The built-in prices, compared in US dollars.
    fn default() -> Self {
        Self { by_host: BTreeMap::new(), rates: ExchangeRates::new(), currency: Currency::us_dollar() }
    }
}

impl PriceBook {
    /// The built-in prices, compared in US dollars.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a host's own prices in place of the built-in ones.
    #[must_use]
    pub fn with(mut self, host: HostName, price: PriceSheet) -> Self {
        self.by_host.insert(host, price);
        self
    }

    /// The same, comparing in another currency.
    #[must_use]
    pub fn compared_in(mut self, currency: Currency) -> Self {
        self.currency = currency;
        self
    }

    /// The same with these rates between currencies.
    #[must_use]
    pub fn with_rates(mut self, rates: ExchangeRates) -> Self {
        self.rates = rates;
        self
    }

    /// The currency in which costs are compared.
    #[must_use]
    pub const fn currency(&self) -> &Currency {
        &self.currency
    }

    /// The prices of a host: its own, else those built in for its region.
    ///
    /// # Errors
    /// Why there are none, and what would give some.
    pub fn of(&self, host: &ExecutionHost) -> Result<&PriceSheet, String> {
        if let Some(sheet) = self.by_host.get(&host.name) {
            return Ok(sheet);
        }
        let (name, kind) = (&host.name, &host.executor_type);
        if let Some(sheet) = host.region.as_ref().and_then(|region| builtin(kind, region)) {
            return Ok(sheet);
        }
        let known: Vec<&str> = regions(kind).map(AsRef::as_ref).collect();
        let known = if known.is_empty() { String::new() } else { format!(" (built in for {})", known.join(", ")) };
        let place = host.region.as_ref().map_or_else(|| "an unnamed region".to_owned(), ToString::to_string);
        Err(format!("no price is known of {kind} in {place}{known}; set hosts.{name}.price"))
    }

    /// What the plan is expected to cost on its host: for the template's expected duration, else for its run timeout.
    /// `free` is what is left of the month's free tier there; the default is nothing.
    #[must_use]
    pub fn estimate(&self, host: &ExecutionHost, facts: Option<&HostFacts>, plan: &Plan, free: FreeLeft) -> Estimate {
        let template = &plan.template;
        match template.expected_duration.or(template.run_timeout) {
            Some(duration) => self.actual(host, facts, plan, duration, free),
            None => {
                let name = &template.name;
                Estimate::unknown(format!("{name} has neither an expected_duration nor a run_timeout; set one"))
            }
        }
    }

    /// What the plan has cost on its host after it ran for as long. `free` is what was left of the month's free tier there
    /// before; the default is nothing.
    #[must_use]
    pub fn actual(
        &self,
        host: &ExecutionHost,
        facts: Option<&HostFacts>,
        plan: &Plan,
        duration: Duration,
        free: FreeLeft,
    ) -> Estimate {
        let resources = &plan.template.resources;
        // A host that runs one architecture needs no word about it.
        let only = facts.filter(|facts| facts.platforms.len() == 1).and_then(|facts| facts.platforms.first());
        let platform = plan.template.platform.as_ref().or(only);
        let used = Consumption {
            duration,
            cpu: resources.cpu,
            memory: resources.memory,
            gpu: resources.gpu.clone(),
            storage: resources.ephemeral_storage,
            architecture: platform.map(|platform| platform.architecture.clone()),
            spot: plan.spot,
            machine: facts.map_or((None, None), |facts| (facts.cpu, facts.memory)),
            free_left: free,
        };
        self.of(host).map_or_else(Estimate::unknown, |sheet| sheet.cost(&used))
    }

    /// The amount in another currency.
    ///
    /// # Errors
    /// As [`ExchangeRates::convert`].
    pub fn convert(&self, money: &Money, to: &Currency) -> Result<Money, String> {
        self.rates.convert(money, to)
    }

    /// The cheaper one first; what is not known, or not in the currency of comparison, last.
    #[must_use]
    pub fn compare(&self, a: &Estimate, b: &Estimate) -> Ordering {
        match (self.comparable(a), self.comparable(b)) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (a, b) => b.is_ok().cmp(&a.is_ok()),
        }
    }

    /// The cost in the currency of comparison.
    ///
    /// # Errors
    /// Why it is not known, or can't be counted in that currency.
    pub fn comparable(&self, estimate: &Estimate) -> Result<Decimal, String> {
        let cost = estimate.cost().map_err(ToOwned::to_owned)?;
        if *cost.currency() == self.currency {
            return Ok(cost.amount());
        }
        self.convert(cost, &self.currency).map(|cost| cost.amount())
    }
}
