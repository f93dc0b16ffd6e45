//! Ctrl-C and SIGTERM.

use crate::support::{Started, run};
use rustix::process::Signal;

fn running(options: &[&str], instructions: &[&str]) -> Started {
    let mut script = instructions.to_vec();
    script.extend(["print ready", "forever"]);
    let mut started = run(options, &script).start();
    started.wait_for_stdout("ready\n");
    started
}

#[test]
fn one_signal_stops_the_job_and_names_itself() {
    // A hang-up that is ignored by us, as under nohup, is ignored by whatever we start.
    let hang_up = (!ignores_hang_ups()).then_some((Signal::HUP, 129));
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)].into_iter().chain(hang_up) {
        let mut started = running(&["--grace", "1h"], &[]);
        let mut stderr = started.stderr();
        started.signal(signal);
        stderr.wait_for("longshore: stopping the job");
        stderr.wait_for("the job was stopped");
        assert_eq!(started.wait().code(), Some(code));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_a_hang_up_does_nothing() {
    let mut started = run(&[], &["eprint ready", "sleep 500ms", "exit 3"]).under("nohup").start();
    started.wait_for_stderr("ready");
    started.signal(Signal::HUP);
    let done = started.finish();
    assert_eq!((done.code, done.stderr.trim()), (Some(3), ""));
}

fn ignores_hang_ups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1)
}

#[test]
fn a_job_that_does_not_listen_is_killed_after_its_grace() {
    let mut started = running(&["--grace", "200ms"], &["ignore TERM"]);
    let stderr = started.stderr();
    started.signal(Signal::INT);
    assert_eq!(started.wait().code(), Some(130));
    assert!(stderr.rest().contains("the job was stopped"));
}

#[test]
fn a_second_signal_kills_at_once() {
    let mut started = running(&["--grace", "1h"], &["ignore TERM"]);
    let mut stderr = started.stderr();
    started.signal(Signal::INT);
    stderr.wait_for("Ctrl-C again kills it");
    started.signal(Signal::TERM);
    // The first one names the code.
    assert_eq!(started.wait().code(), Some(130));
}

#[test]
fn a_stopped_job_is_reported_as_cancelled() {
    let mut started = run(&["--json", "--grace", "1h"], &["eprint ready", "forever"]).start();
    started.wait_for_stderr("ready");
    started.signal(Signal::INT);
    let done = started.finish();
    assert_eq!((done.code, &done.json()["status"]), (Some(130), &"cancelled".into()));
}

#[test]
fn a_third_signal_leaves_the_job_as_it_is() {
    let away = r#"{"without": ["events"], "outages": [{"from": "500ms", "to": "1h"}]}"#;
    let mut started = run(&["--executor-config", away], &["forever"]).start();
    let mut stderr = started.stderr();
    stderr.wait_for("the host can't be reached");
    started.signal(Signal::INT);
    stderr.wait_for("stopping the job");
    started.signal(Signal::INT);
    stderr.wait_for("killing the job");
    started.signal(Signal::INT);
    let last = stderr.wait_for("the job is left as it is");
    assert!(last.contains("on host mock-") && last.contains(" it is "), "{last}");
    assert_eq!(started.wait().code(), Some(130));
}

#[test]
fn a_signal_before_the_launch_starts_nothing() {
    let mut started = run(&["--json", "--verbose", "--executor-config", "jobs.prepare=1h"], &["print ran"]).start();
    started.wait_for_stderr("prepare{");
    started.signal(Signal::TERM);
    let done = started.finish();
    let report = done.json();
    assert_eq!((done.code, &report["status"]), (Some(143), &"cancelled".into()), "{}", done.stderr);
    assert!(report["error"]["message"].as_str().unwrap().contains("nothing was started"), "{report}");
    assert!(!done.stderr.contains("\nran\n"), "{}", done.stderr);
}
