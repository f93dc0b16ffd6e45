//! Jobs that are handed in: run, listed, shown, read, waited for, cancelled and run again.

use crate::desk::Desk;
use longshore_testkit::{suite::Test, tests};
use serde_json::{Value, json};

pub(crate) const TESTS: &[Test] = &tests![
    a_job_is_handed_in_run_and_told,
    jobs_are_listed_by_what_they_are,
    a_waiting_job_is_cancelled_at_once,
    a_running_job_is_cancelled,
    a_job_is_run_again_by_hand_and_linked,
    a_job_is_run_again_by_its_policy,
    the_same_key_is_the_same_job,
    a_wait_ends_with_the_jobs_own_code,
    a_log_is_followed_across_its_end,
    a_job_is_named_by_the_beginning_of_its_id,
    what_can_not_be_is_told_with_the_way_out,
    a_job_file_has_priority_and_retries,
];

fn ids(jobs: &Value) -> Vec<&str> {
    let jobs = jobs.as_array().map(Vec::as_slice).unwrap_or_default();
    jobs.iter().filter_map(|job| job["submission"]["job"]["id"].as_str()).collect()
}

async fn a_job_is_handed_in_run_and_told() {
    let desk = Desk::new();
    let id = desk.submit(&["--name", "hello"], &["print out", "eprint err", "exit 3"]).await;
    let job = desk.job(&id).await;
    assert_eq!((&job["job"]["status"], &job["attempts"]), (&json!("pending"), &Value::Null), "{job}");
    desk.dispatch_all().await;
    let job = desk.job(&id).await;
    assert_eq!((&job["job"]["status"], &job["job"]["exit_code"]), (&json!("failed"), &json!(3)), "{job}");
    let attempt = &job["attempts"][0];
    assert_eq!((&attempt["state"], &job["attempts"][1]), (&json!("closed"), &Value::Null), "{job}");
    assert_eq!(attempt["decision"]["outcome"]["chosen"]["reason"], "the default");
    let kinds: Vec<&str> = job["events"].as_array().unwrap().iter().filter_map(|it| it["kind"].as_str()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"submitted"), Some(&"closed")), "{kinds:?}");
    let done = desk.longshore(&["jobs", "logs", &id]).finish().await;
    assert_eq!((done.exited(0), done.stderr.as_str()), ("out\n", "err\n"));
    let told = desk.does(&["jobs", "show", &id]).await;
    for expected in
        ["Status      failed", "Exit code   3", "Asked by    ann", "Attempt 1 on here", "reason: the default"]
    {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    let list = desk.does(&["jobs", "list"]).await;
    assert!(list.contains("hello") && list.contains("failed") && list.contains("here"), "{list}");
}

async fn jobs_are_listed_by_what_they_are() {
    let desk = Desk::new();
    let good = desk.submit(&["--name", "good", "-l", "team=blue"], &["exit 0"]).await;
    let bad = desk.submit(&["--name", "bad", "--as", "bob"], &["exit 1"]).await;
    desk.dispatch_all().await;
    let waiting = desk.submit(&["--name", "good"], &["exit 0"]).await;
    let cases: [(&[&str], &[&str]); 10] = [
        (&[], &[&waiting, &bad, &good]),
        (&["--limit", "1"], &[&waiting]),
        (&["--after", &bad], &[&good]),
        (&["--status", "failed,pending"], &[&waiting, &bad]),
        (&["--user", "bob"], &[&bad]),
        (&["--user", "ann"], &[&waiting, &good]),
        (&["--template", "good"], &[&waiting, &good]),
        (&["--label", "team=blue"], &[&good]),
        (&["--host", "here", "--executor", "embedded"], &[&bad, &good]),
        (&["--since", "2000-01-01T00:00:00Z", "--host", "elsewhere"], &[]),
    ];
    for (options, expected) in cases {
        let found = desk.json(&[&["jobs", "list"], options].concat()).await;
        assert_eq!(ids(&found), expected, "{options:?}");
    }
}

async fn a_waiting_job_is_cancelled_at_once() {
    let desk = Desk::new();
    let id = desk.submit(&[], &["exit 0"]).await;
    let told = desk.does(&["jobs", "cancel", "--why", "a mistake", &id]).await;
    assert_eq!(told, format!("{id} is cancelled\n"));
    let job = desk.job(&id).await["job"].clone();
    assert_eq!((&job["cancel"]["by"]["user"], &job["cancel"]["why"]), (&json!("ann"), &json!("a mistake")), "{job}");
    desk.dispatch_all().await;
    assert_eq!(desk.job(&id).await["attempts"], Value::Null);
}

