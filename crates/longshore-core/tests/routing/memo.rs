//! What executors are asked, and how often.

use longshore_core::{
    HostFacts, HostSettings, Plan,
    route::{RouteRequest, RoutedHost, RoutingSnapshot, RoutingTable},
};
use std::sync::Arc;

use crate::world::{self, configured, job, now, with_state};

fn facts() -> HostFacts {
    HostFacts::builder().discovered_at(now()).engine("engine 1").build()
}

/// A host whose executor may be asked for a plan so often, and must be.
fn asked(name: &str, times: usize) -> RoutedHost {
    let configured = configured(&format!("{name} docker most=2"));
    let mut executor = world::bare_executor(&configured, Some(facts()));
    let planner = world::planner(&configured.name, &configured.executor_type);
    executor
        .expect_plan()
        .times(times)
        .returning(move |job| Ok(Plan::granting(job, &planner, HostSettings::new(1, serde_json::Value::Null))));
    RoutedHost::new(configured, Arc::new(executor))
}

fn snapshot(times: usize) -> RoutingSnapshot {
    let hosts = vec![asked("a", times), asked("b", times)];
    RoutingSnapshot::new(Arc::new(RoutingTable::builder().hosts(hosts).build().unwrap()))
}

fn route(snapshot: &RoutingSnapshot, text: &str) {
    let (job, _) = job(text);
    assert!(snapshot.route(&RouteRequest::new(&job, now())).plan.is_some());
}

#[test]
fn a_template_is_planned_once_on_each_host() {
    let snapshot = snapshot(1);
    for _ in 0..3 {
        route(&snapshot, "report memory=1g");
        route(&snapshot.clone(), "report memory=1g user=ann:staff");
    }
}

#[test]
fn another_template_is_planned_anew() {
    let snapshot = snapshot(2);
    route(&snapshot, "report memory=1g");
    route(&snapshot, "report memory=2g");
    route(&snapshot, "report memory=1g");
}

#[test]
fn what_runs_where_and_what_is_ill_changes_no_plan() {
    let snapshot = snapshot(1);
    route(&snapshot, "report");
    for state in ["running=a:1", "running=b:2", "cooling=a", "open=b", "paused=a"] {
        route(&with_state(snapshot.clone(), state), "report");
    }
}

#[test]
fn new_facts_are_planned_over_anew() {
    let mut snapshot = snapshot(2);
    route(&snapshot, "report");
    for name in ["a", "b"] {
        snapshot = snapshot.with(&name.parse().unwrap(), |state| state.facts = Some(Arc::new(facts())));
    }
    route(&snapshot, "report");
    route(&snapshot, "report");
}
