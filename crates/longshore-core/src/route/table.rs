//! What a configuration says of places and rules, ready to be asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, sync::Arc};

use crate::{
    ContainerExecutor, ExecutionHost, HostName, Violation, Violations,
    price::PriceBook,
    route::{Budget, Condition, Policy, Rule, Target},
};

/// A host with the executor that serves it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RoutedHost {
    /// Its configuration.
    pub host: ExecutionHost,
    /// What serves it.
    pub executor: Arc<dyn ContainerExecutor>,
}

impl RoutedHost {
    /// A host and its executor.
    #[must_use]
    pub fn new(host: ExecutionHost, executor: Arc<dyn ContainerExecutor>) -> Self {
        Self { host, executor }
    }
}

/// What a hard budget does with a job whose cost is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UnknownPrice {
    /// Refuses it.
    #[default]
    Refuse,
    /// Lets it through uncounted.
    Allow,
}

/// Places, rules, default, fallback, policy, budgets and prices: what does not change until the configuration does.
#[derive(Debug)]
pub struct RoutingTable {
    pub(super) hosts: Vec<RoutedHost>,
    pub(super) rules: Vec<(Rule, Vec<usize>)>,
    pub(super) default: Option<(Target, Vec<usize>)>,
    pub(super) fallback: Vec<(Target, Vec<usize>)>,
    pub(super) policy: Policy,
    pub(super) budgets: Vec<Budget>,
    pub(super) prices: PriceBook,
    pub(super) unknown_price: UnknownPrice,
}

#[bon::bon]
impl RoutingTable {
    /// A table of the given places. Rules are asked by priority, highest first, then in the order given. Without a
    /// default and a fallback chain the default is any host.
    ///
    /// # Errors
    /// Two hosts, rules or budgets of one name, targets that no host answers to, conditions that name a host that there is
    /// not, and budgets whose condition asks for `estimated_cost`, all of them at once.
    #[builder]
    pub fn new(
        mut hosts: Vec<RoutedHost>,
        #[builder(default)] mut rules: Vec<Rule>,
        default: Option<Target>,
        #[builder(default)] fallback: Vec<Target>,
        #[builder(default)] policy: Policy,
        #[builder(default)] budgets: Vec<Budget>,
        #[builder(default)] prices: PriceBook,
        #[builder(default)] unknown_price: UnknownPrice,
    ) -> Result<Self, Violations> {
        hosts.sort_by(|a, b| a.host.name.cmp(&b.host.name));
        rules.sort_by_key(|rule| Reverse(rule.priority));
        let default = default.or_else(|| fallback.is_empty().then_some(Target::Anywhere));
        let mut found = Vec::new();
        twins("hosts", hosts.iter().map(|host| host.host.name.as_str()), &mut found);
        twins("routing.rules", rules.iter().map(|rule| rule.name.as_str()), &mut found);
        twins("budgets", budgets.iter().map(|budget| budget.name.as_str()), &mut found);
        let conditions = rules.iter().map(|rule| ("routing.rules", &rule.condition));
        let conditions = conditions.chain(budgets.iter().map(|budget| ("budgets", &budget.condition)));
        conditions.for_each(|(field, condition)| unknown_hosts(field, condition, &hosts, &mut found));
        found.extend(budgets.iter().filter(|budget| budget.condition.asks_for_cost()).map(|budget| {
            let rule = "its condition asks for estimated_cost, which the budget limits itself; ask for something else";
            Violation::new("budgets", budget.name.as_str(), rule)
        }));
        let mut resolve = |field: &str, target: Target| {
            let covered = covered(&hosts, &target);
            if covered.is_empty() && target != Target::Anywhere {
                found.push(Violation::new(field, &target, dangling(&hosts)));
            }
            (target, covered)
        };
        let table_rules: Vec<_> =
            rules.into_iter().map(|rule| (resolve("routing.rules", rule.target.clone()).1, rule)).collect();
        let default = default.map(|target| resolve("routing.default", target));
        let fallback = fallback.into_iter().map(|target| resolve("routing.fallback", target)).collect();
        for target in budgets.iter().flat_map(|budget| &budget.targets) {
            resolve("budgets", target.clone());
        }
        Violations::check(found)?;
        let rules = table_rules.into_iter().map(|(covered, rule)| (rule, covered)).collect();
        Ok(Self { hosts, rules, default, fallback, policy, budgets, prices, unknown_price })
    }

    /// The places, by name.
    #[must_use]
    pub fn hosts(&self) -> &[RoutedHost] {
        &self.hosts
    }

    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|(rule, _)| rule)
    }

    /// The prices.
    #[must_use]
    pub const fn prices(&self) -> &PriceBook {
        &self.prices
    }

    /// The budgets.
    #[must_use]
    pub fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// What a name means that somebody typed: a host of that name, else a kind of executor that a host has.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<Target> {
        Target::of_name(name, self.hosts.iter().map(|host| &host.host))
    }

    /// Where in the list of places a host is.
    pub(super) fn position(&self, name: &HostName) -> Option<usize> {
        self.hosts.binary_search_by(|host| host.host.name.cmp(name)).ok()
    }

    /// Whether a host is served by this very executor, and not by one that a reload has put in its place.
    pub(super) fn served_by(&self, name: &HostName, executor: &Arc<dyn ContainerExecutor>) -> bool {
        self.position(name).is_some_and(|at| Arc::ptr_eq(&self.hosts[at].executor, executor))
    }

    pub(super) fn covered(&self, target: &Target) -> Vec<usize> {
        covered(&self.hosts, target)
    }

    /// The names that could have been meant, in words.
    pub(super) fn available(&self) -> String {
        dangling(&self.hosts)
    }
}

fn covered(hosts: &[RoutedHost], target: &Target) -> Vec<usize> {
    hosts.iter().enumerate().filter(|(_, host)| target.covers(&host.host)).map(|(at, _)| at).collect()
}

fn dangling(hosts: &[RoutedHost]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.host.name.as_str()).collect();
    let mut kinds: Vec<&str> = hosts.iter().map(|host| host.host.executor_type.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if names.is_empty() {
        return "no host is configured".to_owned();
    }
    format!("no host answers to it; hosts: {}; executors: {}", names.join(", "), kinds.join(", "))
}

fn unknown_hosts(field: &str, condition: &Condition, hosts: &[RoutedHost], found: &mut Vec<Violation>) {
    let is_there = |name: &&HostName| hosts.iter().any(|host| host.host.name == **name);
    let unknown = condition.hosts().iter().filter(|name| !is_there(name));
    found.extend(unknown.map(|name| Violation::new(field, format!("hosts[\"{name}\"]"), dangling(hosts))));
}

fn twins<'a>(field: &str, names: impl Iterator<Item = &'a str>, found: &mut Vec<Violation>) {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let twins = names.windows(2).filter(|pair| pair[0] == pair[1]);
    found.extend(twins.map(|pair| Violation::new(field, pair[0], "the same name is given twice; rename one")));
}
