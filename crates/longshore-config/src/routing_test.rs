//! Routing tests: example jobs with where they are expected to go.

use jiff::Timestamp;
use longshore_core::{
    HostName, JobId,
    clock::later,
    price::Money,
    route::{
        BudgetName, CircuitState, RouteDecision, RouteOutcome, RouteRequest, RoutingSnapshot, RoutingTable, RuleName,
        StageKind, Target,
    },
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

use crate::{document::ExpectedOutcome, spec::DescribedJob, tree::Origin};

/// An example job, and where it is expected to go.
#[derive(Debug, Clone)]
pub(crate) struct RoutingTest {
    pub(crate) name: String,
    pub(crate) job: DescribedJob,
    pub(crate) at: Option<Timestamp>,
    pub(crate) full: Vec<HostName>,
    pub(crate) down: Vec<HostName>,
    pub(crate) spent: Vec<(BudgetName, Money)>,
    pub(crate) expected: Expected,
    pub(crate) rule: Option<RuleName>,
    pub(crate) origin: Origin,
}

/// Where it is expected to go.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    On(Target),
    Nowhere(ExpectedOutcome),
}

/// Monday, 5 January 2026, noon UTC.
const MONDAY_NOON: i64 = 1_767_614_400;

/// What became of a routing test.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TestOutcome {
    /// Its name.
    pub name: String,
    /// What was decided.
    pub decision: RouteDecision,
    /// What is otherwise than expected; absent when it passed.
    pub failure: Option<String>,
}

impl RoutingTest {
    /// Routes the job over the table, with every host that is not said to be down taken for well. The same table gives
    /// the same outcome: the job always has the same id.
    pub(crate) fn run(&self, table: &Arc<RoutingTable>) -> TestOutcome {
        let now = self.at.or_else(|| Timestamp::from_second(MONDAY_NOON).ok()).unwrap_or_default();
        let job = self.job.clone().with_id(JobId::from_uuid(Uuid::nil()), now);
        let route = self.snapshot(table, now).route(&RouteRequest::new(&job, now));
        let failure = self.failure(table, &route.decision);
        TestOutcome { name: self.name.clone(), decision: route.decision, failure }
    }

    fn snapshot(&self, table: &Arc<RoutingTable>, now: Timestamp) -> RoutingSnapshot {
        let mut snapshot = RoutingSnapshot::new(Arc::clone(table)).assuming_reachable();
        for host in table.hosts() {
            let name = &host.host.name;
            let most = host.host.max_concurrent_jobs.filter(|_| self.full.contains(name));
            let is_down = self.down.contains(name);
            snapshot = snapshot.with(name, |state| {
                state.running = most.map_or(0, std::num::NonZeroU32::get);
                if is_down {
                    let until = later(now, Duration::from_secs(60));
                    state.circuit = CircuitState::Open { until, why: "down, as the test says".to_owned() };
                }
            });
        }
        self.spent.iter().fold(snapshot, |snapshot, (name, spent)| snapshot.with_spent(name.clone(), spent.clone()))
    }

    fn failure(&self, table: &RoutingTable, decision: &RouteDecision) -> Option<String> {
        let found = found(decision);
        let wanted = match &self.expected {
            Expected::On(target) => target.to_string(),
            Expected::Nowhere(ExpectedOutcome::NotNow) => "not now".to_owned(),
            Expected::Nowhere(ExpectedOutcome::Never) => "never".to_owned(),
        };
        let host = decision.host().and_then(|name| table.hosts().iter().find(|host| host.host.name == *name));
        let as_expected = match (&self.expected, &decision.outcome) {
            (Expected::On(target), _) => host.is_some_and(|host| target.covers(&host.host)),
            (Expected::Nowhere(ExpectedOutcome::NotNow), RouteOutcome::NotNow { .. })
            | (Expected::Nowhere(ExpectedOutcome::Never), RouteOutcome::Never { .. }) => true,
            _ => false,
        };
        if !as_expected {
            return Some(format!("expected {wanted}, found {found}"));
        }
        let by = decision.stages.last().map(|stage| &stage.kind);
        match (&self.rule, by) {
            (Some(rule), Some(StageKind::Rule(by))) if by == rule => None,
            (Some(rule), Some(by)) => Some(format!("expected rule {rule}, found {by}: {found}")),
            (Some(rule), None) => Some(format!("expected rule {rule}, found {found}")),
            (None, _) => None,
        }
    }
}

fn found(decision: &RouteDecision) -> String {
    match &decision.outcome {
        RouteOutcome::Chosen { host, reason, .. } => format!("{host} ({reason})"),
        RouteOutcome::NotNow { reason, .. } => format!("not now: {reason}"),
        RouteOutcome::Never { .. } => {
            format!("never: {}", decision.error().map(|error| error.message().to_owned()).unwrap_or_default())
        }
        other => format!("{other:?}"),
    }
}
