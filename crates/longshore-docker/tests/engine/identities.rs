//! Engines that answer at one address, or under one host's name, and are not the same.

use bollard::Docker;
use hyper::{Method, StatusCode};
use longshore_core::{
    Advice, ContainerExecutor, ErrorKind, ExecutionHandle, ExecutionStatus, LaunchRequest, LaunchSearch, LogQuery,
    Result, StopReason, StopRequest,
};
use longshore_testkit::{
    proxy::{Answer, Fault, FaultHandle, FaultProxy},
    suite::Test,
    tests,
};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

use crate::{
    faults::Bench,
    launching::{OWNER, request, template},
    local, support,
};

pub(crate) const TESTS: &[Test] = &tests![
    an_engine_never_answers_for_another_of_the_same_name,
    what_a_replaced_engine_does_not_have_is_not_gone,
    a_launch_for_an_engine_that_was_replaced_is_not_sent,
    an_engine_that_is_replaced_during_a_launch_starts_nothing,
    a_normal_run_does_not_ask_who_the_engine_is,
    an_engine_that_tells_no_id_is_not_compared,
    older_plans_and_handles_name_no_engine_and_are_answered,
];

const OTHER: &str = "8c0c5ac5-3f6e-4b0c-9d65-3f1f3c1f6f0a";
const NOW: StopRequest = StopRequest::new(StopReason::Cancelled, Duration::ZERO);

/// From now on an engine with this id answers behind the proxy.
async fn replace(proxy: &FaultProxy, id: &str) -> FaultHandle {
    let mut info = docker().await.info().await.unwrap();
    info.id = Some(id.to_owned());
    let answer = Answer::new(StatusCode::OK).body(serde_json::to_vec(&info).unwrap());
    proxy.inject(Fault::on(Method::GET, "/info").always().answer_before(answer))
}

async fn docker() -> Docker {
    support::engine_at(&local::socket()).await.unwrap()
}

/// A container that no engine has.
fn unknown(handle: &ExecutionHandle, number: u32) -> ExecutionHandle {
    let mut unknown = handle.clone();
    unknown.external_execution_id = format!("{number:064x}");
    unknown
}

const METHODS: [&str; 8] = ["launch", "find", "status", "statuses", "stop", "harvest", "cleanup", "logs"];

/// What a method answers that is about one execution, or about some.
async fn asked(
    executor: &dyn ContainerExecutor,
    request: &LaunchRequest,
    handle: &ExecutionHandle,
    method: &str,
) -> Vec<Result<()>> {
    if method == "statuses" {
        // More than are looked at one by one.
        let handles: Vec<_> = (1..=8).map(|number| unknown(handle, number)).collect();
        let answers = executor.check_statuses(&handles).await;
        return answers.into_iter().map(|answer| answer.map(drop)).collect();
    }
    vec![match method {
        "launch" => executor.launch_job(request).await.map(drop),
        "find" => executor.find_launch(request).await.map(drop),
        "status" => executor.check_status(handle).await.map(drop),
        "stop" => executor.stop_job(handle, &NOW).await.map(drop),
        "harvest" => executor.harvest_job(handle).await.map(drop),
        "cleanup" => executor.cleanup(handle).await,
        _ => executor.get_logs(handle, &LogQuery::from_start()).await.map(drop),
    }]
}

fn assert_refused(method: &str, answers: Vec<Result<()>>) {
    for answer in answers {
        let Err(error) = answer else { panic!("{method} was answered") };
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::Temporary), "{method}: {error}");
        let words = error.message();
        assert!(words.contains("a name of its own") && words.contains("settle --lost"), "{method}: {error}");
    }
}

/// Of the engine that the execution is on.
async fn assert_absent(executor: &dyn ContainerExecutor, request: &LaunchRequest, handle: &ExecutionHandle) {
    let statuses = executor.check_statuses(&[handle; 8].map(Clone::clone)).await;
    for status in statuses.into_iter().chain([executor.check_status(handle).await]) {
        assert_eq!(status.unwrap(), ExecutionStatus::NotFound);
    }
    assert_eq!(executor.find_launch(request).await.unwrap(), LaunchSearch::Absent);
    for method in ["stop", "harvest"] {
        let error = asked(executor, request, handle, method).await.pop().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{method}: {error}");
    }
    executor.cleanup(handle).await.unwrap();
}

async fn an_engine_never_answers_for_another_of_the_same_name() {
    let (here, folders) = (Bench::new().await, [TempDir::new().unwrap(), TempDir::new().unwrap()]);
    let there = FaultProxy::to_unix(local::socket()).listen_unix(folders[0].path()).await.unwrap();
    replace(&there, OTHER).await;
    let executor = || support::executor(&there.uri(), json!({}), folders[1].path()).unwrap();
    let handle = here.launch(&["print once"]).await;
    let not_launched = request(here.executor.as_ref(), template(&["print never"]));
    let (discovered, new) = (executor(), executor());
    discovered.discover().await.unwrap();
    for executor in [new, discovered] {
        for method in METHODS {
            assert_refused(method, asked(executor.as_ref(), &not_launched, &handle, method).await);
        }
    }
    assert_eq!(there.count(Method::POST, "/**"), 0);
    assert_eq!(here.executor.find_launch(&not_launched).await.unwrap(), LaunchSearch::Absent);
    here.ended_with(&handle, "once\n").await;
}

