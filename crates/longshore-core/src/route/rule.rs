//! A routing rule: where a condition holds, the job goes to the rule's target.

use crate::{
    JobTemplate,
    ids::{NameRule, parsed_name},
    route::{Budget, RouteRequest, RoutingSnapshot, Target, judge::Judge},
};

fn first(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn rest(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

parsed_name! {
    /// The name of a routing rule.
    RuleName, NameRule {
        field: "rule name",
        rule: "use 1 to 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
        pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
        longest: 63,
        first,
        rest,
    }
}

/// When a rule applies.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Condition {
    /// To every job.
    Always,
    /// To the jobs for which a checked CEL expression holds.
    #[cfg(feature = "rules")]
    Cel(crate::rules::Condition),
}

/// One routing rule.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// When it applies.
    pub condition: Condition,
    /// Where it sends the job.
    pub target: Target,
    /// Why, in the words of whoever wrote it.
    pub reason: String,
    /// Rules of a higher priority are asked first, those of the same in their order.
    pub priority: i64,
    /// Whether a job goes on to the next stage when the target is full, instead of waiting for it.
    pub spill: bool,
}

impl Rule {
    /// A rule of priority zero whose jobs wait when the target is full.
    #[must_use]
    pub fn new(name: RuleName, condition: Condition, target: Target, reason: impl Into<String>) -> Self {
        Self { name, condition, target, reason: reason.into(), priority: 0, spill: false }
    }

    /// The same rule with another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: i64) -> Self {
        self.priority = priority;
        self
    }

    /// The same rule, letting jobs spill over or not.
    #[must_use]
    pub fn spilling(mut self, spill: bool) -> Self {
        self.spill = spill;
        self
    }
}

impl Condition {
    /// A condition in CEL that may name the given hosts.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    #[cfg(feature = "rules")]
    pub fn cel(source: &str, hosts: &[crate::HostName]) -> Result<Self, crate::rules::Faults> {
        crate::rules::Condition::parse(source, hosts).map(Self::Cel)
    }
}

impl Condition {
    /// Whether it asks for `estimated_cost`.
    pub(super) const fn asks_for_cost(&self) -> bool {
        match self {
            Self::Always => false,
            #[cfg(feature = "rules")]
            Self::Cel(condition) => condition.asks_for_cost(),
        }
    }

    /// The hosts that it names.
    pub(super) fn hosts(&self) -> &[crate::HostName] {
        match self {
            Self::Always => &[],
            #[cfg(feature = "rules")]
            Self::Cel(condition) => condition.hosts(),
        }
    }
}

/// What conditions are evaluated over: made once a job.
pub(super) struct RuleView<'a> {
    #[cfg(feature = "rules")]
    snapshot: &'a RoutingSnapshot,
    #[cfg(feature = "rules")]
    context: crate::rules::JobContext<'a>,
    #[cfg(not(feature = "rules"))]
    nothing: std::marker::PhantomData<&'a ()>,
}

#[cfg(not(feature = "rules"))]
impl<'a> RuleView<'a> {
    pub(super) const fn new(_: &'a RoutingSnapshot, _: &'a RouteRequest<'a>, _: &'a JobTemplate) -> Self {
        Self { nothing: std::marker::PhantomData }
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as with the feature `rules`")]
    pub(super) const fn holds(&self, rule: &Rule, _: &[usize], _: &Judge<'_>) -> Result<bool, String> {
        match rule.condition {
            Condition::Always => Ok(true),
        }
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as with the feature `rules`")]
    pub(super) const fn counts(&self, budget: &Budget) -> Result<bool, String> {
        match budget.condition {
            Condition::Always => Ok(true),
        }
    }
}

#[cfg(feature = "rules")]
impl<'a> RuleView<'a> {
    pub(super) fn new(snapshot: &'a RoutingSnapshot, request: &'a RouteRequest<'a>, template: &'a JobTemplate) -> Self {
        Self { snapshot, context: crate::rules::JobContext::new(request.job, template, request.now) }
    }

    /// Whether a rule's condition holds; why not, when it can't be evaluated.
    pub(super) fn holds(&self, rule: &Rule, covered: &[usize], judge: &Judge<'_>) -> Result<bool, String> {
        self.asked(&rule.condition, &|| judge.least_cost(&rule.target, covered))
    }

    /// Whether the job counts on a budget; why that is not known, when the condition can't be evaluated.
    pub(super) fn counts(&self, budget: &Budget) -> Result<bool, String> {
        let unknown = || Err("a budget does not depend on what it limits".to_owned());
        self.asked(&budget.condition, &unknown)
    }

    fn asked(&self, condition: &Condition, cost: &dyn Fn() -> Result<f64, String>) -> Result<bool, String> {
        let Condition::Cel(condition) = condition else { return Ok(true) };
        let host = |name: &crate::HostName| self.snapshot.load(name);
        condition.holds(&crate::rules::Scope { job: &self.context, host: &host, cost })
    }
}
