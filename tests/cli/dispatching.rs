//! Dispatchers that die, share, hand over and end, over the embedded executor and one SQLite file.

use crate::{desk::Desk, program::Started};
use longshore_testkit::{suite::Test, tests};
use rustix::process::Signal;
use serde_json::{Value, json};

pub(crate) const TESTS: &[Test] = &tests![
    a_killed_dispatchers_jobs_are_taken_over,
    two_dispatchers_run_each_job_once,
    a_stopped_dispatcher_hands_over,
    a_draining_dispatcher_waits_for_what_runs,
    a_dispatcher_that_stops_jobs_stops_them,
    a_second_signal_ends_it_at_once,
    a_job_that_is_settled_as_lost_never_comes_back,
    a_paused_host_takes_nothing_new,
    figures_are_told,
];

/// A job that has said that it is ready and goes on until it is stopped.
async fn running(desk: &Desk, dispatcher: &mut Option<Started<'static>>) -> String {
    let id = desk.submit(&["--grace", "1h"], &["catch TERM 7", "print ready", "forever"]).await;
    *dispatcher = Some(desk.longshore(&["dispatch"]).start());
    is_ready(desk, &id).await;
    id
}

async fn is_ready(desk: &Desk, id: &str) {
    let mut log = desk.longshore(&["jobs", "logs", "--follow", id]).start();
    log.shows("ready\n").await;
    // Whoever follows is no part of what is tested.
    log.signal(Signal::KILL);
    log.end().await;
}

/// Cancels a job, waits for its end, and requires that it ran once.
async fn ends_once(desk: &Desk, id: &str) {
    desk.does(&["jobs", "cancel", id]).await;
    assert_eq!(desk.longshore(&["jobs", "wait", id]).finish().await.code, Some(130));
    let job = desk.job(id).await;
    assert_eq!((&job["job"]["status"], &job["job"]["exit_code"]), (&json!("cancelled"), &json!(7)), "{job}");
    assert_eq!((&job["job"]["runs"], job["attempts"].as_array().unwrap().len()), (&json!(1), 1), "{job}");
    assert_eq!(desk.log(id).await, "ready\n");
}

async fn a_killed_dispatchers_jobs_are_taken_over() {
    let desk = Desk::new();
    let mut first = None;
    let id = running(&desk, &mut first).await;
    let first = first.unwrap();
    first.signal(Signal::KILL);
    first.end().await;
    let second = desk.longshore(&["dispatch"]).start();
    ends_once(&desk, &id).await;
    second.signal(Signal::TERM);
    second.finish().await.exited(0);
    assert_eq!(desk.does(&["db", "check"]).await, format!("{} is good\n", desk.word("jobs.db")));
}

