//! Jobs, what is true, and where they go: the examples of the original design first.

use longshore_core::{
    route::{Budget, BudgetPeriod, RoutingSnapshot, RoutingTable, Rule, Target},
    rules,
};
use std::sync::Arc;

use crate::world::{configured, decided, host, rule, unreached, with_state};

const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];
const HIGH_MEMORY: &str = "High memory requirement";
const PREMIUM: &str = "Premium users get the managed service";
const BATCH: &str = "Batch jobs run where they are cheap";

fn hosts() -> Vec<longshore_core::route::RoutedHost> {
    vec![
        host(configured("laptop docker most=2 region=office residency=ch"), "8g", &["linux/amd64"]),
        host(configured("farm-eu fargate most=3 region=eu-west-1 residency=eu"), "120g", &BOTH),
        host(configured("farm-us fargate region=us-east-1 residency=us"), "120g", &BOTH),
        host(configured("run cloudrun most=1 region=europe-west1 residency=eu"), "32g", &["linux/amd64"]),
        host(configured("cheap scaleway region=fr-par residency=eu"), "16g", &["linux/amd64"]),
        host(configured("spare docker weight=0"), "64g", &["linux/amd64"]),
        host(configured("old docker disabled"), "64g", &["linux/amd64"]),
        unreached(&configured("new docker region=attic")),
    ]
}

fn cel(text: &str) -> longshore_core::route::Condition {
    let names: Vec<_> = hosts().into_iter().map(|host| host.host.name).collect();
    longshore_core::route::Condition::Cel(rules::Condition::parse(text, &names).unwrap())
}

fn rules() -> Vec<Rule> {
    vec![
        rule("memory executor=fargate", cel("template.memory_limit > 8192"), HIGH_MEMORY),
        rule("premium host=run", cel("'premium' in user.groups"), PREMIUM),
        rule("batch host=cheap", cel("template.name.startsWith('batch-')"), BATCH),
        rule("urgent host=run priority=10 spill", cel("labels.urgency == 'high'"), "urgent"),
        rule("vip host=run priority=5", cel("user.name == 'vip'"), "the boss"),
        rule("strange host=cheap", cel("labels.divisor == 'x' && 1 / (size(labels.divisor) - 1) > 0"), "never reached"),
    ]
}

fn snapshot() -> RoutingSnapshot {
    let table = RoutingTable::builder()
        .hosts(hosts())
        .rules(rules())
        .default(Target::Host("laptop".parse().unwrap()))
        .fallback(vec![Target::Host("farm-us".parse().unwrap()), Target::Host("laptop".parse().unwrap())])
        .build()
        .unwrap();
    RoutingSnapshot::new(Arc::new(table))
}

