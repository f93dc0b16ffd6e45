//! What goes wrong at the provider, and what the program makes of it.

use crate::support::{Done, run};

fn with(config: &str, instructions: &[&str]) -> Done {
    run(&["--json", "--executor-config", config], instructions).finish()
}

#[test]
fn refused_launches_have_their_codes_and_a_hint() {
    for (kind, code, hint) in [
        ("command-not-found", 127, "sh -c"),
        ("command-not-executable", 126, "chmod +x"),
        ("start-failed", 125, "could not be started"),
        ("capacity", 125, "try later"),
        ("permission-denied", 125, "ask whoever administers"),
        ("conflict", 125, "a name of its own"),
    ] {
        let done = with(&format!("jobs.refuse.kind={kind}"), &["print ran"]);
        let report = done.json();
        assert_eq!((done.code, &report["status"]), (Some(code), &"failed".into()), "{kind}: {}", done.stderr);
        assert_eq!(report["error"]["kind"], kind);
        assert!(done.stderr.starts_with("longshore: ") && done.stderr.contains("\nhint: "), "{}", done.stderr);
        assert!(done.stderr.contains(hint), "{kind}: {}", done.stderr);
    }
}

#[test]
fn others_words_can_not_touch_the_terminal() {
    let config = r#"{"jobs": {"refuse": {"kind": "start-failed", "message": "\u001b[2Jred\nlongshore: forged"}}}"#;
    let done = with(config, &["print ran"]);
    assert!(done.stderr.contains("[2Jred longshore: forged"), "{}", done.stderr);
    assert!(!done.stderr.contains('\u{1b}') && !done.stdout().contains('\u{1b}'), "{:?}", done.stderr);
    assert!(done.json()["error"]["chain"].as_str().unwrap().contains("\u{1b}[2Jred\n"));
}

#[test]
fn a_missing_image_is_told_with_what_to_do() {
    let done = with(r#"{"images": {"missing": ["any/*"]}}"#, &["print ran"]);
    assert_eq!((done.code, &done.json()["error"]["kind"]), (Some(125), &"image-unavailable".into()));
    assert!(done.stderr.contains("check the image's name"), "{}", done.stderr);
}

#[test]
fn a_host_that_does_not_answer_is_told_with_what_to_do() {
    let done = with(r#"{"outages": [{"from": "0s", "to": "1h"}]}"#, &["print ran"]);
    assert_eq!((done.code, &done.json()["error"]["kind"]), (Some(125), &"unavailable".into()));
    assert!(done.stderr.contains("hint: check that the host can be reached"), "{}", done.stderr);
}

#[test]
fn a_preparation_that_takes_too_long_has_timed_out() {
    let done = run(&["--start-timeout", "100ms", "--executor-config", "jobs.prepare=1h"], &["print ran"]).finish();
    assert_eq!((done.code, done.stdout()), (Some(124), ""), "{}", done.stderr);
    assert!(done.stderr.contains("--start-timeout"), "{}", done.stderr);
}

#[test]
fn a_job_that_the_provider_forgets_is_lost() {
    let done = with("jobs.vanish=300ms", &["tick 10000 20ms"]);
    let report = done.json();
    assert_eq!((done.code, &report["status"]), (Some(125), &"lost".into()), "{}", done.stderr);
    assert!(report["lost"].is_string() && report.get("cause").is_none(), "{report}");
    assert!(done.stderr.contains("what became of the job can't be told"), "{}", done.stderr);
}

#[test]
fn a_launch_that_can_not_be_proven_is_lost() {
    let done = with(r#"{"jobs": {"lose": {"loss": "after-effect"}, "unprovable": true}}"#, &["print ran"]);
    let report = done.json();
    assert_eq!((done.code, &report["status"]), (Some(125), &"lost".into()), "{}", done.stderr);
    assert!(report["token"].is_string() && report.get("external_execution_id").is_none(), "{report}");
}

#[test]
fn a_launch_whose_answer_is_lost_runs_once() {
    let done = with(r#"{"jobs": {"lose": {"loss": "after-effect", "times": 1}}}"#, &["print ran", "exit 3"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(3), "ran\n"));
}

#[test]
fn a_machine_that_is_taken_away_is_no_failure_of_the_jobs_own() {
    let done = with(r#"{"jobs": {"interrupt": {"after": "100ms", "cause": "preempted"}}}"#, &["forever"]);
    let report = done.json();
    assert_eq!((done.code, &report["cause"]), (Some(125), &"preempted".into()), "{}", done.stderr);
    assert!(done.stderr.contains("did not end by itself: preempted"), "{}", done.stderr);
}

#[test]
fn contact_that_is_lost_for_a_while_loses_nothing() {
    let config = r#"{"without": ["events"], "outages": [{"from": "300ms", "to": "2500ms"}]}"#;
    let done = with(config, &["print first", "sleep 3s", "print last", "exit 3"]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let own: String = done.stderr.lines().filter(|line| !line.starts_with("longshore: ")).collect();
    assert_eq!(own, "firstlast");
    let lost = done.stderr.find("the host can't be reached").unwrap();
    assert!(done.stderr[lost..].contains("the host answers again"), "{}", done.stderr);
}

#[test]
fn a_log_that_is_cut_again_and_again_arrives_whole() {
    let done = run(&["--executor-config", "jobs.cut_logs=777"], &["random 20000 3"]).finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout == longshore_probe::random_bytes(20_000, 3), "{} bytes differ", done.stdout.len());
}