async fn two_dispatchers_run_each_job_once() {
    let desk = Desk::new();
    let mut ids = Vec::new();
    for number in 0..6 {
        let code = format!("exit {number}");
        ids.push(desk.submit(&[], &["print ran", "tick 5 20ms", &code]).await);
    }
    let dispatchers = [(); 2].map(|()| desk.longshore(&["dispatch"]).start());
    let words: Vec<&str> = ["jobs", "wait"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    assert_eq!(desk.longshore(&words).finish().await.code, Some(1), "the first that has not completed");
    for (number, id) in ids.iter().enumerate() {
        let job = desk.job(id).await;
        assert_eq!((&job["job"]["exit_code"], &job["job"]["attempts"]), (&json!(number), &json!(1)), "{job}");
        assert!(desk.log(id).await.starts_with("ran\ntick 1\n"));
    }
    for dispatcher in dispatchers {
        dispatcher.signal(Signal::TERM);
        dispatcher.finish().await.exited(0);
    }
}

async fn a_stopped_dispatcher_hands_over() {
    let desk = Desk::new();
    let mut first = None;
    let id = running(&desk, &mut first).await;
    let first = first.unwrap();
    first.signal(Signal::TERM);
    let done = first.finish().await;
    done.exited(0);
    assert!(done.stderr.contains("hands over"), "{}", done.stderr);
    assert_eq!(desk.job(&id).await["job"]["status"], "running");
    let second = desk.longshore(&["dispatch"]).start();
    ends_once(&desk, &id).await;
    second.signal(Signal::TERM);
    second.finish().await.exited(0);
}

async fn a_draining_dispatcher_waits_for_what_runs() {
    let desk = Desk::new();
    let id = desk.submit(&["--grace", "1h"], &["catch TERM 7", "print ready", "forever"]).await;
    let mut dispatcher = desk.longshore(&["dispatch", "--drain"]).start();
    is_ready(&desk, &id).await;
    dispatcher.signal(Signal::TERM);
    dispatcher.tells("waits for what runs").await;
    let late = desk.submit(&[], &["exit 0"]).await;
    ends_once(&desk, &id).await;
    dispatcher.finish().await.exited(0);
    assert_eq!(desk.job(&late).await["job"]["status"], "pending", "nothing new is launched");
}

async fn a_dispatcher_that_stops_jobs_stops_them() {
    let desk = Desk::new();
    let id = desk.submit(&["--grace", "1h"], &["catch TERM 7", "print ready", "forever"]).await;
    let dispatcher = desk.longshore(&["dispatch", "--stop-jobs"]).start();
    is_ready(&desk, &id).await;
    dispatcher.signal(Signal::INT);
    dispatcher.finish().await.exited(0);
    let job = desk.job(&id).await;
    assert_eq!((&job["job"]["status"], &job["job"]["exit_code"]), (&json!("cancelled"), &json!(7)), "{job}");
}

async fn a_second_signal_ends_it_at_once() {
    let desk = Desk::new();
    let id = desk.submit(&["--grace", "1h"], &["catch TERM 7", "print ready", "forever"]).await;
    let mut dispatcher = desk.longshore(&["dispatch", "--drain"]).start();
    is_ready(&desk, &id).await;
    dispatcher.signal(Signal::TERM);
    dispatcher.tells("a second signal ends it at once").await;
    dispatcher.signal(Signal::TERM);
    let done = dispatcher.finish().await;
    assert_eq!(done.code, Some(143), "{}", done.stderr);
    let second = desk.longshore(&["dispatch"]).start();
    ends_once(&desk, &id).await;
    second.signal(Signal::TERM);
    second.finish().await.exited(0);
}

async fn a_job_that_is_settled_as_lost_never_comes_back() {
    let desk = Desk::new();
    let mut first = None;
    let id = running(&desk, &mut first).await;
    let first = first.unwrap();
    first.signal(Signal::KILL);
    first.end().await;
    let told = desk.does(&["jobs", "settle", "--lost", "--why", "the host burnt down", &id]).await;
    assert_eq!(told, format!("{id} is lost\n"));
    desk.dispatch_all().await;
    let job = desk.job(&id).await;
    assert_eq!(
        (&job["job"]["status"], &job["job"]["reason"]),
        (&json!("lost"), &json!("the host burnt down")),
        "{job}"
    );
    assert_eq!((&job["attempts"][0]["state"], &job["attempts"][1]), (&json!("closed"), &Value::Null), "{job}");
    let words = ["jobs", "wait", &id];
    assert_eq!(desk.longshore(&words).finish().await.code, Some(125));
}

async fn a_paused_host_takes_nothing_new() {
    let desk = Desk::new();
    assert_eq!(desk.does(&["hosts", "pause", "here", "--why", "repairs"]).await, "here is paused; what runs goes on\n");
    let pauses = desk.json(&["hosts", "paused"]).await;
    assert_eq!((&pauses[0]["host"], &pauses[0]["request"]["why"]), (&json!("here"), &json!("repairs")), "{pauses}");
    let id = desk.submit(&[], &["exit 0"]).await;
    desk.dispatch_all().await;
    let job = desk.job(&id).await["job"].clone();
    assert_eq!((&job["status"], &job["waiting_for"]["hosts"]), (&json!("pending"), &json!(["here"])), "{job}");
    let run = desk.longshore(&["run", "--start-timeout", "300ms", &desk.image, "--", "exit 0"]).finish().await;
    assert!(run.code == Some(124) && run.stderr.contains("repairs"), "{run:?}");
    assert_eq!(desk.does(&["hosts", "resume", "here"]).await, "here takes jobs again\n");
    assert_eq!(desk.does(&["hosts", "resume", "here"]).await, "here was not paused\n");
    desk.dispatch_all().await;
    assert_eq!(desk.job(&id).await["job"]["status"], "completed");
}

async fn figures_are_told() {
    let desk = Desk::new();
    // A port that nobody has is found by having it for a moment.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let id = desk.submit(&[], &["exit 0"]).await;
    let dispatcher = desk.longshore(&["dispatch", "--metrics", &address]).start();
    desk.longshore(&["jobs", "wait", &id]).finish().await.exited(0);
    let told = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let told = told.await.unwrap();
    assert!(told.contains("longshore_jobs_finished_total{status=\"completed\"} 1"), "{told}");
    dispatcher.signal(Signal::TERM);
    dispatcher.finish().await.exited(0);
}
