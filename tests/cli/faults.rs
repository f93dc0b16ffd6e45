//! What others do to a container, and what goes wrong on the way to the engine: the program ends as it should, and
//! there was one container only.

use crate::bench::Bench;
use longshore_testkit::{
    proxy::{Fault, FaultProxy, Method, StatusCode},
    suite::Test,
    tests,
};
use serde_json::json;

pub(crate) const TESTS: &[Test] = &tests![
    a_container_that_is_gone_is_lost,
    a_container_that_somebody_removes_is_killed_or_lost,
    a_container_that_somebody_pauses_goes_on_when_it_is_unpaused,
    a_paused_job_still_has_its_time_limit,
    a_container_that_somebody_stops_is_no_stop_of_ours,
    a_start_answered_with_500_after_its_effect_runs_once,
    a_start_that_is_refused_once_is_looked_up_and_runs_once,
    a_creation_whose_answer_is_lost_runs_once,
    a_log_that_is_cut_again_and_again_arrives_whole,
    an_engine_that_is_gone_for_a_while_loses_nothing,
    an_engine_that_breaks_off_while_it_is_asked_starts_nothing,
    an_image_that_does_not_come_in_time_is_124,
];

/// Removed while nobody looks, so that its end can't be seen before it is gone.
async fn a_container_that_is_gone_is_lost() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let mut started = bench.run(&["--json", "--host", &proxy.uri()], &["eprint ready", "forever"]).start();
    started.tells("ready\n").await;
    proxy.refuse_all().await;
    bench.remove().await;
    proxy.restore().await.unwrap();
    let done = started.finish().await;
    let report = done.json();
    assert_eq!((done.code, &report["status"]), (Some(125), &json!("lost")), "{}", done.stderr);
    assert!(report.get("cause").is_none() && report.get("exit_code").is_none(), "{report}");
    let told = "longshore: what became of the job can't be told: the provider no longer knows the execution, and nothing tells how it ended";
    assert!(done.stderr.lines().any(|line| line == told), "{}", done.stderr);
}

/// Whoever removes a running container kills it first: either is seen, and told as it was seen.
async fn a_container_that_somebody_removes_is_killed_or_lost() {
    let bench = Bench::new().await;
    let mut started = bench.run(&["--json"], &["eprint ready", "forever"]).start();
    started.tells("ready\n").await;
    bench.remove().await;
    let done = started.finish().await;
    let report = done.json();
    let seen = (done.code.unwrap(), report["status"].as_str().unwrap());
    assert!([(125, "lost"), (137, "failed")].contains(&seen), "{seen:?}: {}", done.stderr);
    let told = if seen.0 == 125 { "longshore: what became of the job can't be told: " } else { "longshore: the job " };
    assert!(done.stderr.lines().any(|line| line.starts_with(told)), "{}", done.stderr);
}

async fn a_container_that_somebody_pauses_goes_on_when_it_is_unpaused() {
    let bench = Bench::new().await;
    let mut started = bench.run(&[], &["catch USR1 3", "print ready", "forever"]).start();
    started.shows("ready\n").await;
    let id = bench.container().await.id.unwrap();
    bench.docker.pause_container(&id).await.unwrap();
    assert_eq!(bench.container().await.state.unwrap().paused, Some(true));
    bench.docker.unpause_container(&id).await.unwrap();
    bench.kill("USR1").await;
    let done = started.finish().await;
    assert_eq!((done.exited(3), done.stderr.as_str()), ("ready\n", ""));
}

async fn a_paused_job_still_has_its_time_limit() {
    let bench = Bench::new().await;
    let mut started = bench.run(&["--timeout", "5s", "--grace", "0"], &["print ready", "forever"]).start();
    started.shows("ready\n").await;
    bench.docker.pause_container(&bench.container().await.id.unwrap()).await.unwrap();
    let done = started.finish().await;
    assert_eq!(done.exited(124), "ready\n");
}

async fn a_container_that_somebody_stops_is_no_stop_of_ours() {
    let bench = Bench::new().await;
    let mut started = bench.run(&["--json"], &["ignore TERM", "eprint ready", "forever"]).start();
    started.tells("ready\n").await;
    let stop = bollard::query_parameters::StopContainerOptionsBuilder::new().t(0).build();
    bench.docker.stop_container(&bench.container().await.id.unwrap(), Some(stop)).await.unwrap();
    let done = started.finish().await;
    let report = done.json();
    assert_eq!((done.code, &report["status"]), (Some(137), &json!("failed")), "{}", done.stderr);
    assert_eq!(report["cause"], json!({ "signalled": { "signal": "SIGKILL" } }));
}

