//! `--dry-run`: what would be granted, and nothing launched.

use crate::support::run;

#[test]
fn a_plan_is_shown_and_nothing_runs() {
    let done = run(&["--dry-run", "-m", "512m", "-e", "A=hunter2"], &["print ran"]).finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let text = done.stdout();
    assert!(text.starts_with("Plan for mock on host mock; nothing is launched.\n"), "{text}");
    let header: Vec<&str> = text.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(header, ["FIELD", "ASKED", "GRANTED", "REASON"]);
    let memory = text.lines().find(|line| line.trim_start().starts_with("resources.memory")).unwrap();
    assert_eq!(memory.split_whitespace().collect::<Vec<_>>()[..3], ["resources.memory", "512MiB", "512MiB"]);
    assert!(!text.contains("\nran\n") && !text.contains("hunter2"), "{text}");
    assert_eq!(done.stderr, "");
}

#[test]
fn a_plan_for_programs_is_json() {
    let done = run(&["--dry-run", "--json", "--cpus", "0.5"], &["print ran"]).finish();
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let plan = done.json();
    assert_eq!((&plan["host"], &plan["template"]["resources"]["cpu"]), (&"mock".into(), &"500m".into()));
}

#[test]
fn a_refused_plan_is_a_failure() {
    for options in [&["--dry-run"] as &[&str], &[]] {
        let options: Vec<&str> = options.iter().chain(&["--executor-config", "no-such-setting=1"]).copied().collect();
        let done = run(&options, &["exit 0"]).finish();
        assert_eq!((done.code, done.stdout()), (Some(125), ""), "{}", done.stderr);
        assert!(done.stderr.starts_with("longshore: "), "{}", done.stderr);
    }
}

#[test]
fn an_option_of_the_executor_reaches_it_and_the_plan() {
    let options = ["--executor-option", r#"mock.script=["print scripted", "exit 3"]"#];
    let done = run(&options, &["print ran"]).finish();
    assert_eq!((done.code, done.stdout()), (Some(3), "scripted\n"), "{}", done.stderr);
    let plan = run(&[&options, &["--dry-run", "--json"] as &[&str]].concat(), &[]).finish().json();
    assert_eq!(plan["template"]["executor_options"]["mock"]["script"][0], "print scripted");
}

#[test]
fn what_only_the_executor_finds_wrong_is_told_with_its_schema() {
    for (options, hint) in [
        (["--executor-option", "mock.prepare=soon"], "hint: `longshore schema mock-options` tells"),
        (["--executor-config", "latency=soon"], "hint: `longshore schema mock-config` tells"),
    ] {
        let done = run(&options, &["print ran"]).finish();
        assert_eq!((done.code, done.stdout()), (Some(125), ""), "{}", done.stderr);
        assert!(done.stderr.contains(hint), "{}", done.stderr);
    }
}
