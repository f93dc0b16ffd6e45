//! The exit code of the program, and the words that go with it.

use crate::bench::{Bench, IMAGE};
use longshore_testkit::{suite::Test, tests};
use serde_json::json;

pub(crate) const TESTS: &[Test] = &tests![
    the_code_is_the_jobs_own_and_nothing_is_said,
    a_time_limit_is_124,
    an_engine_that_is_not_there_is_125_and_named,
    an_image_that_may_not_be_fetched_is_125,
    what_can_not_be_executed_is_126_and_what_is_not_there_is_127,
    a_want_of_memory_is_137_and_told,
    a_kill_from_outside_is_137_with_its_evidence,
    another_signal_from_outside_is_128_and_its_number,
    a_signal_of_the_jobs_own_making_is_128_and_its_number,
];

async fn the_code_is_the_jobs_own_and_nothing_is_said() {
    let bench = Bench::new().await;
    for code in [0, 3, 124, 255] {
        let done = bench.run(&[], &[&format!("exit {code}")]).finish().await;
        assert_eq!((done.exited(code), done.stderr.as_str()), ("", ""));
    }
}

async fn a_time_limit_is_124() {
    let bench = Bench::new().await;
    let done = bench.run(&["--timeout", "1s", "--grace", "0"], &["print ready", "forever"]).finish().await;
    assert_eq!(done.exited(124), "ready\n");
    let expected = "longshore: the job has reached its time limit and is being stopped\n\
                    longshore: the job was stopped at its time limit\n";
    assert_eq!(done.stderr, expected);
}

async fn an_engine_that_is_not_there_is_125_and_named() {
    let bench = Bench::new().await;
    let address = format!("unix://{}/nobody.sock", bench.home.path().display());
    for (options, variable) in
        [(vec!["--host", &address], "unix:///elsewhere.sock"), (vec!["--executor", "docker"], &address)]
    {
        let done = bench.run(&options, &["print ran"]).env("DOCKER_HOST", variable).finish().await;
        assert_eq!(done.exited(125), "");
        let expected = format!(
            "longshore: connect: no engine can be reached (engine {address}): client error (Connect): No such file or directory (os error 2)\n\
             hint: start the engine that should answer at {address} (`systemctl start docker`, or install Docker or Podman), or point elsewhere with --host URI or DOCKER_HOST\n"
        );
        assert_eq!(done.stderr, expected);
    }
}

async fn an_image_that_may_not_be_fetched_is_125() {
    let bench = Bench::new().await;
    let done = bench.run_image(&["--pull", "never"], "longshore.test/nothing:1", &["print ran"]).finish().await;
    assert_eq!(done.exited(125), "");
    let expected = "longshore: prepare: the host does not have the image longshore.test/nothing:1, and the pull policy says never to fetch it\n\
                    hint: build it or fetch it there first, or leave out --pull never so that it is fetched\n";
    assert_eq!(done.stderr, expected);
}

async fn what_can_not_be_executed_is_126_and_what_is_not_there_is_127() {
    let bench = Bench::new().await;
    let cases = [
        ("/etc/passwd", 126, "permission denied", "hint: check that the file may be executed (chmod +x)"),
        ("/nothing", 127, "no such file or directory", "hint: check COMMAND and --entrypoint"),
        ("nothing", 127, "executable file not found", "hint: check COMMAND and --entrypoint"),
    ];
    for (entrypoint, code, words, hint) in cases {
        let done = bench.run(&["--entrypoint", entrypoint], &[]).finish().await;
        assert_eq!(done.exited(code), "");
        let first = done.first_line();
        assert!(first.starts_with("longshore: launch_job: the container could not be started: "), "{first}");
        assert!(first.contains(&format!("\"{entrypoint}\"")) && first.contains(words), "{first}");
        assert!(done.stderr.lines().nth(1).unwrap().starts_with(hint), "{}", done.stderr);
    }
}

/// An engine under load forgets now and then to say that the memory was the reason; then nobody knows, and that is
/// what is told.
async fn a_want_of_memory_is_137_and_told() {
    let bench = Bench::new().await;
    for _ in 0..8 {
        let done = bench.run(&["--memory", "16m", "--json"], &["allocate 256m", "eprint unreached"]).finish().await;
        let report = done.json();
        assert_eq!((done.code, &report["status"]), (Some(137), &json!("failed")), "{}", done.stderr);
        assert_eq!(report["exit_code"], 137);
        if report["evidence"]["facts"]["State.OOMKilled"] == "true" {
            assert_eq!(report["cause"], "out-of-memory");
            let told = "longshore: the job was killed for want of memory; give it more with --memory\n";
            assert_eq!(done.stderr, told);
            return;
        }
        assert!(done.stderr.contains("nothing tells whether it was killed"), "{}", done.stderr);
    }
    panic!("the engine never says that memory was wanting");
}

async fn a_kill_from_outside_is_137_with_its_evidence() {
    let bench = Bench::new().await;
    let mut started = bench.run(&["--json"], &["eprint ready", "forever"]).start();
    started.tells("ready\n").await;
    bench.kill("KILL").await;
    let done = started.finish().await;
    let report = done.json();
    assert_eq!((done.code, &report["status"]), (Some(137), &json!("failed")), "{}", done.stderr);
    assert_eq!(report["cause"], json!({ "signalled": { "signal": "SIGKILL" } }));
    assert_eq!(report["evidence"]["complete"], true);
    assert_eq!(report["evidence"]["facts"]["kill event"], "SIGKILL");
    assert_eq!(done.stderr, "ready\nlongshore: the job was ended by SIGKILL\n");
}

async fn another_signal_from_outside_is_128_and_its_number() {
    let bench = Bench::new().await;
    for (signal, code) in [("TERM", 143), ("USR1", 138)] {
        let mut started = bench.run(&[], &["print ready", "forever"]).start();
        started.shows("ready\n").await;
        bench.kill(signal).await;
        let done = started.finish().await;
        done.exited(code);
        assert_eq!(done.stderr, format!("longshore: the job was ended by SIG{signal}\n"));
    }
}

/// Below an init, a signal ends the program as it would end any other.
async fn a_signal_of_the_jobs_own_making_is_128_and_its_number() {
    let bench = Bench::new().await;
    for (options, instruction, code) in [
        (&["--executor-option", "docker.init=true"] as &[&str], "raise SEGV", 139),
        (&["--executor-option", "docker.init=true"], "raise ABRT", 134),
        (&[], "raise SEGV", 139),
    ] {
        let done = bench.run(options, &["print before", instruction, "print after"]).finish().await;
        assert_eq!(done.exited(code), "before\n", "{IMAGE} {instruction}");
    }
}
