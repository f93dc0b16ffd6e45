//! What an engine has missed: it was down at a start or an end, and what it says of that afterwards is not so. The answers are
//! those of Engine 20.10, which was killed and came back; when they come by themselves is a matter of milliseconds.

use hyper::{Method, StatusCode};
use longshore_core::{
    ByteSize, Cause, ContainerExecutor, ExecutionHandle, ExecutionStatus, JobStatus, LogCompleteness, SystemClock,
    layers::{TimeoutLayer, Timeouts},
    wait,
};
use longshore_testkit::{
    proxy::{Answer, Fault, FaultHandle},
    suite::Test,
    tests,
};
use serde_json::json;
use std::sync::Arc;
use tempfile::TempDir;

use crate::{
    faults::Bench,
    launching::{OWNER, launch, request, template},
    support,
};

pub(crate) const TESTS: &[Test] = &tests![
    an_engine_that_calls_a_container_running_for_ever_is_made_to_look,
    an_engine_that_holds_a_process_is_believed,
    an_exit_code_that_may_be_made_up_is_no_success,
    a_log_that_reached_its_cap_proves_no_end,
    a_followed_log_that_the_engine_leaves_open_is_read_to_its_end,
    a_followed_log_that_falls_silent_proves_no_end,
    many_that_ended_before_are_told_within_a_questions_limit,
];

fn answer(body: &serde_json::Value) -> Answer {
    Answer::new(StatusCode::OK).body(body.to_string())
}

/// The engine has missed the start.
fn running_since_year_one(handle: &ExecutionHandle) -> Answer {
    let never = "0001-01-01T00:00:00Z";
    let state = json!({ "Status": "running", "Running": true, "Pid": 18572, "StartedAt": never, "FinishedAt": never });
    answer(&json!({ "Id": handle.external_execution_id, "State": state }))
}

async fn ended(executor: &dyn ContainerExecutor, handle: &ExecutionHandle) -> ExecutionStatus {
    wait(executor, handle, &OWNER.parse().unwrap(), &SystemClock).await.unwrap()
}

async fn an_engine_that_calls_a_container_running_for_ever_is_made_to_look() {
    let bench = Bench::new().await;
    let handle = bench.launch(&["exit 7"]).await;
    ended(bench.direct.as_ref(), &handle).await;
    let told = Fault::on(Method::GET, "/containers/*/json").always().answer_before(running_since_year_one(&handle));
    let told = bench.proxy.inject(told);
    bench.proxy.inject(
        Fault::on(Method::GET, "/containers/*/top").always().answer_before(answer(&json!({ "Processes": null }))),
    );
    let listed = json!([{ "Id": handle.external_execution_id, "State": "running", "Status": "Up 292 years" }]);
    bench.proxy.inject(Fault::on(Method::GET, "/containers/json").answer_before(answer(&listed)));
    for status in bench.executor.check_statuses(&vec![handle.clone(); 8]).await {
        assert!(status.unwrap().is_live());
    }
    let signals = || bench.proxy.count(Method::POST, "/containers/*/kill?signal=SIGCONT");
    assert_eq!(signals(), 1);
    let status = bench.executor.check_status(&handle).await.unwrap();
    assert_eq!(status, ExecutionStatus::Running { started_at: None });
    assert_eq!(signals(), 1, "not again at once");
    told.release();
    let end = bench.executor.check_status(&handle).await.unwrap();
    assert_eq!(end.termination().unwrap().cause, Cause::Exited { code: 7 });
    bench.direct.cleanup(&handle).await.unwrap();
}

async fn an_engine_that_holds_a_process_is_believed() {
    let bench = Bench::new().await;
    let handle = bench.launch(&["exit 7"]).await;
    ended(bench.direct.as_ref(), &handle).await;
    let told = Fault::on(Method::GET, "/containers/*/json").always().answer_before(running_since_year_one(&handle));
    bench.proxy.inject(told);
    let one = answer(&json!({ "Processes": [["root", "18572", "probe"]] }));
    bench.proxy.inject(Fault::on(Method::GET, "/containers/*/top").times(1).answer_before(one));
    let refused = Answer::message(StatusCode::INTERNAL_SERVER_ERROR, "ps: not found");
    bench.proxy.inject(Fault::on(Method::GET, "/containers/*/top").skip(1).answer_before(refused));
    for _ in 0..2 {
        let status = bench.executor.check_status(&handle).await.unwrap();
        assert_eq!(status, ExecutionStatus::Running { started_at: None });
    }
    assert_eq!(bench.proxy.count(Method::GET, "/containers/*/top"), 2);
    assert_eq!(bench.proxy.count(Method::POST, "/containers/*/kill"), 0);
    bench.direct.cleanup(&handle).await.unwrap();
}

/// The engine tells of nothing that was before, nor of when it began.
fn begun_again(bench: &Bench) -> [FaultHandle; 2] {
    let nothing = Fault::on(Method::GET, "/events").always().answer_before(Answer::new(StatusCode::OK));
    let none = Answer::message(StatusCode::NOT_FOUND, "network bridge not found");
    let none = Fault::on(Method::GET, "/networks/bridge").always().answer_before(none);
    [nothing, none].map(|fault| bench.proxy.inject(fault))
}

