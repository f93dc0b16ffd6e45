//! `longshore hosts`: what is configured, and whether jobs could run there.

use crate::support::{Longshore, configured};

const CONFIG: &str = r#"
[hosts.home]
executor = "mock"
max_concurrent_jobs = 4
region = "attic"
executor_config = { secrets = { token = "env:X" } }
price = { currency = "EUR", cost_per_hour = 1 }
[hosts.gone]
executor = "mock"
executor_config = { outages = [{ from = "0s", to = "1h" }] }
[hosts.off]
executor = "mock"
enabled = false
"#;

#[test]
fn hosts_are_listed_without_their_settings() {
    let folder = configured(CONFIG);
    let done = Longshore::new(["hosts", "list"]).within(&folder).finish();
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let line = |name: &str| -> Vec<&str> {
        done.stdout().lines().find(|line| line.trim_start().starts_with(name)).unwrap().split_whitespace().collect()
    };
    assert_eq!(line("home")[..6], ["home", "mock", "yes", "4", "1", "attic"]);
    assert_eq!(line("off")[..4], ["off", "mock", "no", "-"]);
    let rows = Longshore::new(["hosts", "list", "--json"]).within(&folder).finish();
    assert!(!rows.stdout().contains("env:X"), "{}", rows.stdout());
    assert_eq!(rows.json().as_array().unwrap().len(), 3);
}

#[test]
fn a_check_tells_what_is_ill_and_what_to_do() {
    let folder = configured(CONFIG);
    let done = Longshore::new(["hosts", "check"]).within(&folder).finish();
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let text = done.stdout();
    assert!(text.contains("home (mock): well, after ") && text.contains("  ok  "), "{text}");
    assert!(
        text.contains("gone (mock): can't be used, after ") && text.contains("  BAD ") && text.contains("  hint: "),
        "{text}"
    );
    assert!(!text.contains("off (mock)"), "what is disabled is asked by name only: {text}");
    let one = Longshore::new(["hosts", "check", "home", "off"]).within(&folder).finish();
    assert_eq!(one.code, Some(0), "{}", one.stdout());
    assert!(one.stdout().contains("off (mock): well"), "{}", one.stdout());
    let found = Longshore::new(["hosts", "check", "gone", "--json"]).within(&folder).finish();
    assert_eq!((found.code, &found.json()[0]["good"]), (Some(1), &false.into()));
    assert!(found.json()[0]["error"].as_str().unwrap().contains("unavailable") || found.json()[0]["error"].is_string());
}

#[test]
fn a_host_that_does_not_answer_is_not_waited_for() {
    let folder = configured("[hosts.slow]\nexecutor = \"mock\"\nexecutor_config = { latency = \"1h\" }\n");
    let done = Longshore::new(["hosts", "check", "--limit", "50ms"]).within(&folder).finish();
    assert_eq!(done.code, Some(1));
    assert!(done.stdout().contains("no answer within 50ms"), "{}", done.stdout());
}

#[test]
fn a_host_that_there_is_not_is_an_error() {
    let folder = configured(CONFIG);
    let done = Longshore::new(["hosts", "check", "hmoe"]).within(&folder).finish();
    assert_eq!(done.code, Some(125));
    assert!(done.stderr.contains("there is no host \"hmoe\"; did you mean `home`?"), "{}", done.stderr);
}

#[test]
fn a_check_of_nothing_is_no_success() {
    let folder = configured("[hosts.off]\nexecutor = \"mock\"\nenabled = false\n");
    let done = Longshore::new(["hosts", "check"]).within(&folder).finish();
    assert_eq!((done.code, done.stdout()), (Some(1), "no host is enabled\n"));
}
