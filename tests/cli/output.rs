//! The job's output, byte for byte, and the result for programs.

use crate::bench::Bench;
use longshore_probe::random_bytes;
use longshore_testkit::{suite::Test, tests};
use serde_json::json;

pub(crate) const TESTS: &[Test] = &tests![
    the_streams_stay_apart_to_the_last_byte,
    binary_output_stays_as_it_is,
    a_hundred_thousand_lines_of_each_stream_arrive_in_order,
    output_is_shown_while_the_job_runs,
    a_cap_cuts_the_output_off_visibly,
    json_is_one_object_on_stdout_and_the_output_is_on_stderr,
    quiet_leaves_only_the_jobs_own_words,
    a_reader_that_leaves_ends_the_delivery_and_not_the_job,
];

async fn the_streams_stay_apart_to_the_last_byte() {
    let bench = Bench::new().await;
    let instructions = ["print out", "eprint err", "print ", "put no newline", "eput \u{1b}[31mred\u{1b}[0m"];
    let done = bench.run(&[], &instructions).finish().await;
    assert_eq!(done.exited(0), "out\n\nno newline");
    assert_eq!(done.stderr, "err\n\u{1b}[31mred\u{1b}[0m");
}

async fn binary_output_stays_as_it_is() {
    let bench = Bench::new().await;
    let done = bench.run(&[], &["random 500000 7"]).finish().await;
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(done.stdout == random_bytes(500_000, 7), "{} bytes that differ", done.stdout.len());
}

async fn a_hundred_thousand_lines_of_each_stream_arrive_in_order() {
    let bench = Bench::new().await;
    let done = bench.run(&[], &["lines 100000", "elines 100000"]).finish().await;
    let expected: String = (1..=100_000).map(|number| format!("{number:08}\n")).collect();
    assert!(done.exited(0) == expected, "stdout: {} bytes that differ", done.stdout.len());
    assert!(done.stderr == expected, "stderr: {} bytes that differ", done.stderr.len());
}

async fn output_is_shown_while_the_job_runs() {
    let bench = Bench::new().await;
    let mut started = bench.run(&[], &["put half a ", "print line", "eprint ready", "forever"]).start();
    started.shows("half a line\n").await;
    started.tells("ready\n").await;
    assert_eq!(bench.container().await.state.unwrap().running, Some(true));
    bench.kill("KILL").await;
    started.finish().await.exited(137);
}

async fn a_cap_cuts_the_output_off_visibly() {
    let bench = Bench::new().await;
    let done = bench.run(&["--log-cap", "1k"], &["lines 1000", "exit 3"]).finish().await;
    let expected: String = (1..=1000).map(|number| format!("{number:08}\n")).collect();
    assert_eq!(done.exited(3), &expected[..1024]);
    // The cap falls into a line of stdout, and our words begin a line of their own on stderr.
    assert_eq!(done.stderr, "longshore: the output is cut off at its cap of 1KiB; raise it with --log-cap\n");
    let done = bench.run(&["--log-cap", "1k", "--json"], &["lines 1000"]).finish().await;
    let logs = &done.json()["logs"];
    assert_eq!(logs["completeness"], json!({ "truncated": { "cap": 1024 } }));
    assert_eq!((&logs["stdout_bytes"], &logs["delivered"]), (&json!(1024), &json!(true)));
}

async fn json_is_one_object_on_stdout_and_the_output_is_on_stderr() {
    let bench = Bench::new().await;
    let run = bench.run(&["--json", "--name", "nightly", "-m", "64m"], &["print out", "eprint err", "exit 3"]);
    let done = run.finish().await;
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    // Nobody knows which of two streams was written to first.
    assert!(["out\nerr\n", "err\nout\n"].contains(&done.stderr.as_str()), "{}", done.stderr);
    let report = done.json();
    let expected = json!({
        "status": "failed",
        "cause": { "exited": { "code": 3 } },
        "exit_code": 3,
        "longshore_exit_code": 3,
        "name": "nightly",
        "host": "docker",
        "executor": "docker",
        "logs": { "completeness": "complete", "stdout_bytes": 4, "stderr_bytes": 4, "delivered": true },
        "cleanup": { "state": "removed" },
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&report[field], value, "{field}");
    }
    let token = report["token"].as_str().unwrap();
    assert_eq!(token, format!("ls-{}-1", report["job"].as_str().unwrap().replace('-', "")));
    assert_eq!(report["external_execution_id"].as_str().unwrap().len(), 64);
    let times = ["requested_at", "started_at", "finished_at", "run_time"];
    assert!(times.iter().all(|time| report["timings"][time].is_string()), "{report}");
    assert!(report["usage"]["wall_time"].is_string() && report.get("error").is_none(), "{report}");
}

async fn quiet_leaves_only_the_jobs_own_words() {
    let bench = Bench::new().await;
    let options = ["--quiet", "--timeout", "1s", "--grace", "0"];
    let done = bench.run(&options, &["eprint ready", "forever"]).finish().await;
    done.exited(124);
    assert_eq!(done.stderr, "ready\n");
}

async fn a_reader_that_leaves_ends_the_delivery_and_not_the_job() {
    let bench = Bench::new().await;
    let mut started = bench.run(&[], &["catch USR1 3", "tick 100000 20ms"]).start();
    started.shows("tick 1\n").await;
    started.close_stdout();
    started.tells("longshore: the output can't be passed on any more; the job goes on, and Ctrl-C stops it\n").await;
    bench.kill("USR1").await;
    let done = started.end().await;
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let why = "longshore: the container is kept: its log could not be delivered";
    assert!(done.stderr.contains(why), "{}", done.stderr);
    let kept = bench.container().await;
    assert_eq!(kept.state.unwrap().exit_code, Some(3), "the job went on to its own end");
    assert!(done.stderr.contains(&format!("`docker rm -f {}`", kept.name.unwrap().trim_start_matches('/'))));
    bench.remove().await;
}
