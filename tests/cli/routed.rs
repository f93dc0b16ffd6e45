//! A configuration over a real engine: the router chooses, waits for room, and goes elsewhere.

use crate::{bench::Bench, program::Run};
use longshore_testkit::{suite::Test, tests};
use rustix::process::Signal;
use serde_json::json;

pub(crate) const TESTS: &[Test] = &tests![
    a_job_goes_where_its_rule_sends_it,
    a_full_host_is_waited_for,
    a_wait_ends_at_a_signal_or_at_its_limit,
    an_engine_that_is_named_and_does_not_answer_is_told_at_once,
    an_engine_that_does_not_answer_is_passed_over,
    hosts_are_looked_at,
    what_the_configuration_allows_is_allowed,
    a_job_file_is_run,
];

/// The engine under two names, the second with room for one job, and one that nobody answers for.
const CONFIG: &str = r#"
[hosts.home]
executor = "docker"
default = true
[hosts.small]
executor = "docker"
max_concurrent_jobs = 1
weight = 0
[hosts.away]
executor = "docker"
weight = 0
executor_config = { host = "unix:///nonexistent/docker.sock" }
[routing]
fallback = ["home"]
[[routing.rules]]
condition = "'where' in labels && labels.where == 'small'"
host = "small"
reason = "asked for little"
[[routing.rules]]
condition = "'where' in labels && labels.where == 'away'"
host = "away"
"#;

async fn bench() -> (Bench, String) {
    let bench = Bench::new().await;
    let config = bench.file("longshore.toml", CONFIG);
    (bench, config)
}

async fn a_job_goes_where_its_rule_sends_it() {
    let (bench, config) = bench().await;
    let done = bench.run(&["--config", &config], &["print out"]).finish().await;
    assert_eq!(done.exited(0), "out\n");
    assert_eq!(done.stderr, "longshore: runs on home (docker): the default\n");
    let done = bench.run(&["--config", &config, "--label", "where=small"], &["print out"]).finish().await;
    assert_eq!(done.exited(0), "out\n");
    assert_eq!(done.stderr, "longshore: runs on small (docker): asked for little\n");
    let report = bench.run(&["--config", &config, "--json", "--executor", "small"], &["exit 3"]).finish().await.json();
    assert_eq!((&report["host"], &report["exit_code"]), (&json!("small"), &json!(3)));
    assert_eq!(report["route"]["outcome"]["chosen"]["reason"], "named by the caller");
}

async fn a_full_host_is_waited_for() {
    let (bench, config) = bench().await;
    let small = ["--config", &config, "--executor", "small"];
    let mut first = bench.run(&small, &["print first", "sleep 10m"]).start();
    first.shows("first").await;
    let mut second = bench.run(&small, &["print second"]).start();
    second.tells("longshore: not now: waits for small, which is full: 1 of 1 jobs run there").await;
    assert_eq!(bench.containers().await.len(), 1, "nothing is made for a job that waits");
    // A dry run waits for nothing, and another owner's jobs take no room.
    let dry = bench.run(&["--config", &config, "--executor", "small", "--dry-run"], &["exit 0"]).start().end().await;
    assert_eq!(dry.code, Some(125), "{}", dry.stderr);
    first.signal(Signal::TERM);
    assert_eq!(first.end().await.code, Some(143));
    let done = second.finish().await;
    assert_eq!(done.exited(0), "second\n");
    assert!(done.stderr.contains("longshore: runs on small (docker)"), "{}", done.stderr);
}

async fn a_wait_ends_at_a_signal_or_at_its_limit() {
    let (bench, config) = bench().await;
    let small = ["--config", &config, "--executor", "small"];
    let mut first = bench.run(&small, &["print first", "sleep 10m"]).start();
    first.shows("first").await;
    let mut waiting = bench.run(&small, &["print out"]).start();
    waiting.tells("not now: waits for small").await;
    waiting.signal(Signal::INT);
    let done = waiting.end().await;
    assert_eq!((done.code, done.stdout.as_slice()), (Some(130), b"".as_slice()), "{}", done.stderr);
    assert!(done.stderr.contains("nothing was started"), "{}", done.stderr);
    let limited: Vec<&str> = small.iter().copied().chain(["--start-timeout", "300ms"]).collect();
    let done = bench.run(&limited, &["print out"]).start().end().await;
    assert_eq!(done.code, Some(124), "{}", done.stderr);
    assert!(done.stderr.contains("no host took the job within the start timeout of 300ms"), "{}", done.stderr);
    first.signal(Signal::TERM);
    first.finish().await;
}