/// What is true, the job, and where it goes: the beginning of the decision's line.
const CASES: &[(&str, &str, &str)] = &[
    // The original design's examples.
    ("", "train memory=16g", "chosen farm-"),
    ("", "report user=ann:staff,premium", "chosen run: Premium users"),
    ("", "batch-nightly", "chosen cheap: Batch jobs"),
    ("", "report", "chosen laptop: the default"),
    ("", "report memory=8192m", "chosen laptop: the default"),
    ("", "report memory=8193m", "chosen farm-"),
    ("", "rebatch-", "chosen laptop: the default"),
    ("", "report user=premium", "chosen laptop: the default"),
    ("", "report user=ann:premium-light", "chosen laptop: the default"),
    // Rules by priority, then by their order.
    ("", "batch-a memory=16g", "chosen farm-"),
    ("", "batch-a memory=16g user=ann:premium", "chosen farm-"),
    ("", "batch-a user=ann:premium", "chosen run: Premium"),
    ("", "batch-a user=vip:premium", "chosen run: the boss"),
    ("", "batch-a user=vip +urgency=high", "chosen run: urgent"),
    ("", "batch-a +urgency=low", "chosen cheap: Batch"),
    // What can't be evaluated does not apply.
    ("", "report +divisor=x", "chosen laptop: the default"),
    ("", "report +divisor=y", "chosen laptop: the default"),
    // Place and architecture.
    ("", "train memory=16g region=us-east-1", "chosen farm-us: High memory"),
    ("", "train memory=16g residency=eu", "chosen farm-eu: High memory"),
    ("", "report residency=us", "chosen farm-us: the fallback chain"),
    ("", "report region=us-east-1,office", "chosen laptop: the default"),
    ("", "report region=mars", "never: no host can run this job"),
    (
        "",
        "report residency=eu",
        "never: no host can run this job; laptop: placement.residency asks for eu, and the host has residency ch; farm-us: placement.residency asks for eu",
    ),
    (
        "",
        "report host=spare region=office",
        "never: no host can run this job; spare: placement.regions asks for office, and the host states no region",
    ),
    ("", "report platform=linux/arm64", "chosen farm-us: the fallback chain"),
    (
        "",
        "report platform=linux/s390x",
        "never: no host can run this job; laptop: the job's platform is linux/s390x, and the host runs linux/amd64",
    ),
    // Incapability moves on.
    ("", "batch-a memory=8g gpus=1", "chosen cheap: Batch"),
    ("", "report gpus=1", "chosen farm-us: the fallback chain"),
    ("", "report memory=200g", "never: no host can run this job; farm-eu: 200GiB of memory is more than it has"),
    ("", "batch-a memory=8192m host=laptop", "chosen laptop: named by the caller"),
    // Full hosts are waited for, unless the rule lets jobs spill.
    ("running=cheap:1000", "batch-a", "chosen cheap"),
    ("running=laptop:1", "report", "chosen laptop"),
    ("running=laptop:2", "report", "not now: waits for laptop, which is full: 2 of 2 jobs run there"),
    ("running=laptop:3", "report", "not now: waits for laptop"),
    ("running=run:1", "report user=ann:premium", "not now: waits for run, which is full: 1 of 1"),
    ("running=run:1", "report +urgency=high", "chosen laptop: the default"),
    ("running=run:1", "batch-a +urgency=high", "chosen cheap: Batch"),
    ("running=run:1 running=laptop:2", "report +urgency=high", "not now: waits for laptop"),
    ("running=farm-eu:3", "train memory=16g", "chosen farm-us: High memory"),
    ("running=farm-eu:3", "train memory=16g residency=eu", "not now: waits for farm-eu"),
    // Ill health and cool-downs move on; when nothing is left the job waits.
    ("open=laptop", "report", "chosen farm-us: the fallback chain"),
    ("open=run", "report user=ann:premium", "chosen laptop: the default"),
    ("cooling=cheap", "batch-a", "chosen laptop: the default"),
    ("cooled=cheap", "batch-a", "chosen cheap"),
    ("paused=laptop", "report", "chosen farm-us: the fallback chain"),
    (
        "open=laptop open=farm-us",
        "report",
        "not now until 2026-07-15T14:35:00Z: every host that could run this job is busy or ill",
    ),
    ("paused=laptop paused=farm-us", "report", "not now: every host"),
    ("open=farm-eu", "train memory=16g", "chosen farm-us"),
    ("open=farm-eu running=farm-us:9999", "train memory=16g", "chosen farm-us"),
    ("open=laptop", "report region=office", "not now until 2026-07-15T14:35:00Z: every host"),
    ("cooling=farm-eu running=farm-us:1", "train memory=16g residency=eu", "not now until"),
    // A preference is a wish; what is required or bound is not.
    ("", "report prefers=cheap", "chosen cheap: the job prefers it"),
    ("", "batch-a memory=16g prefers=run", "chosen run: the job prefers it"),
    ("", "report prefers=fargate", "chosen farm-"),
    ("open=cheap", "report prefers=cheap", "chosen laptop: the default"),
    ("", "report prefers=nowhere", "chosen laptop: the default"),
    ("", "report memory=20g prefers=cheap", "chosen farm-"),
    ("running=run:1", "report prefers=run", "not now: waits for run"),
    ("", "report requires=cheap", "chosen cheap: the job requires it"),
    ("open=cheap", "report requires=cheap", "not now until 2026-07-15T14:35:00Z"),
    ("", "report memory=20g requires=cheap", "never: no host can run this job; cheap: 20GiB of memory"),
    (
        "",
        "report requires=nowhere",
        "never: no host can run this job; the job requires it; host nowhere is not configured: no host answers to it; hosts: cheap, farm-eu",
    ),
    ("", "batch-a user=vip host=laptop", "chosen laptop: named by the caller"),
    ("", "batch-a host=laptop requires=cheap", "chosen laptop: named by the caller"),
    ("", "batch-a executor=cloudrun", "chosen run: named by the caller"),
    ("running=run:1", "batch-a executor=cloudrun", "not now: waits for run"),
    ("", "report host=nowhere", "never: no host can run this job; named by the caller; host nowhere is not configured"),
    (
        "",
        "report executor=lambda",
        "never: no host can run this job; named by the caller; executor lambda is not configured",
    ),
    // Disabled, weight zero, not reached yet.
    ("", "report host=old", "never: no host can run this job; old: disabled by its operator"),
    ("", "report host=spare", "chosen spare: named by the caller"),
    ("", "report prefers=spare", "chosen spare: the job prefers it"),
    ("", "report executor=docker", "chosen laptop: named by the caller"),
    ("", "report memory=20g executor=docker", "not now: every host"),
    ("", "report memory=20g executor=docker region=office", "never: no host can run this job; laptop: 20GiB"),
    ("", "report host=new", "not now: every host"),
    (
        "",
        "report host=new gpus=1",
        "never: no host can run this job; new: the docker executor can't do what the job asks",
    ),
];

