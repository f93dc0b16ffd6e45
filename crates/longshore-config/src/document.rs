//! The shape of `longshore.toml`: what can be written, and its descriptions in the published schema.

use jiff::Timestamp;
use longshore_core::{
    Allow, ExecutorType, HostName, LabelKey, LabelValue, Region, Residency,
    price::{Currency, Money, PriceSheet},
    route::{BudgetPeriod, Policy, RuleName, UnknownPrice},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, num::NonZeroU32};

use crate::spec::{JobSpec, TemplateSection};

/// Where container jobs run, and which job runs where.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "longshore.toml")]
pub(crate) struct Document {
    /// The places to run, each under its name: lower-case letters, digits and dashes.
    pub(crate) hosts: BTreeMap<String, HostSection>,
    /// Which job runs where.
    pub(crate) routing: RoutingSection,
    /// How much jobs may cost, each budget under its name.
    pub(crate) budgets: BTreeMap<String, BudgetSection>,
    /// Descriptions of jobs, each under its name.
    pub(crate) templates: BTreeMap<String, TemplateSection>,
}

/// One place to run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostSection {
    /// The kind of executor that serves it; `longshore executors` lists the kinds.
    pub(crate) executor: ExecutorType,
    /// That executor's own settings; `longshore schema KIND-config` describes them.
    #[serde(default)]
    #[expect(dead_code, reason = "read by the executor's own schema, from the tree")]
    pub(crate) executor_config: Value,
    /// False when nothing new may be launched there.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// True when jobs go there that no rule sends elsewhere. One host at most.
    #[serde(default)]
    pub(crate) default: bool,
    /// How many jobs may run there at one time; absent, as many as come.
    #[serde(default)]
    pub(crate) max_concurrent_jobs: Option<NonZeroU32>,
    /// Its share among equals, 1 where it is absent; with 0 it is reachable by name only.
    #[serde(default = "one")]
    pub(crate) weight: u32,
    /// Where it stands, in its provider's words.
    #[serde(default)]
    pub(crate) region: Option<Region>,
    /// Under whose law data stays there.
    #[serde(default)]
    pub(crate) residency: Option<Residency>,
    /// Labels for people.
    #[serde(default)]
    pub(crate) labels: BTreeMap<LabelKey, LabelValue>,
    /// What jobs may reach there beyond their own container; by default nothing.
    #[serde(default)]
    pub(crate) allow: Allow,
    /// What it charges, in place of the built-in prices for its region.
    #[serde(default)]
    pub(crate) price: Option<PriceSheet>,
}

/// Which job runs where.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RoutingSection {
    /// Where jobs go that no rule sends elsewhere: a host, or a kind of executor. Without a default and a fallback chain,
    /// any host.
    pub(crate) default: Option<String>,
    /// Where jobs go that nowhere else can take: hosts or kinds of executor, one after the other.
    pub(crate) fallback: Vec<String>,
    /// Which of several hosts that would do.
    pub(crate) policy: Policy,
    /// The currency in which costs are compared; US dollars where it is absent.
    pub(crate) currency: Option<Currency>,
    /// What one unit of a currency is worth: `EUR = "1.08 USD"`. None is built in.
    pub(crate) exchange_rates: BTreeMap<String, Money>,
    /// What a hard budget does with a job whose cost is not known.
    pub(crate) unknown_price: UnknownPrice,
    /// Rules, asked by priority, highest first, then in the order in which they stand here.
    pub(crate) rules: Vec<RuleSection>,
    /// Example jobs and where they are expected to go; `longshore config check` runs them.
    pub(crate) tests: Vec<TestSection>,
}

/// One rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSection {
    /// Its name in explanations; by default `rule-` and its place among the rules, from 1.
    #[serde(default)]
    pub(crate) name: Option<RuleName>,
    /// False when it is not to be asked.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// For which jobs it applies: a CEL expression such as `template.memory_limit > 8192`.
    pub(crate) condition: String,
    /// Sends the job to whichever host of this kind of executor the policy chooses. Either this or `host`.
    #[serde(default)]
    pub(crate) executor: Option<ExecutorType>,
    /// Sends the job to this host.
    #[serde(default)]
    pub(crate) host: Option<HostName>,
    /// Why, for people; by default the condition itself.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// Rules of a higher priority are asked first.
    #[serde(default)]
    pub(crate) priority: i64,
    /// True when a job goes on to the next stage when the target is full, instead of waiting for it.
    #[serde(default)]
    pub(crate) spill: bool,
}

/// How much jobs may cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetSection {
    /// When what was spent counts from zero again. Periods begin at midnight UTC; a week begins on Monday.
    pub(crate) period: BudgetPeriod,
    /// Beyond this each decision carries a notice.
    #[serde(default)]
    pub(crate) warning: Option<Money>,
    /// Beyond this nothing is launched.
    #[serde(default)]
    pub(crate) hard: Option<Money>,
    /// The jobs that count, as a CEL expression; absent, all.
    #[serde(default)]
    pub(crate) condition: Option<String>,
    /// The hosts or kinds of executor that count; absent, all.
    #[serde(default)]
    #[expect(dead_code, reason = "read from the tree, where each name has its place")]
    pub(crate) targets: Vec<String>,
}

/// An example job, and where it is expected to go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestSection {
    /// What the test shows.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The job.
    pub(crate) job: JobSpec,
    /// When it is routed; by default at noon (UTC) on Monday, 5 January 2026.
    #[serde(default)]
    pub(crate) at: Option<Timestamp>,
    /// Hosts that run as many jobs as they may.
    #[serde(default)]
    pub(crate) full: Vec<HostName>,
    /// Hosts that can't be used at that time.
    #[serde(default)]
    pub(crate) down: Vec<HostName>,
    /// What has been spent of budgets.
    #[serde(default)]
    pub(crate) spent: BTreeMap<String, Money>,
    /// Where it goes.
    pub(crate) expect: ExpectSection,
}

/// Where an example job is expected to go: a host, a kind of executor, or an outcome.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectSection {
    /// To this host.
    #[serde(default)]
    pub(crate) host: Option<HostName>,
    /// To a host of this kind of executor.
    #[serde(default)]
    pub(crate) executor: Option<ExecutorType>,
    /// Nowhere.
    #[serde(default)]
    pub(crate) outcome: Option<ExpectedOutcome>,
    /// By this rule.
    #[serde(default)]
    pub(crate) rule: Option<RuleName>,
}

/// Nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExpectedOutcome {
    /// Not now: the job waits.
    NotNow,
    /// Never.
    Never,
}

const fn yes() -> bool {
    true
}

const fn one() -> u32 {
    1
}