/// Another program has launched it, the engine has been started again since, and tells of no end.
async fn an_exit_code_that_may_be_made_up_is_no_success() {
    let bench = Bench::new().await;
    bench.direct.discover().await.unwrap();
    let handle = launch(bench.direct.as_ref(), &["print here", "exit 0"]).await;
    ended(bench.direct.as_ref(), &handle).await;
    let state = TempDir::new().unwrap();
    let another = support::executor(&bench.proxy.uri(), json!({}), state.path()).unwrap();
    let begun_again = begun_again(&bench);
    let status = another.check_status(&handle).await.unwrap();
    let end = status.termination().unwrap();
    assert_eq!((&end.cause, end.exit_code, end.evidence.complete), (&Cause::LostByProvider, None, false), "{end:?}");
    assert_eq!(end.job_status(), JobStatus::Lost);
    assert_eq!(another.harvest_job(&handle).await.unwrap().termination.cause, Cause::LostByProvider);
    begun_again.iter().for_each(FaultHandle::release);
    let status = another.check_status(&handle).await.unwrap();
    assert_eq!(status.termination().unwrap().cause, Cause::Exited { code: 0 });
    another.cleanup(&handle).await.unwrap();
}

/// It is not followed any more from then on.
async fn a_log_that_reached_its_cap_proves_no_end() {
    let bench = Bench::new().await;
    let mut template = template(&["lines 100 60", "exit 0"]);
    template.log_cap = ByteSize::from_bytes(1_000);
    let request = request(bench.executor.as_ref(), template);
    let handle = bench.executor.launch_job(&request).await.unwrap();
    ended(bench.direct.as_ref(), &handle).await;
    let begun_again = begun_again(&bench);
    let harvest = bench.executor.harvest_job(&handle).await.unwrap();
    assert!(matches!(harvest.logs.completeness, LogCompleteness::Truncated { .. }), "{:?}", harvest.logs);
    assert_eq!(harvest.termination.cause, Cause::LostByProvider);
    begun_again.iter().for_each(FaultHandle::release);
    assert_eq!(bench.executor.harvest_job(&handle).await.unwrap().termination.cause, Cause::Exited { code: 0 });
    bench.executor.cleanup(&handle).await.unwrap();
}

/// So it does when the following begins at the very moment of the end; of a log without output, not even the answer begins.
async fn a_followed_log_that_the_engine_leaves_open_is_read_to_its_end() {
    let bench = Bench::new().await;
    let open = Fault::on(Method::GET, "/containers/*/logs?follow=true").always();
    for (fault, script, bytes) in
        [(open.clone().stall_body_after(0), "print here", 5), (open.hang_after(), "append /dev/null nothing", 0)]
    {
        let open = bench.proxy.inject(fault);
        let handle = bench.launch(&[script, "exit 3"]).await;
        ended(bench.executor.as_ref(), &handle).await;
        let logs = bench.executor.harvest_job(&handle).await.unwrap().logs;
        assert_eq!((logs.completeness, logs.stdout_bytes), (LogCompleteness::Complete, bytes));
        open.release();
        bench.direct.cleanup(&handle).await.unwrap();
    }
}

/// Whoever has been away asks for as many at one time, and the engine for its memory of each.
async fn many_that_ended_before_are_told_within_a_questions_limit() {
    let bench = Bench::new().await;
    bench.direct.discover().await.unwrap();
    let handle = launch(bench.direct.as_ref(), &["exit 0"]).await;
    ended(bench.direct.as_ref(), &handle).await;
    let state = TempDir::new().unwrap();
    let another = support::executor(&bench.proxy.uri(), json!({}), state.path()).unwrap();
    let another = TimeoutLayer::new(another, Arc::new(SystemClock), Timeouts::default());
    for status in another.check_statuses(&vec![handle.clone(); 100]).await {
        assert_eq!(status.unwrap().termination().unwrap().cause, Cause::Exited { code: 0 });
    }
    assert!(bench.proxy.count(Method::GET, "/events") >= 100, "the engine is asked");
    another.cleanup(&handle).await.unwrap();
}

/// As it is after the loss of an engine whose connection nobody has closed.
async fn a_followed_log_that_falls_silent_proves_no_end() {
    let bench = Bench::new().await;
    bench.proxy.inject(Fault::on(Method::GET, "/containers/*/logs?follow=true").always().stall_body_after(0));
    let handle = bench.launch(&["print here", "exit 0"]).await;
    ended(bench.direct.as_ref(), &handle).await;
    let begun_again = begun_again(&bench);
    let end = bench.executor.check_status(&handle).await.unwrap();
    assert_eq!(end.termination().unwrap().cause, Cause::LostByProvider);
    let harvest = bench.executor.harvest_job(&handle).await.unwrap();
    assert_eq!(harvest.termination.cause, Cause::LostByProvider);
    assert!(matches!(harvest.logs.completeness, LogCompleteness::Lossy { .. }), "{:?}", harvest.logs);
    begun_again.iter().for_each(FaultHandle::release);
    bench.direct.cleanup(&handle).await.unwrap();
}