async fn a_running_job_is_cancelled() {
    let desk = Desk::new();
    let id = desk.submit(&["--grace", "1h"], &["catch TERM 7", "print ready", "forever"]).await;
    let dispatcher = desk.longshore(&["dispatch"]).start();
    let mut log = desk.longshore(&["jobs", "logs", "--follow", &id]).start();
    log.shows("ready\n").await;
    assert_eq!(desk.does(&["jobs", "cancel", &id]).await, format!("{id} is being stopped\n"));
    let done = desk.longshore(&["jobs", "wait", &id]).finish().await;
    assert_eq!(done.code, Some(130), "{}", done.stderr);
    log.finish().await.exited(0);
    let job = desk.job(&id).await["job"].clone();
    assert_eq!((&job["status"], &job["exit_code"]), (&json!("cancelled"), &json!(7)), "{job}");
    dispatcher.signal(rustix::process::Signal::TERM);
    dispatcher.finish().await.exited(0);
}

async fn a_job_is_run_again_by_hand_and_linked() {
    let desk = Desk::new();
    let old = desk.submit(&["--executor", "embedded"], &["exit 5"]).await;
    let done = desk.longshore(&["jobs", "retry", &old]).finish().await;
    assert_eq!(done.code, Some(125), "{}", done.stderr);
    assert!(done.stderr.contains("only a job that has ended can be run again"), "{}", done.stderr);
    desk.dispatch_all().await;
    let report = desk.json(&["jobs", "retry", "--idempotency-key", "again", &old]).await;
    assert_eq!((&report["new"], report["job"] == old.as_str()), (&json!(true), false), "{report}");
    let same = desk.json(&["jobs", "retry", "--idempotency-key", "again", &old]).await;
    assert_eq!((&same["new"], &same["job"]), (&json!(false), &report["job"]));
    let new = report["job"].as_str().unwrap();
    desk.dispatch_all().await;
    let job = desk.job(new).await["job"].clone();
    assert_eq!(job["submission"]["retry_of"], old.as_str());
    assert_eq!(job["submission"]["bound"]["executor"], "embedded");
    assert_eq!((&job["status"], &job["exit_code"]), (&json!("failed"), &json!(5)));
}

async fn a_job_is_run_again_by_its_policy() {
    let desk = Desk::new();
    let options = ["--retries", "2", "--retry-exit-code", "9", "--retry-pause", "1ms"];
    let id = desk.submit(&options, &["print ran", "exit 9"]).await;
    let dispatcher = desk.longshore(&["dispatch"]).start();
    let followed = desk.longshore(&["jobs", "logs", "--follow", &id]).finish().await;
    assert_eq!(desk.longshore(&["jobs", "wait", &id]).finish().await.code, Some(9));
    let job = desk.job(&id).await;
    assert_eq!((&job["job"]["runs"], job["attempts"].as_array().unwrap().len()), (&json!(3), 3), "{job}");
    // Whoever begins late begins with the attempt that there is.
    let lines = followed.exited(0).lines().count();
    assert!((1..=3).contains(&lines), "{followed:?}");
    assert_eq!(desk.does(&["jobs", "logs", "--attempt", "2", &id]).await, "ran\n");
    dispatcher.signal(rustix::process::Signal::TERM);
    dispatcher.finish().await.exited(0);
}

async fn the_same_key_is_the_same_job() {
    let desk = Desk::new();
    let options = ["--idempotency-key", "order-17"];
    let id = desk.submit(&options, &["exit 0"]).await;
    assert_eq!(desk.submit(&options, &["exit 0"]).await, id);
    let words = ["submit", "--idempotency-key", "order-17", &desk.image, "--", "exit 1"];
    let done = desk.longshore(&words).finish().await;
    assert_eq!(done.code, Some(125));
    assert!(done.stderr.contains("order-17") && done.stderr.contains("use another key"), "{}", done.stderr);
    assert_eq!(ids(&desk.json(&["jobs", "list"]).await), [id]);
}

