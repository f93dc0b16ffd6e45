//! Whatever is wrong is refused before anything is launched: by the option's name, with the rule, with code 125.

use crate::support::Longshore;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

fn mock(rest: &[&str]) -> Longshore {
    Longshore::new(["run", "--executor", "mock"].iter().chain(rest))
}

#[test]
fn every_wrong_field_is_named_with_its_rule() {
    let long = "k".repeat(200);
    let cases: &[(&[&str], &str, &str)] = &[
        (&[""], "IMAGE", "an image is needed"),
        (&["UPPER case"], "IMAGE", "lower-case"),
        (&["--name", "a/b", "i"], "--name", "letters, digits"),
        (&["-e", "A\nB=1", "i"], "--env", "line breaks"),
        (&["--env-file", "/nonexistent", "i"], "--env-file /nonexistent", "can't be read"),
        (&["--secret", "x", "i"], "--secret", "NAME=REF"),
        (&["--entrypoint", "", "i"], "--entrypoint", "can't be empty"),
        (&["-w", "rel", "i"], "--workdir", "absolute path"),
        (&["-u", "a:b:c", "i"], "--user", "USER:GROUP"),
        (&["-l", &long, "i"], "--label", "1 to 128"),
        (&["--network", "a/b", "i"], "--network", "network's name"),
        (&["--network-alias", "", "i"], "--network-alias", "1 to 63"),
        (&["-v", "/a", "i"], "--volume", "SOURCE:TARGET"),
        (&["--tmpfs", "rel", "i"], "--tmpfs", "absolute path"),
        (&["--pull", "sometimes", "i"], "--pull", "never"),
        (&["--platform", "x", "i"], "--platform", "linux/amd64"),
        (&["--security", "x", "i"], "--security", "hardened"),
        (&["--stop-signal", "x", "i"], "--stop-signal", "1 to 64"),
        (&["-m", "0", "i"], "--memory", "above zero"),
        (&["-m", "-1", "i"], "--memory", "above zero"),
        (&["--cpus", "0", "i"], "--cpus", "above zero"),
        (&["--gpus", "0", "i"], "--gpus", "above zero"),
        (&["--pids-limit", "-1", "i"], "--pids-limit", "above zero"),
        (&["--log-cap", "0", "i"], "--log-cap", "above zero"),
        (&["--timeout", "0", "i"], "--timeout", "above zero"),
        (&["--start-timeout", "x", "i"], "--start-timeout", "number of seconds"),
        (&["--grace", "-1s", "i"], "--grace", "number of seconds"),
        (&["--owner", "Me", "i"], "--owner", "lower-case"),
        (&["--executor-config", "x", "i"], "--executor-config", "KEY=VALUE"),
        (&["--executor-config", "latensy=1s", "i"], "--executor-config \"latensy\"", "available: cpu, cpu_step"),
        (&["--executor-option", "scrpt=x", "i"], "--executor-option \"scrpt\"", "write mock.KEY=VALUE"),
        (&["--executor-option", "mock.scrpt=x", "i"], "--executor-option \"mock.scrpt\"", "available: cut_logs"),
        (&["--executor-option", "mock.script=x", "i"], "--executor-option \"mock.script\"", "it takes a JSON array"),
        (&["--host", "x", "i"], "--host", "has no address"),
        (&["--executor", "a b", "i"], "--executor", "lower-case"),
        (&["--executor", "nope", "i"], "no executor `nope`", "available: "),
    ];
    for (line, field, rule) in cases {
        let done = mock(line).finish();
        assert_eq!((done.code, done.stdout.as_slice()), (Some(125), b"".as_slice()), "{line:?}");
        assert!(done.stderr.starts_with("longshore: "), "{line:?}: {}", done.stderr);
        assert!(done.stderr.contains(field) && done.stderr.contains(rule), "{line:?}: {}", done.stderr);
        assert!(done.stderr.contains("\nhint: "), "{line:?}: {}", done.stderr);
    }
}

#[test]
fn what_can_not_be_read_is_refused_with_dockers_code() {
    let lines: &[&[&str]] =
        &[&["run"], &["run", "--no-such-option", "i"], &["run", "-m"], &["nope"], &[], &["completions", "basic"]];
    for line in lines {
        let done = Longshore::new(*line).finish();
        assert_eq!((done.code, done.stdout.as_slice()), (Some(125), b"".as_slice()), "{line:?}");
        assert!(done.stderr.contains("--help") || done.stderr.contains("Usage:"), "{line:?}: {}", done.stderr);
    }
}

#[test]
fn a_refusal_is_json_where_json_was_asked_for() {
    let done = mock(&["--json", "-m", "0", "--cpus", "x", "i"]).finish();
    assert_eq!(done.code, Some(125));
    let report = done.json();
    assert_eq!((&report["status"], &report["longshore_exit_code"]), (&"failed".into(), &125.into()));
    assert_eq!((&report["error"]["kind"], &report["error"]["advice"]), (&"invalid".into(), &"permanent".into()));
    let chain = report["error"]["chain"].as_str().unwrap();
    assert!(chain.contains("--memory") && chain.contains("--cpus"), "{chain}");
    assert!(report["error"]["hint"].as_str().unwrap().contains("--help"), "{report}");
}

#[test]
fn arguments_that_are_no_text_are_refused_without_showing_them() {
    let words = ["run", "--executor", "mock", "-e"].map(OsStr::new);
    let done = Longshore::new(words.into_iter().chain([OsStr::from_bytes(b"A=hunter2\xff"), OsStr::new("i")])).finish();
    assert_eq!(done.code, Some(125));
    assert!(done.stderr.contains("UTF-8") && !done.stderr.contains("hunter2"), "{}", done.stderr);
}

#[test]
fn a_wrong_log_filter_is_refused() {
    let done = mock(&["i", "exit 0"]).env("LONGSHORE_LOG", "longshore=loud").finish();
    assert_eq!(done.code, Some(125));
    assert!(done.stderr.contains("LONGSHORE_LOG"), "{}", done.stderr);
}
