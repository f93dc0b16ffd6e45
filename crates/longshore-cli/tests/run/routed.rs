//! `longshore run` with a configuration: the router chooses the host.

use crate::support::{Longshore, configured};

const CONFIG: &str = r#"
[hosts.home]
executor = "mock"
default = true
[hosts.far]
executor = "mock"
region = "us-east-1"
[[routing.rules]]
condition = "labels.where == 'far'"
host = "far"
reason = "its label says so"
[templates.hello]
image = "any/image"
command = ["print hello"]
env = { A = "1" }
"#;

#[test]
fn the_choice_and_its_reason_are_told_unless_quiet() {
    let folder = configured(CONFIG);
    let run = |words: &[&str]| Longshore::new(["run"].iter().chain(words)).within(&folder).finish();
    let done = run(&["any/image", "--", "print hello", "exit 3"]);
    assert_eq!((done.code, done.stdout()), (Some(3), "hello\n"));
    assert_eq!(
        done.stderr,
        "longshore: runs on home (mock): the default\n\
         longshore: rule rule-1 did not apply: the job has no label \"where\"; ask first with `\"where\" in labels && …`\n"
    );
    let done = run(&["-l", "where=far", "any/image", "--", "print hello"]);
    assert_eq!(done.stderr, "longshore: runs on far (mock): its label says so\n");
    let done = run(&["-q", "any/image", "--", "print hello"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_template_is_run_and_options_win_over_it() {
    let folder = configured(CONFIG);
    let run = |words: &[&str]| Longshore::new(["run", "-q"].iter().chain(words)).within(&folder).finish();
    assert_eq!(run(&["--template", "hello"]).stdout(), "hello\n");
    assert_eq!(run(&["--template", "hello", "--", "env A", "env B"]).stdout(), "1\nB is not set\n");
    assert_eq!(run(&["--template", "hello", "-e", "A=2", "-e", "B=3", "--", "env A", "env B"]).stdout(), "2\n3\n");
}

#[test]
fn the_decision_is_in_the_report() {
    let folder = configured(CONFIG);
    let report = Longshore::new(["run", "--json", "--executor", "far", "any/image", "--", "exit 0"])
        .within(&folder)
        .finish()
        .json();
    assert_eq!((&report["host"], &report["status"]), (&"far".into(), &"completed".into()));
    assert_eq!(report["route"]["outcome"]["chosen"]["reason"], "named by the caller");
    let plan = Longshore::new(["run", "--dry-run", "--json", "any/image"]).within(&folder).finish().json();
    assert_eq!(plan["host"], "home");
}

#[test]
fn a_job_that_no_host_takes_is_refused_with_each_host_and_why() {
    let folder = configured(CONFIG);
    let done = Longshore::new(["run", "-m", "1t", "any/image"]).within(&folder).finish();
    assert_eq!(done.code, Some(125));
    assert!(done.stderr.contains("no host can run this job; home: "), "{}", done.stderr);
    assert!(done.stderr.contains("hint: `longshore route --explain`"), "{}", done.stderr);
    let report = Longshore::new(["run", "--json", "-m", "1t", "any/image"]).within(&folder).finish().json();
    assert_eq!((&report["status"], &report["error"]["kind"]), (&"failed".into(), &"unsupported".into()));
    assert!(report["route"]["outcome"]["never"].is_object(), "{report}");
}

#[test]
fn a_host_that_does_not_answer_is_told_at_once_with_what_to_do() {
    let folder = configured(
        "[hosts.home]\nexecutor = \"mock\"\nexecutor_config = { outages = [{ from = \"0s\", to = \"1h\" }] }\n",
    );
    for options in [&["--start-timeout", "1h"] as &[&str], &["--dry-run"], &["--quiet"]] {
        let words = ["run"].iter().chain(options).chain(&["any/image", "--", "print ran"]);
        let done = Longshore::new(words).within(&folder).finish();
        assert_eq!((done.code, done.stdout()), (Some(125), ""), "{}", done.stderr);
        assert!(done.stderr.contains("home: discover: the mock provider can't be reached"), "{}", done.stderr);
        assert!(done.stderr.contains("hint: `longshore hosts check`"), "{}", done.stderr);
    }
}

#[test]
fn a_host_that_is_silent_holds_nobody_up_for_longer_than_the_limit() {
    let folder = configured(
        "[hosts.home]\nexecutor = \"mock\"\nmax_concurrent_jobs = 3\nexecutor_config = { latency = \"1h\" }\n",
    );
    let words = ["run", "--start-timeout", "200ms", "any/image", "--", "print ran"];
    let done = Longshore::new(words).within(&folder).finish();
    assert_eq!((done.code, done.stdout()), (Some(124), ""), "{}", done.stderr);
    assert!(done.stderr.contains("no host took the job within the start timeout of 200ms"), "{}", done.stderr);
    let typed = ["run", "--executor", "mock", "--executor-config", "latency=1h", "--start-timeout", "200ms", "i"];
    assert_eq!(Longshore::new(typed).finish().code, Some(124));
}

#[test]
fn a_wish_that_names_nothing_is_told() {
    let folder = configured(CONFIG);
    let done = Longshore::new(["run", "--prefer", "nope", "any/image", "--", "exit 0"]).within(&folder).finish();
    assert_eq!(done.code, Some(0));
    assert!(done.stderr.contains("the job prefers it; host nope is not configured"), "{}", done.stderr);
}

#[test]
fn what_is_most_likely_not_meant_is_told() {
    let folder = configured("[hosts.home]\nexecutor = \"mock\"\n");
    let run = |quiet: &[&str]| {
        Longshore::new(["run"].iter().chain(quiet).chain(&["any/image", "--", "exit 0"]))
            .env("LONGSHORE_HOST__HOME__ENABLED", "false")
            .within(&folder)
            .finish()
    };
    assert!(
        run(&[]).stderr.contains("LONGSHORE_HOST__HOME__ENABLED: the variable is not a setting"),
        "{}",
        run(&[]).stderr
    );
    assert_eq!(run(&["--quiet"]).stderr, "");
    let route = Longshore::new(["route", "tool"]).env("LONGSHORE_HOST__X", "1").within(&folder).finish();
    assert!(route.code == Some(0) && route.stderr.contains("LONGSHORE_HOST__X"), "{}", route.stderr);
}

#[test]
fn options_that_describe_a_host_leave_the_configuration_aside() {
    let folder = configured(CONFIG);
    let words = ["run", "--executor", "mock", "--executor-config", "memory=1g", "any/image", "--", "print hello"];
    let done = Longshore::new(words).within(&folder).finish();
    assert_eq!((done.code, done.stdout(), done.stderr.as_str()), (Some(0), "hello\n", ""));
    let bad = configured("[hosts");
    let done = Longshore::new(words).within(&bad).finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let aside = ["run", "--executor", "mock", "--no-config", "any/image", "--", "print hello"];
    assert_eq!(Longshore::new(aside).within(&bad).finish().stdout(), "hello\n");
    let named = [
        "run",
        "--config",
        "longshore.toml",
        "--executor",
        "mock",
        "--executor-config",
        "memory=1g",
        "i",
        "--",
        "exit 0",
    ];
    assert_eq!(Longshore::new(named).within(&bad).finish().code, Some(125), "what is named is read");
    let done = Longshore::new(named).within(&folder).finish();
    assert!(done.code == Some(0) && done.stderr.contains("are left aside"), "{}", done.stderr);
    let template = ["run", "--executor", "mock", "--executor-config", "memory=1g", "--template", "hello"];
    assert_eq!(Longshore::new(template).within(&folder).finish().stdout(), "hello\n", "templates are not left aside");
}

#[test]
fn a_bad_configuration_is_told_with_its_lines_and_nothing_runs() {
    let folder = configured("[hosts.home]\nexecutor = \"mokc\"\nwieght = 1\n");
    let done = Longshore::new(["run", "any/image", "--", "print ran"]).within(&folder).finish();
    assert_eq!((done.code, done.stdout()), (Some(125), ""));
    for text in [
        "longshore.toml:2:12",
        "did you mean `mock`?",
        "3 | wieght = 1",
        "longshore: longshore.toml has 2 problems",
        "hint: `longshore config check`",
    ] {
        assert!(done.stderr.contains(text), "{text}\n{}", done.stderr);
    }
    let report = Longshore::new(["run", "--json", "any/image"]).within(&folder).finish().json();
    assert_eq!(report["error"]["kind"], "invalid");
    assert!(report["error"]["chain"].as_str().unwrap().contains("did you mean `weight`?"), "{report}");
}

#[test]
fn the_configuration_is_the_one_that_is_named() {
    let (here, there) = (configured(CONFIG), configured("[hosts.there]\nexecutor = \"mock\"\n"));
    let path = there.path().join("longshore.toml");
    let words = ["run", "any/image", "--", "exit 0"];
    let by_variable = Longshore::new(words).env("LONGSHORE_CONFIG", &path).within(&here).finish();
    assert!(by_variable.stderr.contains("runs on there"), "{}", by_variable.stderr);
    let by_option =
        Longshore::new(["run", "--config", path.to_str().unwrap(), "any/image", "--", "exit 0"]).within(&here).finish();
    assert!(by_option.stderr.contains("runs on there"), "{}", by_option.stderr);
    let empty = Longshore::new(words).env("LONGSHORE_CONFIG", "").within(&here).finish();
    assert!(empty.stderr.contains("runs on home"), "{}", empty.stderr);
    let missing = Longshore::new(["run", "--config", "none.toml", "any/image"]).within(&here).finish();
    assert!(missing.code == Some(125) && missing.stderr.contains("none.toml"), "{}", missing.stderr);
    let overridden = Longshore::new(words).env("LONGSHORE_ROUTING__DEFAULT", "far").within(&here).finish();
    assert!(overridden.stderr.contains("runs on home") || overridden.code == Some(125), "{}", overridden.stderr);
}

#[test]
fn placement_needs_a_host_that_says_where_it_is() {
    let folder = configured(CONFIG);
    let done = Longshore::new(["run", "--region", "us-east-1", "--prefer", "far", "any/image", "--", "print hello"])
        .within(&folder)
        .finish();
    assert_eq!((done.code, done.stdout()), (Some(0), "hello\n"), "{}", done.stderr);
    let typed = Longshore::new(["run", "--executor", "mock", "--region", "eu", "any/image"]).finish();
    assert_eq!(typed.code, Some(125));
    assert!(typed.stderr.contains("the host states no region"), "{}", typed.stderr);
}
