//! `--dry-run`: what would be granted, and nothing in the engine.

use crate::bench::{Bench, IMAGE};
use longshore_testkit::{
    proxy::{FaultProxy, Method},
    suite::Test,
    tests,
};
use serde_json::json;

pub(crate) const TESTS: &[Test] = &tests![
    a_plan_says_what_is_asked_and_granted_and_nothing_is_created,
    a_plan_for_programs_is_json,
    the_plan_tells_of_an_option_of_the_executor,
    what_is_granted_otherwise_is_told_at_a_run_too,
];

/// Whether nothing but questions has come to the engine.
fn only_asked(proxy: &FaultProxy) -> bool {
    !proxy.requests().is_empty() && proxy.requests().iter().all(|request| request.method == Method::GET)
}

/// A text in which `docker-` and eight hexadecimal digits are `docker-MARK`.
fn without_mark(text: &str) -> String {
    let Some((before, rest)) = text.split_once("docker-") else { return text.to_owned() };
    let (mark, after) = rest.split_at_checked(8).unwrap_or((rest, ""));
    assert!(mark.len() == 8 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    format!("{before}docker-MARK{after}")
}

async fn a_plan_says_what_is_asked_and_granted_and_nothing_is_created() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let options = [
        &["--dry-run", "--host", &proxy.uri(), "-m", "512m", "--cpus", "0.5", "--grace", "1500ms"] as &[&str],
        &["-e", "A=hunter2", "--secret", "TOKEN=env:HOME,env", "--security", "hardened"],
    ];
    let done = bench.run(&options.concat(), &["print ran"]).finish().await;
    let text = done.exited(0);
    assert_eq!(done.stderr, "");
    let rows: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|row| !row.is_empty())
        .collect();
    let network = "network - private the executor's default: a bridge with a way out, never the host's own network";
    let expected = [
        "Plan for docker on host docker-MARK; nothing is launched.",
        "FIELD ASKED GRANTED REASON",
        &format!("image {IMAGE} {IMAGE}"),
        r#"command ["print ran"] ["print ran"]"#,
        "env A A",
        "secrets TOKEN TOKEN",
        "stop_grace 1.5s 2s the engine counts whole seconds",
        "security hardened hardened",
        "resources.memory 512MiB 512MiB",
        "resources.cpu 500m 500m",
        "log_cap - 64MiB the host's default",
        network,
        "resources.pids - 4096 the host's default",
        "Notice: secrets delivered as variables can be read by whoever administers the engine (docker inspect); files under /run/secrets can't be read that way",
    ];
    // Hosts of other settings have other marks.
    let rows: Vec<String> = rows.into_iter().map(|row| without_mark(&row)).collect();
    assert_eq!(rows, expected);
    assert!(only_asked(&proxy), "{:?}", proxy.requests());
}

async fn a_plan_for_programs_is_json() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let done =
        bench.run(&["--dry-run", "--json", "--host", &proxy.uri(), "--cpus", "0.5"], &["print ran"]).finish().await;
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let plan = done.json();
    let host = without_mark(&format!("{} ", plan["host"].as_str().unwrap()));
    assert_eq!((host.trim(), &plan["template"]["resources"]["cpu"]), ("docker-MARK", &json!("500m")));
    let granted = |field: &str| {
        plan["grants"].as_array().unwrap().iter().find(|grant| grant["field"] == field).unwrap()["granted"].clone()
    };
    assert_eq!(granted("resources.pids"), "4096");
    assert!(only_asked(&proxy), "{:?}", proxy.requests());
}

async fn the_plan_tells_of_an_option_of_the_executor() {
    let bench = Bench::new().await;
    let options =
        ["--dry-run", "--json", "--executor-option", "docker.hostname=12", "--executor-option", "docker.init=true"];
    let plan = bench.run(&options, &[]).finish().await.json();
    assert_eq!(plan["template"]["executor_options"], json!({ "docker": { "hostname": "12", "init": true } }));
}

async fn what_is_granted_otherwise_is_told_at_a_run_too() {
    let bench = Bench::new().await;
    let done = bench.run(&["--grace", "1500ms"], &["print ran"]).finish().await;
    assert_eq!(done.exited(0), "ran\n");
    assert_eq!(
        done.stderr,
        "longshore: stop_grace: 1.5s was asked for and 2s is granted: the engine counts whole seconds\n"
    );
}