/// Runs a job that leaves a mark, through a proxy, and requires that it ran once and left nothing.
async fn ran_once(bench: &Bench, proxy: &FaultProxy) {
    let folder = bench.home.path().join("marks");
    std::fs::create_dir(&folder).unwrap();
    let mount = format!("{}:/marks", folder.display());
    let allowed = format!("bind_mounts=[{folder:?}]");
    let options = ["--host", &proxy.uri(), "--allow", &allowed, "-v", &mount];
    let done = bench.run(&options, &["append /marks/ran once", "print ran", "exit 3"]).finish().await;
    assert_eq!(done.exited(3), "ran\n");
    assert_eq!(std::fs::read_to_string(folder.join("ran")).unwrap(), "once\n");
}

async fn a_start_answered_with_500_after_its_effect_runs_once() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let start = Fault::on(Method::POST, "/containers/*/start");
    let fault = proxy.inject(start.answer_after((StatusCode::INTERNAL_SERVER_ERROR, "boom")));
    ran_once(&bench, &proxy).await;
    assert_eq!((fault.hits(), proxy.count(Method::POST, "/containers/*/start")), (1, 1));
}

async fn a_start_that_is_refused_once_is_looked_up_and_runs_once() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let start = Fault::on(Method::POST, "/containers/*/start");
    let fault = proxy.inject(start.answer_before((StatusCode::INTERNAL_SERVER_ERROR, "boom")));
    ran_once(&bench, &proxy).await;
    assert_eq!((fault.hits(), proxy.count(Method::POST, "/containers/*/start")), (1, 2));
}

async fn a_creation_whose_answer_is_lost_runs_once() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let fault = proxy.inject(Fault::on(Method::POST, "/containers/create").reset_after());
    ran_once(&bench, &proxy).await;
    assert_eq!(fault.hits(), 1);
}

async fn a_log_that_is_cut_again_and_again_arrives_whole() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let cuts: Vec<_> = [5, 4_000, 70_001, 300_007]
        .map(|bytes| proxy.inject(Fault::on(Method::GET, "/containers/*/logs").cut_body_after(bytes)))
        .into();
    let done = bench.run(&["--host", &proxy.uri()], &["random 400000 7", "elines 20000", "put end"]).finish().await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(cuts.iter().all(|cut| cut.hits() == 1), "{cuts:?}");
    let expected = [&longshore_probe::random_bytes(400_000, 7), b"end".as_slice()].concat();
    assert!(done.stdout == expected, "stdout: {} bytes that differ", done.stdout.len());
    let expected: String = (1..=20_000).map(|number| format!("{number:08}\n")).collect();
    assert!(done.stderr == expected, "stderr: {} bytes that differ", done.stderr.len());
}

async fn an_engine_that_is_gone_for_a_while_loses_nothing() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let mut started = bench.run(&["--host", &proxy.uri()], &["catch USR1 3", "tick 100000 20ms"]).start();
    started.shows("tick 1\n").await;
    proxy.refuse_all().await;
    started.tells("longshore: the host can't be reached (").await;
    proxy.restore().await.unwrap();
    started.tells("longshore: the host answers again\n").await;
    bench.kill("USR1").await;
    let done = started.finish().await;
    let ticks: Vec<&str> = done.exited(3).lines().collect();
    let expected: Vec<String> = (1..=ticks.len()).map(|number| format!("tick {number}")).collect();
    assert_eq!(ticks, expected, "nothing is lost or doubled");
}

async fn an_engine_that_breaks_off_while_it_is_asked_starts_nothing() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let _fault = proxy.inject(Fault::on(Method::GET, "/info").always().reset_before());
    let done = bench.run(&["--host", &proxy.uri()], &["print ran"]).finish().await;
    assert_eq!(done.exited(125), "");
    let address = proxy.uri();
    assert!(
        done.first_line().contains(&format!("the connection to the engine was cut (engine {address})")),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains(&format!("\nhint: start the engine that should answer at {address} ")),
        "{}",
        done.stderr
    );
    assert_eq!(proxy.count(Method::POST, "/containers/create"), 0);
}

async fn an_image_that_does_not_come_in_time_is_124() {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    let pull = proxy.inject(Fault::on(Method::POST, "/images/create").hang_before());
    let options = ["--host", &proxy.uri(), "--start-timeout", "1s"];
    let done = bench.run_image(&options, "longshore.test/never-fetched:1", &["print ran"]).finish().await;
    assert_eq!((done.exited(124), pull.hits()), ("", 1));
    assert!(
        done.first_line().starts_with("longshore: prepare: not ready within the start timeout of 1s"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("\nhint: fetch the image beforehand, or give it more time with --start-timeout\n"),
        "{}",
        done.stderr
    );
    assert_eq!(proxy.count(Method::POST, "/containers/create"), 0);
}
