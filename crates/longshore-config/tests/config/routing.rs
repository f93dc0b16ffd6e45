//! Routing tests in a configuration, and what they say when they fail.

use crate::support::{loader, make, parse, table};
use longshore_config::TestOutcome;

const CONFIG: &str = r#"
[hosts.home]
executor = "docker"
default = true
max_concurrent_jobs = 1
price = { currency = "EUR", cost_per_hour = "0.36" }
[hosts.far]
executor = "fargate"
region = "us-east-1"
[hosts.run]
executor = "cloudrun"
region = "europe-west1"
residency = "eu"
[routing]
fallback = ["far", "home"]
currency = "USD"
exchange_rates = { EUR = "1.25 USD" }
[[routing.rules]]
name = "large"
condition = "template.memory_limit > 8192"
executor = "fargate"
reason = "High memory requirement"
[[routing.rules]]
name = "premium"
condition = "\"premium\" in user.groups"
host = "run"
spill = true
priority = 5
[budgets.cloud]
period = "month"
hard = "10 USD"
targets = ["fargate", "cloudrun"]
[templates.report]
image = "tool"
run_timeout = "1h"
resources = { memory = "1g", cpu = 1 }
"#;

/// The test's job, what is true, what is expected; and how it fails, if it does.
const CASES: &[(&str, Option<&str>)] = &[
    ("job = { template = 'report' }\nexpect = { host = 'home' }", None),
    ("job = { template = 'report' }\nexpect = { executor = 'docker' }", None),
    ("job = { template = 'report' }\nexpect = { host = 'far' }", Some("expected host far, found home (the default)")),
    ("job = { template = 'report', resources = { memory = '9g' } }\nexpect = { host = 'far', rule = 'large' }", None),
    ("job = { template = 'report', resources = { memory = '9g' } }\nexpect = { rule = 'large' }", None),
    (
        "job = { template = 'report', resources = { memory = '9g' } }\nexpect = { rule = 'premium' }",
        Some("expected rule premium, found rule large: far (High memory requirement)"),
    ),
    (
        "job = { template = 'report', created_by = { name = 'ann', groups = ['premium'] } }\nexpect = { host = 'run' }",
        None,
    ),
    (
        "job = { template = 'report', resources = { memory = '9g' }, created_by = { name = 'a', groups = ['premium'] } }\nexpect = { rule = 'premium' }",
        None,
    ),
    ("job = { template = 'report' }\nfull = ['home']\nexpect = { outcome = 'not-now' }", None),
    ("job = { template = 'report' }\ndown = ['home']\nexpect = { host = 'far' }", None),
    ("job = { template = 'report' }\ndown = ['home', 'far']\nexpect = { outcome = 'not-now' }", None),
    ("job = { template = 'report', preferred_executor = 'run' }\nexpect = { host = 'run' }", None),
    ("job = { template = 'report', preferred_executor = 'cloudrun' }\nexpect = { host = 'run' }", None),
    (
        "job = { template = 'report', preferred_executor = { host = 'run', required = true } }\ndown = ['run']\nexpect = { outcome = 'not-now' }",
        None,
    ),
    ("job = { template = 'report', placement = { residency = 'ch' } }\nexpect = { outcome = 'never' }", None),
    (
        "job = { template = 'report', resources = { memory = '9g' } }\nspent = { cloud = '9.99 USD' }\nexpect = { host = 'home' }",
        None,
    ),
    (
        "job = { image = 'i' }\nat = 2026-03-01T00:00:00Z\nexpect = { outcome = 'never' }",
        Some("expected never, found home (the default)"),
    ),
];

fn outcome(test: &str) -> TestOutcome {
    let config = parse(&format!("{CONFIG}[[routing.tests]]\n{test}\n")).unwrap();
    let mut outcomes = config.run_tests(&table(&config));
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[test]
fn tests_pass_when_jobs_go_where_they_are_expected() {
    for (test, expected) in CASES {
        let outcome = outcome(test);
        assert_eq!(outcome.failure.as_deref(), *expected, "{test}\n{}", outcome.decision);
    }
}

#[test]
fn a_check_runs_them_and_gives_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    let good: String = CASES
        .iter()
        .filter(|(_, fails)| fails.is_none())
        .map(|(test, _)| format!("[[routing.tests]]\n{test}\n"))
        .collect();
    std::fs::write(&path, format!("{CONFIG}{good}")).unwrap();
    let check = || loader(&[]).check(&path, make);
    let (first, second) = (check(), check());
    assert!(first.problems.as_slice().is_empty(), "{}", first.problems);
    assert_eq!((first.hosts, first.tests.len()), (3, CASES.iter().filter(|(_, fails)| fails.is_none()).count()));
    let decisions = |checked: &longshore_config::Checked| -> Vec<String> {
        checked.tests.iter().map(|test| test.decision.to_string()).collect()
    };
    assert_eq!(decisions(&first), decisions(&second));
}

#[test]
fn rules_are_named_after_their_place_and_explained_by_their_condition() {
    let config =
        parse("[hosts.a]\nexecutor = 'docker'\n[[routing.rules]]\ncondition = ' hour >= 0 '\nhost = 'a'").unwrap();
    let table = table(&config);
    let rule = table.rules().next().unwrap();
    assert_eq!((rule.name.as_str(), rule.reason.as_str()), ("rule-1", "hour >= 0"));
}