async fn a_wait_ends_with_the_jobs_own_code() {
    let desk = Desk::new();
    let good = desk.submit(&[], &["exit 0"]).await;
    let bad = desk.submit(&[], &["exit 4"]).await;
    let done = desk.longshore(&["jobs", "wait", "--timeout", "10ms", &good]).finish().await;
    assert_eq!(done.code, Some(124), "{}", done.stderr);
    let waiting = desk.longshore(&["jobs", "wait", &good, &bad]).start();
    desk.dispatch_all().await;
    let done = waiting.finish().await;
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(told.contains(&format!("{good} is completed\n")) && told.contains(&format!("{bad} is failed")), "{told}");
    desk.longshore(&["jobs", "wait", &good]).finish().await.exited(0);
}

async fn a_log_is_followed_across_its_end() {
    let desk = Desk::new();
    let id = desk.submit(&[], &["lines 20000", "tick 40 20ms", "elines 2000", "put last"]).await;
    let followed = desk.longshore(&["jobs", "logs", "--follow", &id]).start();
    let dispatcher = desk.longshore(&["dispatch"]).start();
    let followed = followed.finish().await;
    desk.longshore(&["jobs", "wait", &id]).finish().await.exited(0);
    let kept = desk.longshore(&["jobs", "logs", &id]).finish().await;
    let followed_out = followed.exited(0);
    assert!(followed_out.ends_with("tick 40\nlast") && followed_out.lines().count() == 20_041);
    assert_eq!(followed_out, kept.exited(0), "not a byte is lost or doubled");
    assert_eq!((followed.stderr.lines().count(), &followed.stderr), (2000, &kept.stderr));
    dispatcher.signal(rustix::process::Signal::TERM);
    dispatcher.finish().await.exited(0);
}

async fn a_job_is_named_by_the_beginning_of_its_id() {
    let desk = Desk::new();
    let (one, two) = (desk.submit(&[], &["exit 0"]).await, desk.submit(&[], &["exit 0"]).await);
    let common = one.chars().zip(two.chars()).take_while(|(a, b)| a == b).count();
    assert_eq!(desk.job(&one[..=common]).await["job"]["submission"]["job"]["id"], one.as_str());
    let done = desk.longshore(&["jobs", "show", &one[..common.max(6)]]).finish().await;
    assert!(done.code == Some(125) && done.stderr.contains("begins the ids of several jobs"), "{done:?}");
}

async fn what_can_not_be_is_told_with_the_way_out() {
    let desk = Desk::new();
    let unknown = "019237a4-5c1e-7f00-8000-000000000001";
    let cases: [(&[&str], &str); 9] = [
        (&["jobs", "show", unknown], "there is no job 019237a4"),
        (&["jobs", "logs", "019237a4"], "`longshore jobs list` lists them"),
        (&["jobs", "cancel", "hello"], "write its id"),
        (&["jobs", "list", "--status", "done", "--since", "soon"], "--since"),
        (&["jobs", "settle", unknown], "--lost"),
        (&["submit", "--priority", "high", "tool"], "--priority"),
        (&["submit", "--retry-on", "monday", "tool"], "--retry-on"),
        (&["submit", "--executor", "far", "tool"], "hosts: here"),
        (&["hosts", "pause", "far"], "there is no host far"),
    ];
    for (words, expected) in cases {
        let done = desk.longshore(words).finish().await;
        assert_eq!((done.code, done.stdout.as_slice()), (Some(125), b"".as_slice()), "{words:?}");
        assert!(done.stderr.contains(expected), "{words:?}: {}", done.stderr);
    }
}

async fn a_job_file_has_priority_and_retries() {
    let desk = Desk::new();
    let file = desk.word("job.toml");
    let text = format!(
        "image = \"{}\"\ncommand = [\"exit 0\"]\npriority = 7\nqueue_timeout = \"1h\"\n[retry]\nmax_attempts = 4\non = [\"preemption\"]\n",
        desk.image
    );
    std::fs::write(&file, text).unwrap();
    let id = desk.does(&["submit", "--file", &file]).await;
    let job = desk.job(id.trim()).await["job"]["submission"]["job"].clone();
    assert_eq!((&job["priority"], &job["retry"]["max_attempts"]), (&json!(7), &json!(4)), "{job}");
    assert_eq!(job["queue_timeout"], "1h");
    let id = desk.does(&["submit", "--file", &file, "--priority=-2", "--retries", "0"]).await;
    let job = desk.job(id.trim()).await["job"]["submission"]["job"].clone();
    assert_eq!((&job["priority"], &job["retry"]["max_attempts"]), (&json!(-2), &json!(1)), "options win: {job}");
}
