//! Exit codes, and the job's output byte for byte.

use crate::support::run;
use longshore_probe::random_bytes;

#[test]
fn the_exit_code_is_the_jobs_own() {
    for (instructions, expected) in [
        (&["exit 0"] as &[&str], 0),
        (&["exit 1"], 1),
        (&["exit 3"], 3),
        (&["exit 124"], 124),
        (&["exit 255"], 255),
        (&["raise SEGV"], 139),
        (&["raise KILL"], 137),
    ] {
        let done = run(&[], instructions).finish();
        assert_eq!(done.code, Some(expected), "{instructions:?}: {}", done.stderr);
    }
}

#[test]
fn limits_have_codes_of_their_own() {
    let late = run(&["--timeout", "100ms", "--grace", "0"], &["forever"]).finish();
    assert_eq!(late.code, Some(124), "{}", late.stderr);
    assert!(late.stderr.contains("time limit"), "{}", late.stderr);
    let large = run(&["-m", "16m"], &["allocate 64m", "print unreached"]).finish();
    assert_eq!(large.code, Some(137), "{}", large.stderr);
    assert!(large.stderr.contains("want of memory") && !large.stdout().contains("unreached"), "{}", large.stderr);
}

#[test]
fn a_success_says_nothing_of_its_own() {
    let done = run(&[], &["print out", "eprint err", "put last"]).finish();
    assert_eq!((done.code, done.stdout(), done.stderr.as_str()), (Some(0), "out\nlast", "err\n"));
}

#[test]
fn bytes_arrive_as_they_were_written() {
    let done = run(&[], &["random 300000 7", "eput \u{1b}[31mred\u{1b}[0m"]).finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout == random_bytes(300_000, 7), "{} bytes differ", done.stdout.len());
    assert_eq!(done.stderr, "\u{1b}[31mred\u{1b}[0m");
}

#[test]
fn many_lines_arrive_in_order() {
    let done = run(&[], &["lines 100000"]).finish();
    let lines: Vec<&str> = done.stdout().lines().collect();
    assert_eq!((lines.len(), lines[0], lines[99_999]), (100_000, "00000001", "00100000"));
    assert!(lines.is_sorted());
}

#[test]
fn a_cut_log_says_so() {
    let done = run(&["--log-cap", "1k"], &["bytes 5000"]).finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.stdout.len(), 1024);
    assert!(done.stderr.contains("cut off at its cap of 1KiB"), "{}", done.stderr);
}

#[test]
fn json_is_alone_on_stdout() {
    let done = run(&["--json", "--name", "nightly"], &["print out", "eprint err", "exit 3"]).finish();
    assert_eq!(done.code, Some(3));
    assert_eq!(done.stderr, "out\nerr\n");
    let report = done.json();
    assert_eq!(report["status"], "failed");
    assert_eq!(report["cause"], serde_json::json!({"exited": {"code": 3}}));
    assert_eq!((&report["exit_code"], &report["longshore_exit_code"]), (&3.into(), &3.into()));
    assert_eq!(
        (&report["host"], &report["executor"], &report["name"]),
        (&"mock".into(), &"mock".into(), &"nightly".into())
    );
    assert_eq!(report["logs"]["completeness"], "complete");
    assert_eq!((&report["logs"]["stdout_bytes"], &report["logs"]["stderr_bytes"]), (&4.into(), &4.into()));
    assert_eq!((&report["logs"]["delivered"], &report["cleanup"]["state"]), (&true.into(), &"removed".into()));
    assert!(report["token"].as_str().unwrap().starts_with("ls-"), "{report}");
    assert!(report.get("error").is_none(), "{report}");
    let read: longshore_cli::RunReport = serde_json::from_value(report.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), report);
}

#[test]
fn quiet_leaves_only_errors() {
    let late = run(&["-q", "--timeout", "100ms", "--grace", "0"], &["eprint err", "forever"]).finish();
    assert_eq!((late.code, late.stderr.as_str()), (Some(124), "err\n"));
    let kept = run(&["--keep"], &["exit 0"]).finish();
    assert!(kept.stderr.contains("longshore: the container is kept"), "{}", kept.stderr);
    let quietly = run(&["--keep", "-q"], &["exit 0"]).finish();
    assert_eq!((quietly.code, quietly.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_reader_that_leaves_ends_the_delivery_and_not_the_job() {
    let mut started = run(&[], &["print first", "sleep 300ms", "lines 1000", "eprint done"]).start();
    started.wait_for_stdout("first");
    drop(started.child.stdout.take());
    let mut stderr = started.stderr();
    stderr.wait_for("the job goes on");
    stderr.wait_for("the container is kept: its log could not be delivered");
    assert_eq!(started.wait().code(), Some(125));
}
