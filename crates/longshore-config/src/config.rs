//! A configuration that is as it should be, and what is made of it.

use longshore_core::{
    ContainerExecutor, Error, ExecutionHost, HostName, JobTemplate, Result,
    price::{PriceBook, PriceSheet},
    route::{Budget, Policy, RoutedHost, RoutingTable, Rule, Target, UnknownPrice},
};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    problem::Problems,
    report::Report,
    routing_test::{RoutingTest, TestOutcome},
    source::Source,
    tree::{Node, Origin, Value},
};

/// Hosts, rules, budgets and templates: read, and found to be as they should be.
#[derive(Clone)]
pub struct Config {
    pub(crate) path: PathBuf,
    pub(crate) hosts: BTreeMap<HostName, ConfiguredHost>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) default: Option<Target>,
    pub(crate) fallback: Vec<Target>,
    pub(crate) policy: Policy,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) prices: PriceBook,
    pub(crate) unknown_price: UnknownPrice,
    pub(crate) templates: BTreeMap<String, JobTemplate>,
    pub(crate) tests: Vec<RoutingTest>,
    pub(crate) shown: serde_json::Value,
    pub(crate) source: Source,
    pub(crate) warnings: Problems,
}

/// A host as it is configured.
#[derive(Debug, Clone)]
pub(crate) struct ConfiguredHost {
    pub(crate) host: ExecutionHost,
    pub(crate) price: Option<PriceSheet>,
    pub(crate) is_default: bool,
    /// Whether nothing is wrong with the executor's settings, as far as their schema tells.
    pub(crate) is_sound: bool,
    /// Where it is named in the file.
    pub(crate) origin: Origin,
    /// What is written of it.
    pub(crate) node: Node,
}

impl ConfiguredHost {
    /// What the executor's complaint comes to, and where: in `executor_config.tls.ca: …` it names the setting. Of a setting
    /// that a reference leads to, no word is passed on, because any may be a part of the secret.
    fn complaint(&self, error: &Error) -> (String, &Origin) {
        let named = error.message().split([':', ' ']).next().unwrap_or_default();
        let (mut node, mut path) = (&self.node, Vec::new());
        for part in named.split('.') {
            let Some(next) = node.step(part) else { break };
            node = next;
            path.push(part);
        }
        if path.is_empty() {
            return (error.chain(), &self.origin);
        }
        let is_secret = matches!(node.value, Value::Secret { .. });
        let words = if is_secret {
            format!("{}: what the reference leads to does not fit", path.join("."))
        } else {
            error.chain()
        };
        (words, &node.origin)
    }
}

impl Config {
    /// The file that it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &ExecutionHost> {
        self.hosts.values().map(|host| &host.host)
    }

    /// What a name means that somebody typed: a host of that name, else a kind of executor that a host has.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<Target> {
        Target::of_name(name, self.hosts.values().map(|host| &host.host))
    }

    /// The templates, by name.
    #[must_use]
    pub const fn templates(&self) -> &BTreeMap<String, JobTemplate> {
        &self.templates
    }

    /// The prices of the hosts.
    #[must_use]
    pub const fn prices(&self) -> &PriceBook {
        &self.prices
    }

    /// What can be used and is most likely not what was meant.
    #[must_use]
    pub const fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// The routing table, with the executor that `build` makes for each host.
    ///
    /// # Errors
    /// Every host whose executor can't be made, at its place in the file.
    pub fn table(
        &self,
        build: impl FnMut(&ExecutionHost) -> Result<Arc<dyn ContainerExecutor>>,
    ) -> Result<RoutingTable, Problems> {
        self.table_beside(&[], build)
    }

    /// The same with further hosts, for what runs there already. One with the name of a configured host is left out.
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn table_beside(
        &self,
        beside: &[RoutedHost],
        build: impl FnMut(&ExecutionHost) -> Result<Arc<dyn ContainerExecutor>>,
    ) -> Result<RoutingTable, Problems> {
        let mut report = Report::new(self.source.clone());
        self.build(beside, build, &mut report).ok_or_else(|| report.finish())
    }

    pub(crate) fn build(
        &self,
        beside: &[RoutedHost],
        mut build: impl FnMut(&ExecutionHost) -> Result<Arc<dyn ContainerExecutor>>,
        report: &mut Report,
    ) -> Option<RoutingTable> {
        let mut hosts = Vec::with_capacity(self.hosts.len());
        for (name, configured) in self.hosts.iter().filter(|(_, configured)| configured.is_sound) {
            match build(&configured.host) {
                Ok(executor) => hosts.push(RoutedHost::new(configured.host.clone(), executor)),
                Err(error) => {
                    let (words, origin) = configured.complaint(&error);
                    let message = format!("the host `{name}` can't be used: {words}");
                    report.error("unusable-host", origin, message, None);
                }
            }
        }
        if hosts.len() < self.hosts.len() {
            return None;
        }
        hosts.extend(beside.iter().filter(|host| !self.hosts.contains_key(&host.host.name)).cloned());
        let table = RoutingTable::builder()
            .hosts(hosts)
            .rules(self.rules.clone())
            .maybe_default(self.default.clone())
            .fallback(self.fallback.clone())
            .policy(self.policy)
            .budgets(self.budgets.clone())
            .prices(self.prices.clone())
            .unknown_price(self.unknown_price)
            .build();
        match table {
            Ok(table) => Some(table),
            // Whatever the check lets through that the table does not is told, if not at its place.
            Err(violations) if !report.has_errors() => {
                report.error("invalid-value", &Origin::Whole, violations.to_string(), None);
                None
            }
            Err(_) => None,
        }
    }

    /// Runs the routing tests over a table made of this configuration, and returns what became of each.
    #[must_use]
    pub fn run_tests(&self, table: &Arc<RoutingTable>) -> Vec<TestOutcome> {
        self.tests.iter().map(|test| test.run(table)).collect()
    }

    /// Notes the tests that failed, each at its place in the file.
    pub(crate) fn note_failures(&self, outcomes: &[TestOutcome], report: &mut Report) {
        for (test, outcome) in self.tests.iter().zip(outcomes) {
            if let Some(failure) = &outcome.failure {
                let message = format!("the routing test `{}` failed: {failure}", test.name);
                report.error("failed-test", &test.origin, message, None);
            }
        }
    }

    /// The configuration as it is in force, as TOML: with what variables have replaced, with references as they were
    /// written, and with secrets left out.
    #[must_use]
    pub fn shown(&self) -> String {
        toml::to_string_pretty(&without_nulls(&self.shown)).unwrap_or_default()
    }
}

/// TOML has no word for nothing.
fn without_nulls(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Array(items) => Value::Array(items.iter().filter(|item| !item.is_null()).map(without_nulls).collect()),
        Value::Object(entries) => {
            let kept = entries.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("path", &self.path).field("shown", &self.shown).finish_non_exhaustive()
    }
}
