//! Ctrl-C, SIGTERM and the hang-up of a terminal, sent to the program by its id.

use crate::{bench::Bench, program::Started};
use longshore_testkit::{
    proxy::{Fault, Method},
    suite::Test,
    tests,
};
use rustix::process::Signal;
use serde_json::json;

pub(crate) const TESTS: &[Test] = &tests![
    one_signal_lets_the_job_end_by_itself,
    the_stop_signal_can_be_chosen,
    a_job_that_does_not_listen_is_killed_after_its_grace,
    a_second_signal_kills_at_once,
    a_third_signal_leaves_the_job_and_says_where_it_is,
    a_signal_while_the_image_is_fetched_starts_nothing,
    a_signal_while_the_engine_does_not_answer_ends_the_program,
];

/// A job that has said that it is ready and then goes on for ever.
async fn running<'a>(bench: &'a Bench, options: &[&str], instructions: &[&str]) -> Started<'a> {
    let mut script = instructions.to_vec();
    script.extend(["eprint ready", "forever"]);
    let mut started = bench.run(options, &script).start();
    started.tells("ready\n").await;
    started
}

async fn one_signal_lets_the_job_end_by_itself() {
    let bench = Bench::new().await;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let started = running(&bench, &["--json", "--grace", "1h"], &["catch TERM 7"]).await;
        started.signal(signal);
        let done = started.finish().await;
        let report = done.json();
        assert_eq!(done.code, Some(code), "{}", done.stderr);
        assert_eq!((&report["status"], &report["exit_code"]), (&json!("cancelled"), &json!(7)), "it caught the signal");
        let expected = "ready\nlongshore: stopping the job; Ctrl-C again kills it\nlongshore: the job was stopped\n";
        assert_eq!(done.stderr, expected);
    }
}

async fn the_stop_signal_can_be_chosen() {
    let bench = Bench::new().await;
    let options = ["--json", "--grace", "1h", "--stop-signal", "USR1"];
    let started = running(&bench, &options, &["ignore TERM", "catch USR1 9"]).await;
    started.signal(Signal::TERM);
    let done = started.finish().await;
    assert_eq!((done.code, &done.json()["exit_code"]), (Some(143), &json!(9)), "{}", done.stderr);
}

async fn a_job_that_does_not_listen_is_killed_after_its_grace() {
    let bench = Bench::new().await;
    let started = running(&bench, &["--json", "--grace", "1s"], &["ignore TERM"]).await;
    started.signal(Signal::INT);
    let done = started.finish().await;
    assert_eq!((done.code, &done.json()["exit_code"]), (Some(130), &json!(137)), "{}", done.stderr);
}

async fn a_second_signal_kills_at_once() {
    let bench = Bench::new().await;
    let mut started = running(&bench, &["--json", "--grace", "1h"], &["ignore TERM"]).await;
    started.signal(Signal::INT);
    started.tells("longshore: stopping the job; Ctrl-C again kills it\n").await;
    started.signal(Signal::INT);
    started.tells("longshore: killing the job; Ctrl-C again leaves it as it is\n").await;
    let done = started.finish().await;
    let report = done.json();
    assert_eq!((&report["status"], &report["exit_code"]), (&json!("cancelled"), &json!(137)), "{}", done.stderr);
    assert_eq!(done.code, Some(130));
}

async fn a_third_signal_leaves_the_job_and_says_where_it_is() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let mut started = running(&bench, &["--json", "--host", &proxy.uri()], &[]).await;
    proxy.refuse_all().await;
    started.signal(Signal::INT);
    started.tells("stopping the job").await;
    started.signal(Signal::INT);
    started.tells("killing the job").await;
    started.signal(Signal::INT);
    let done = started.end().await;
    let report = done.json();
    assert_eq!((done.code, &report["status"]), (Some(130), &json!("lost")), "{}", done.stderr);
    let container = bench.container().await;
    assert_eq!(container.state.unwrap().running, Some(true));
    assert_eq!(report["external_execution_id"], container.id.unwrap());
    let name = container.name.unwrap();
    let name = name.trim_start_matches('/');
    let docker = format!("docker --host {}", proxy.uri());
    let expected = format!(
        "longshore: the job is left as it is; `{docker} logs {name}` shows its output, `{docker} rm -f {name}` removes it"
    );
    assert_eq!(done.stderr.lines().last(), Some(expected.as_str()));
    bench.remove().await;
}

async fn a_signal_while_the_image_is_fetched_starts_nothing() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let pull = proxy.inject(Fault::on(Method::POST, "/images/create").hang_before());
    let options = ["--json", "--host", &proxy.uri()];
    let started = bench.run_image(&options, "longshore.test/never-fetched:1", &["print ran"]).start();
    pull.wait_hit().await;
    started.signal(Signal::INT);
    let done = started.finish().await;
    let report = done.json();
    assert_eq!((done.code, &report["status"]), (Some(130), &json!("cancelled")), "{}", done.stderr);
    assert!(done.stderr.contains("nothing was started"), "{}", done.stderr);
    assert_eq!(proxy.count(Method::POST, "/containers/create"), 0);
}

async fn a_signal_while_the_engine_does_not_answer_ends_the_program() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let silence = proxy.inject(Fault::on_any_method("/**").always().hang_before());
    let started = bench.run(&["--host", &proxy.uri()], &["print ran"]).start();
    silence.wait_hit().await;
    started.signal(Signal::TERM);
    let done = started.finish().await;
    assert_eq!(done.exited(143), "");
    assert!(done.stderr.contains("stopped before the launch; nothing was started"), "{}", done.stderr);
}