#[test]
fn jobs_go_where_the_table_says() {
    assert!(CASES.len() >= 60);
    let snapshot = snapshot();
    for (state, job, expected) in CASES {
        let decided = decided(&with_state(snapshot.clone(), state), job);
        assert!(decided.starts_with(expected), "{state:?} {job:?}\n expected {expected}\n decided  {decided}");
    }
}

#[test]
fn without_a_default_the_default_is_any_host() {
    let table = RoutingTable::builder().hosts(vec![host(configured("only docker"), "1g", &[])]).build().unwrap();
    assert_eq!(decided(&RoutingSnapshot::new(Arc::new(table)), "report"), "chosen only: the default");
    let nothing = RoutingTable::builder().hosts(Vec::new()).build().unwrap();
    let decided = decided(&RoutingSnapshot::new(Arc::new(nothing)), "report");
    assert!(decided.ends_with("any host is not configured: no host is configured"), "{decided}");
}

#[test]
fn targets_that_nobody_answers_to_and_twins_are_told_all_at_once() {
    let twice = || host(configured("twice docker"), "1g", &[]);
    let error = RoutingTable::builder()
        .hosts(vec![twice(), twice()])
        .rules(vec![rule("r host=nowhere", cel("true"), ""), rule("r executor=lambda", cel("true"), "")])
        .default(Target::Host("none".parse().unwrap()))
        .fallback(vec![Target::Executor("other".parse().unwrap())])
        .budgets(vec![Budget::new("b".parse().unwrap(), BudgetPeriod::Day).on([Target::Host("gone".parse().unwrap())])])
        .build()
        .unwrap_err()
        .to_string();
    let expected = [
        "hosts \"twice\" is not valid: the same name is given twice",
        "routing.rules \"r\" is not valid: the same name is given twice",
        "routing.rules \"host nowhere\" is not valid: no host answers to it; hosts: twice, twice; executors: docker",
        "routing.rules \"executor lambda\"",
        "routing.default \"host none\"",
        "routing.fallback \"executor other\"",
        "budgets \"host gone\"",
    ];
    for expected in expected {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
