//! What `run` leaves in the database: its job, as it went; and when it dies, a job that others go on with.

use crate::desk::Desk;
use longshore_testkit::{suite::Test, tests};
use rustix::process::Signal;
use serde_json::{Value, json};

pub(crate) const TESTS: &[Test] = &tests![
    a_run_is_recorded_from_its_launch_to_its_end,
    a_run_that_could_not_be_launched_is_recorded,
    a_killed_runs_job_is_taken_over,
    a_run_beside_a_dispatcher_is_its_own,
    a_run_is_cancelled_from_elsewhere,
    a_kept_container_is_kept,
    a_run_can_do_without_a_record,
    a_database_that_nobody_named_is_no_must,
    a_database_that_was_named_is_one,
    a_recorded_run_is_run_again,
];

/// The only job of the desk.
async fn only_job(desk: &Desk) -> Value {
    let jobs = desk.json(&["jobs", "list"]).await;
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    desk.job(jobs[0]["submission"]["job"]["id"].as_str().unwrap()).await
}

fn id_of(job: &Value) -> &str {
    job["job"]["submission"]["job"]["id"].as_str().unwrap()
}

async fn a_run_is_recorded_from_its_launch_to_its_end() {
    let desk = Desk::new();
    let done = desk.run(&["--json"], &["print {\"a\": 1}", "exit 3"]).finish().await;
    let report = done.json();
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let job = only_job(&desk).await;
    assert_eq!(report["job"], id_of(&job));
    assert_eq!((&job["job"]["status"], &job["job"]["exit_code"]), (&json!("failed"), &json!(3)), "{job}");
    let attempt = &job["attempts"][0];
    assert_eq!((&attempt["state"], &attempt["request"]["token"]), (&json!("closed"), &report["token"]), "{job}");
    assert_eq!(attempt["outcome"]["parsed_output"], json!({"a": 1}), "{job}");
    assert_eq!(attempt["decision"]["outcome"]["chosen"]["reason"], "the default");
    assert_eq!(job["events"][0]["by"], json!({"user": "ann"}));
    assert_eq!(desk.log(id_of(&job)).await, "{\"a\": 1}\n");
    assert_eq!(desk.longshore(&["jobs", "wait", id_of(&job)]).finish().await.code, Some(3));
    assert_eq!(desk.does(&["db", "check"]).await, format!("{} is good\n", desk.word("jobs.db")));
}

async fn a_run_that_could_not_be_launched_is_recorded() {
    let desk = Desk::new();
    let words = ["run", "-q", "--entrypoint", "/nonexistent", &desk.image];
    let done = desk.longshore(&words).finish().await;
    assert_eq!(done.code, Some(127), "{}", done.stderr);
    let job = only_job(&desk).await;
    assert_eq!((&job["job"]["status"], &job["attempts"][0]["state"]), (&json!("failed"), &json!("closed")), "{job}");
    assert!(job["job"]["reason"].as_str().unwrap().contains("/nonexistent"), "{job}");
}

async fn a_killed_runs_job_is_taken_over() {
    let desk = Desk::new();
    let mut run = desk.run(&["--grace", "1h"], &["catch TERM 7", "print ready", "forever"]).start();
    run.shows("ready\n").await;
    run.signal(Signal::KILL);
    run.end().await;
    let id = id_of(&only_job(&desk).await).to_owned();
    let dispatcher = desk.longshore(&["dispatch"]).start();
    // It is held by a dispatcher as soon as that one can stop it.
    desk.does(&["jobs", "cancel", &id]).await;
    assert_eq!(desk.longshore(&["jobs", "wait", &id]).finish().await.code, Some(130));
    let job = desk.job(&id).await;
    assert_eq!((&job["job"]["exit_code"], &job["job"]["attempts"]), (&json!(7), &json!(1)), "{job}");
    assert_eq!(desk.log(&id).await, "ready\n");
    dispatcher.signal(Signal::TERM);
    dispatcher.finish().await.exited(0);
}

