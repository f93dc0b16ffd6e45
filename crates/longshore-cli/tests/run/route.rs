//! `longshore route`: where a job would run, why, and why not elsewhere.

use crate::support::{Done, Longshore, configured};

const CONFIG: &str = r#"
[hosts.home]
executor = "mock"
default = true
max_concurrent_jobs = 4
executor_config = { memory = "4g" }
price = { currency = "USD", cost_per_hour = 0.36 }
[hosts.far]
executor = "mock"
region = "us-east-1"
weight = 0
executor_config = { memory = "64g" }
[hosts.gone]
executor = "mock"
weight = 0
executor_config = { outages = [{ from = "0s", to = "1h" }] }
[[routing.rules]]
name = "large"
condition = "template.memory_limit > 2048"
host = "far"
reason = "High memory requirement"
[[routing.rules]]
name = "premium"
condition = "'premium' in user.groups"
host = "far"
reason = "Premium users"
[[routing.rules]]
name = "batch"
condition = "template.name.startsWith('batch-')"
host = "gone"
[templates.report]
image = "tool"
labels = { team = "blue" }
run_timeout = "1h"
[templates.batch-a]
image = "tool"
"#;

fn route(words: &[&str]) -> Done {
    Longshore::new(["route"].iter().chain(words)).within(&configured(CONFIG)).finish()
}

#[test]
fn the_choice_and_its_reason_are_told() {
    let cases: [(&[&str], &str); 10] = [
        (&["tool"], "chosen: home (mock)\nreason: the default\n"),
        (&["-m", "3g", "tool"], "chosen: far (mock)\nreason: High memory requirement\n"),
        (&["--user", "ann", "--group", "premium", "tool"], "chosen: far (mock)\nreason: Premium users\n"),
        (&["--as", "ann", "--group", "staff", "tool"], "chosen: home (mock)\nreason: the default\n"),
        (&["--executor", "far", "tool"], "chosen: far (mock)\nreason: named by the caller\n"),
        (&["--prefer", "far", "tool"], "chosen: far (mock)\nreason: the job prefers it\n"),
        (&["--region", "us-east-1", "-m", "3g", "tool"], "chosen: far (mock)\nreason: High memory requirement\n"),
        (&["--template", "report"], "chosen: home (mock)\nreason: the default\nexpected cost: 0.36 USD for 1h\n"),
        (
            &["--template", "report", "--expect", "30m"],
            "chosen: home (mock)\nreason: the default\nexpected cost: 0.18 USD for 30m\n",
        ),
        (&["--template", "report", "-m", "3g"], "chosen: far (mock)\nreason: High memory requirement\n"),
    ];
    for (words, expected) in cases {
        let done = route(words);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{words:?}");
        assert!(done.stdout().starts_with(expected), "{words:?}\n{}", done.stdout());
    }
}

#[test]
fn every_host_that_was_considered_is_explained() {
    let done = route(&["--explain", "-m", "70g", "--group", "premium", "--name", "batch-a", "tool"]);
    assert_eq!(done.code, Some(2), "{}", done.stdout());
    for line in [
        "not now: every host that could run this job is busy or ill",
        "rule large → host far: High memory requirement",
        "  far  ",
        "rule batch → host gone: template.name.startsWith('batch-')",
        "default → host home: the default",
    ] {
        assert!(done.stdout().contains(line), "{line}\n{}", done.stdout());
    }
    let never = route(&["--executor", "home", "-m", "70g", "tool"]);
    assert_eq!(never.code, Some(1));
    assert!(never.stdout().starts_with("never: no host can run this job"), "{}", never.stdout());
}

#[test]
fn nothing_is_asked_offline() {
    let done = route(&["--offline", "--name", "batch-a", "tool"]);
    assert_eq!((done.code, done.stdout().lines().next()), (Some(0), Some("chosen: gone (mock)")));
}

#[test]
fn a_decision_is_json_for_programs() {
    let decision = route(&["--json", "-m", "3g", "tool"]).json();
    assert_eq!(decision["outcome"]["chosen"]["host"], "far");
    assert_eq!(decision["stages"][0]["kind"]["rule"], "large");
    assert_eq!(decision["stages"][0]["candidates"][0]["verdict"], "chosen");
}

#[test]
fn a_job_can_be_described_in_a_file() {
    let folder = configured(CONFIG);
    std::fs::write(folder.path().join("job.yaml"), "template: report\nresources: {memory: 3g}\n").unwrap();
    let done = Longshore::new(["route", "--file", "job.yaml"]).within(&folder).finish();
    assert!(done.stdout().starts_with("chosen: far"), "{}{}", done.stdout(), done.stderr);
    let less = Longshore::new(["route", "--file", "job.yaml", "-m", "1g"]).within(&folder).finish();
    assert!(less.stdout().starts_with("chosen: home"), "an option wins: {}", less.stdout());
    std::fs::write(folder.path().join("job.yaml"), "template: report\nenv: {DB_PASSWORD: x}\n").unwrap();
    let warned = Longshore::new(["route", "--file", "job.yaml"]).within(&folder).finish();
    assert_eq!(warned.code, Some(0));
    assert!(warned.stderr.contains("job.yaml:2:20: `DB_PASSWORD` is a secret in plain text"), "{}", warned.stderr);
    std::fs::write(folder.path().join("job.yaml"), "template: report\npreferred_executor: hmoe\n").unwrap();
    let wish = Longshore::new(["route", "--file", "job.yaml"]).within(&folder).finish();
    assert_eq!(wish.code, Some(125));
    assert!(wish.stderr.contains("did you mean `home`?"), "{}", wish.stderr);
    std::fs::write(folder.path().join("job.yaml"), "tmplate: report\n").unwrap();
    let wrong = Longshore::new(["route", "--file", "job.yaml"]).within(&folder).finish();
    assert_eq!(wrong.code, Some(125));
    assert!(
        wrong.stderr.contains("did you mean `template`?") && wrong.stderr.contains("job.yaml:1:1"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn what_is_wrong_is_told_with_the_way_out() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["--executor", "hmoe", "tool"],
            "--executor \"hmoe\" is not valid: no configured host answers to it; hosts: far, gone, home",
        ),
        (&["--template", "reprot"], "--template \"reprot\": there is no such template; did you mean `report`?"),
        (&["--memory", "lots", "tool"], "--memory \"lots\" is not valid"),
        (&["--region", "a b", "tool"], "--region \"a b\" is not valid"),
        (&["--expect", "soon", "tool"], "--expect \"soon\" is not valid"),
        (&["--file", "none.toml"], "none.toml has a problem"),
    ];
    for (words, expected) in cases {
        let done = route(words);
        assert_eq!(done.code, Some(125), "{words:?}");
        assert!(done.stderr.contains(expected), "{words:?}\n{}", done.stderr);
    }
    let none = Longshore::new(["route", "tool"]).finish();
    assert_eq!(none.code, Some(125));
    assert!(
        none.stderr.contains("there is no configuration") && none.stderr.contains("config init"),
        "{}",
        none.stderr
    );
}
