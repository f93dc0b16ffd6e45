//! State folders that belong to different runtimes and whose hosts have the same name.

use futures::{FutureExt, TryFutureExt, future::join_all};
use longshore_core::{
    ContainerExecutor, ErrorKind, ExecutionHandle, ExecutionStatus, LaunchRequest, LaunchSearch, LogQuery, Result,
    StopReason, StopRequest,
};
use longshore_testkit::{suite::Test, tests};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tempfile::TempDir;

use crate::bench::Bench;

pub(crate) const TESTS: &[Test] = &tests![
    a_runtime_never_answers_for_another_of_the_same_name,
    a_state_folder_that_was_begun_anew_is_another_runtime,
    a_state_folder_that_is_moved_stays_the_same_runtime,
    older_plans_and_handles_name_no_runtime_and_are_answered,
];

const NOW: StopRequest = StopRequest::new(StopReason::Cancelled, Duration::ZERO);

/// What every method answers that is about one execution.
async fn asked(
    executor: &dyn ContainerExecutor,
    request: &LaunchRequest,
    handle: &ExecutionHandle,
) -> Vec<(&'static str, Result<()>)> {
    let query = LogQuery::from_start();
    let batch = async {
        let mut answers = executor.check_statuses(std::slice::from_ref(handle)).await;
        answers.pop().unwrap().map(drop)
    };
    let answers = join_all([
        executor.launch_job(request).map_ok(drop).boxed(),
        executor.find_launch(request).map_ok(drop).boxed(),
        executor.check_status(handle).map_ok(drop).boxed(),
        batch.boxed(),
        executor.stop_job(handle, &NOW).map_ok(drop).boxed(),
        executor.get_logs(handle, &query).map_ok(drop).boxed(),
        executor.harvest_job(handle).map_ok(drop).boxed(),
        executor.cleanup(handle),
    ]);
    let names = ["launch", "find", "status", "statuses", "stop", "logs", "harvest", "cleanup"];
    names.into_iter().zip(answers.await).collect()
}

fn assert_refused(answers: Vec<(&'static str, Result<()>)>) {
    for (name, answer) in answers {
        let Err(error) = answer else { panic!("{name} was answered") };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}: {error}");
        let words = error.message();
        assert!(words.contains("a name of its own") && words.contains("settle --lost"), "{name}: {error}");
    }
}

async fn a_runtime_never_answers_for_another_of_the_same_name() {
    let (here, there) = (Bench::new().await, Bench::new().await);
    let (request, not_launched) = (here.request(&["print once"]).await, here.request(&["print never"]).await);
    let handle = here.executor.launch_job(&request).await.unwrap();
    for request in [&request, &not_launched] {
        assert_refused(asked(there.executor.as_ref(), request, &handle).await);
    }
    assert_eq!(fs::read_dir(there.executions()).unwrap().count(), 0, "something was launched");
    assert_eq!(here.executor.find_launch(&not_launched).await.unwrap(), LaunchSearch::Absent);
    here.ends_with(&handle, "once\n").await;
    assert_eq!(here.executor.check_status(&handle).await.unwrap(), ExecutionStatus::NotFound);
}

async fn a_state_folder_that_was_begun_anew_is_another_runtime() {
    let bench = Bench::new().await;
    let request = bench.request(&["print once"]).await;
    let handle = bench.executor.launch_job(&request).await.unwrap();
    bench.ended(&handle).await;
    let own = bench.state.path().join("embedded");
    fs::rename(&own, bench.state.path().join("elsewhere")).unwrap();
    let anew = bench.another(json!({}));
    anew.discover().await.unwrap();
    for executor in [&bench.executor, &anew] {
        assert_refused(asked(executor.as_ref(), &request, &handle).await);
    }
    fs::remove_dir_all(&own).unwrap();
    fs::rename(bench.state.path().join("elsewhere"), &own).unwrap();
    bench.ends_with(&handle, "once\n").await;
}

async fn a_state_folder_that_is_moved_stays_the_same_runtime() {
    let (bench, other) = (Bench::new().await, TempDir::new().unwrap());
    let handle = bench.launch(&["print once"]).await;
    bench.ended(&handle).await;
    let (from, to) = (bench.state.path().join("embedded"), other.path().join("embedded"));
    fs::rename(&from, &to).unwrap();
    let moved = bench.another(json!({ "state_dir": to }));
    assert!(moved.check_status(&handle).await.unwrap().termination().is_some());
    fs::rename(&to, &from).unwrap();
    bench.ends_with(&handle, "once\n").await;
}

async fn older_plans_and_handles_name_no_runtime_and_are_answered() {
    let bench = Bench::new().await;
    let mut request = bench.request(&["print once"]).await;
    let settings = request.plan.host_settings.settings.as_object_mut().unwrap();
    assert!(settings.remove("runtime").is_some_and(|runtime| runtime.is_string()));
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    let handle = bench.executor.launch_job(&request).await.unwrap();
    let mut older = handle.clone();
    older.executor_metadata = Value::Null;
    bench.ends_with(&older, "once\n").await;
    assert_eq!(bench.executor.check_status(&older).await.unwrap(), ExecutionStatus::NotFound);
}