async fn a_run_beside_a_dispatcher_is_its_own() {
    let desk = Desk::new();
    let dispatcher = desk.longshore(&["dispatch"]).start();
    let queued = desk.submit(&[], &["print queued"]).await;
    for number in 0..3 {
        let code = format!("exit {number}");
        assert_eq!(desk.run(&[], &["print ran", &code]).finish().await.exited(number), "ran\n");
    }
    desk.longshore(&["jobs", "wait", &queued]).finish().await.exited(0);
    let jobs = desk.json(&["jobs", "list"]).await;
    let attempts: Vec<&Value> = jobs.as_array().unwrap().iter().map(|job| &job["attempts"]).collect();
    assert_eq!(attempts, [&json!(1); 4], "{jobs}");
    dispatcher.signal(Signal::TERM);
    dispatcher.finish().await.exited(0);
}

async fn a_run_is_cancelled_from_elsewhere() {
    let desk = Desk::new();
    let words = ["run", "--grace", "1h", &desk.image, "--", "catch TERM 7", "print ready", "forever"];
    let mut run = desk.longshore(&words).start();
    run.shows("ready\n").await;
    let id = id_of(&only_job(&desk).await).to_owned();
    desk.does(&["jobs", "cancel", "--why", "enough", &id]).await;
    let done = run.finish().await;
    assert_eq!(done.code, Some(130), "{}", done.stderr);
    assert!(done.stderr.contains("longshore: the job is cancelled by ann: enough; stopping it\n"), "{}", done.stderr);
    let job = desk.job(&id).await["job"].clone();
    assert_eq!((&job["status"], &job["exit_code"]), (&json!("cancelled"), &json!(7)), "{job}");
}

async fn a_kept_container_is_kept() {
    let desk = Desk::new();
    desk.run(&["--keep"], &["exit 0"]).finish().await.exited(0);
    let job = only_job(&desk).await;
    assert_eq!((&job["job"]["status"], &job["attempts"][0]["state"]), (&json!("completed"), &json!("closed")), "{job}");
    desk.dispatch_all().await;
    desk.does(&["cleanup", "--orphans", "--older-than", "0"]).await;
    let kept = desk.does(&["cleanup", "--orphans", "--older-than", "0", "--dry-run", "--owner", "local"]).await;
    assert!(kept.contains("1 executions"), "what is kept belongs to nobody who cleans up: {kept}");
    desk.does(&["cleanup", "--orphans", "--older-than", "0", "--owner", "local"]).await;
}

async fn a_run_can_do_without_a_record() {
    let desk = Desk::new();
    desk.run(&["--no-record"], &["exit 3"]).finish().await.exited(3);
    assert!(!desk.path("jobs.db").exists());
}

async fn a_database_that_nobody_named_is_no_must() {
    let desk = Desk::new();
    // The state folder is there, and in the place of the database there is something else.
    std::fs::create_dir_all(desk.path(".local/state/longshore/jobs.db")).unwrap();
    let words = ["run", &desk.image, "--", "print ran", "exit 3"];
    let done = desk.longshore(&words).env("LONGSHORE_DATABASE", "").finish().await;
    assert_eq!(done.exited(3), "ran\n");
    let expected = "longshore: the job is not recorded: ";
    assert!(done.stderr.contains(expected) && done.stderr.contains("--no-record"), "{}", done.stderr);
}

async fn a_database_that_was_named_is_one() {
    let desk = Desk::new();
    std::fs::write(desk.path("jobs.db"), "this is no database, and nobody may write over it").unwrap();
    let done = desk.run(&[], &["print ran"]).finish().await;
    assert_eq!((done.code, done.stdout.as_slice()), (Some(125), b"".as_slice()), "{}", done.stderr);
    assert!(done.stderr.contains("nothing was started") && done.stderr.contains("--no-record"), "{}", done.stderr);
    assert!(std::fs::read_to_string(desk.path("jobs.db")).unwrap().starts_with("this is no database"));
}

async fn a_recorded_run_is_run_again() {
    let desk = Desk::new();
    desk.run(&[], &["exit 5"]).finish().await.exited(5);
    let id = id_of(&only_job(&desk).await).to_owned();
    let new = desk.does(&["jobs", "retry", &id]).await;
    desk.dispatch_all().await;
    let job = desk.job(new.trim()).await["job"].clone();
    assert_eq!((&job["submission"]["retry_of"], &job["exit_code"]), (&json!(id), &json!(5)), "{job}");
}