async fn an_engine_that_is_named_and_does_not_answer_is_told_at_once() {
    let (bench, config) = bench().await;
    let done = bench.run(&["--config", &config, "--executor", "away"], &["print out"]).finish().await;
    assert_eq!(done.code, Some(125), "{}", done.stderr);
    assert!(done.stderr.contains("away: ") && done.stderr.contains("/nonexistent/docker.sock"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: `longshore hosts check`"), "{}", done.stderr);
}

async fn an_engine_that_does_not_answer_is_passed_over() {
    let (bench, config) = bench().await;
    let done = bench.run(&["--config", &config, "--json", "-l", "where=away"], &["exit 0"]).finish().await;
    assert!(done.stderr.contains("longshore: passed over away: "), "{}", done.stderr);
    let report = done.json();
    assert_eq!((&report["host"], &report["status"]), (&json!("home"), &json!("completed")));
    let candidate = &report["route"]["stages"][0]["candidates"][0];
    assert_eq!(
        (&candidate["host"], &candidate["verdict"]["rejected"]["kind"]),
        (&json!("away"), &json!("unreachable"))
    );
}

async fn hosts_are_looked_at() {
    let (bench, config) = bench().await;
    let hosts = |words: &[&str]| {
        let words: Vec<&str> = ["hosts", "check", "--config", &config].iter().chain(words).copied().collect();
        Run::new(&words, bench.home.path())
    };
    let done = hosts(&["home"]).finish().await;
    assert!(done.exited(0).starts_with("home (docker): well, after "), "{done:?}");
    assert!(done.exited(0).contains("  ok  engine: "), "{done:?}");
    let done = hosts(&[]).finish().await;
    assert_eq!(done.code, Some(1), "{done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("away (docker): can't be used") && text.contains("/nonexistent/docker.sock"), "{text}");
    assert!(text.contains("  hint: start the engine that should answer at unix:///nonexistent/docker.sock"), "{text}");
}

async fn what_the_configuration_allows_is_allowed() {
    let bench = Bench::new().await;
    let data = bench.home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("file"), "from the host").unwrap();
    let config = format!("[hosts.home]\nexecutor = \"docker\"\nallow = {{ bind_mounts = [{data:?}] }}\n");
    let config = bench.file("longshore.toml", &config);
    let mount = format!("{}:/data:ro", data.display());
    let done = bench.run(&["--config", &config, "-v", &mount], &["read /data/file"]).finish().await;
    assert_eq!(done.exited(0), "from the host");
    let config = bench.file("other.toml", "[hosts.home]\nexecutor = \"docker\"\n");
    let refused = bench.run(&["--config", &config, "-v", &mount], &["read /data/file"]).finish().await;
    assert_eq!(refused.code, Some(125), "{}", refused.stderr);
    assert!(refused.stderr.contains("no host can run this job; home: mounts = "), "{}", refused.stderr);
    assert!(refused.stderr.contains("allow.bind_mounts"), "{}", refused.stderr);
}

async fn a_job_file_is_run() {
    let (bench, config) = bench().await;
    let job = format!(
        "image = \"{}\"\ncommand = [\"env A\"]\nenv = {{ A = 1 }}\nlabels = {{ where = \"small\" }}\n",
        crate::bench::IMAGE
    );
    let job = bench.file("job.toml", &job);
    let words = ["run", "--owner", &bench.owner, "--config", &config, "--file", &job, "-e", "A=2"];
    let done = Run::new(&words, bench.home.path()).on(&bench).finish().await;
    assert_eq!(done.exited(0), "2\n");
    assert!(done.stderr.contains("runs on small"), "{}", done.stderr);
}