/// The executor has last seen the engine that the execution is on.
async fn what_a_replaced_engine_does_not_have_is_not_gone() {
    let bench = Bench::new().await;
    let known = bench.launch(&["print once"]).await;
    let (handle, not_launched) = (unknown(&known, 9), request(bench.executor.as_ref(), template(&["print never"])));
    for method in METHODS.into_iter().filter(|method| *method != "launch") {
        bench.executor.discover().await.unwrap();
        let other = replace(&bench.proxy, OTHER).await;
        assert_refused(method, asked(bench.executor.as_ref(), &not_launched, &handle, method).await);
        other.release();
    }
    assert_absent(bench.executor.as_ref(), &not_launched, &handle).await;
    bench.ended_with(&known, "once\n").await;
}

async fn a_launch_for_an_engine_that_was_replaced_is_not_sent() {
    let bench = Bench::new().await;
    let request = request(bench.executor.as_ref(), template(&["print once"]));
    let other = replace(&bench.proxy, OTHER).await;
    bench.proxy.cut_all().await;
    // On a connection of its own: by then the end of the others has been heard of.
    drop(bench.executor.list_owned(&request.owner).await);
    assert_refused("launch", vec![bench.executor.launch_job(&request).await.map(drop)]);
    assert_refused("find", vec![bench.executor.find_launch(&request).await.map(drop)]);
    assert_eq!(bench.proxy.count(Method::POST, "/**"), 0);
    other.release();
    let handle = bench.executor.launch_job(&request).await.unwrap();
    bench.ended_with(&handle, "once\n").await;
}

async fn an_engine_that_is_replaced_during_a_launch_starts_nothing() {
    let bench = Bench::new().await;
    let request = request(bench.executor.as_ref(), template(&["print never"]));
    let created = bench.proxy.inject(Fault::on(Method::POST, "/containers/create").hang_after());
    let replaced = async {
        created.wait_hit().await;
        let other = replace(&bench.proxy, OTHER).await;
        bench.proxy.inject(Fault::on(Method::GET, "/containers/json").reset_before());
        bench.executor.list_owned(&OWNER.parse().unwrap()).await.unwrap_err();
        created.release();
        other
    };
    let (launched, other) = futures::join!(bench.executor.launch_job(&request), replaced);
    assert_refused("launch", vec![launched.map(drop)]);
    assert_eq!(bench.proxy.count(Method::POST, "/containers/*/start"), 0);
    other.release();
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    assert!(docker().await.inspect_container(&request.token.to_string(), None).await.is_err(), "it is left behind");
}

async fn a_normal_run_does_not_ask_who_the_engine_is() {
    let bench = Bench::new().await;
    let discovered = bench.proxy.count(Method::GET, "/info");
    let handle = bench.launch(&["print once", "exit 3"]).await;
    while bench.executor.check_status(&handle).await.unwrap().termination().is_none() {
        tokio::task::yield_now().await;
    }
    bench.executor.harvest_job(&handle).await.unwrap();
    bench.executor.get_logs(&handle, &LogQuery::from_start()).await.unwrap();
    bench.executor.cleanup(&handle).await.unwrap();
    assert_eq!((discovered, bench.proxy.count(Method::GET, "/info")), (1, 1));
}

async fn an_engine_that_tells_no_id_is_not_compared() {
    let bench = Bench::new().await;
    let none = replace(&bench.proxy, "").await;
    bench.executor.discover().await.unwrap();
    let request = request(bench.executor.as_ref(), template(&["print once"]));
    assert_eq!(request.plan.host_settings.settings.get("engine"), None);
    let handle = bench.executor.launch_job(&request).await.unwrap();
    assert_eq!(handle.executor_metadata.get("engine"), None);
    none.release();
    assert_eq!(bench.executor.check_status(&unknown(&handle, 1)).await.unwrap(), ExecutionStatus::NotFound);
    bench.ended_with(&handle, "once\n").await;
}

async fn older_plans_and_handles_name_no_engine_and_are_answered() {
    let bench = Bench::new().await;
    let mut request = request(bench.executor.as_ref(), template(&["print once"]));
    let new = bench.executor.launch_job(&request).await.unwrap();
    let without = |value: &mut Value| {
        assert!(value.as_object_mut().unwrap().remove("engine").is_some_and(|engine| engine.is_string()));
    };
    without(&mut request.plan.host_settings.settings);
    let mut older = new.clone();
    without(&mut older.executor_metadata);
    replace(&bench.proxy, OTHER).await;
    bench.executor.discover().await.unwrap();
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Found(new.clone()));
    assert_eq!(bench.executor.check_status(&unknown(&older, 1)).await.unwrap(), ExecutionStatus::NotFound);
    assert!(bench.executor.check_status(&older).await.is_ok());
    bench.ended_with(&new, "once\n").await;
}
