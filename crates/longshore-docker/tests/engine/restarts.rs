//! What becomes of jobs when the engine itself ends and comes back: nothing is lost, and nothing runs twice.

use bollard::query_parameters::{KillContainerOptionsBuilder, TagImageOptionsBuilder};
use hyper::Method;
use longshore_core::{
    Advice, CapturedLogs, Cause, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHandle, JobStatus,
    LaunchRequest, LaunchSearch, LogCompleteness, LogDelivery, LogQuery, RunEvent, RunObserver, RunOutcome, Runner,
    StopReason, StopRequest, SystemClock,
};
use longshore_testkit::{
    proxy::{Fault, FaultProxy},
    suite::Test,
    tests,
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

use crate::{
    launching::{OWNER, launch, request, template},
    private_engine::PrivateEngine,
    support,
};

pub(crate) const TESTS: &[Test] = &tests![
    an_engine_killed_and_restarted_kills_the_job_and_says_so,
    an_engine_killed_with_live_restore_loses_nothing,
    a_job_that_ended_while_the_engine_was_dead_keeps_its_exit_code,
    what_is_written_while_the_engine_is_dead_is_missed,
    a_container_that_the_engine_has_forgotten_making_proves_nothing,
    a_job_that_is_taken_over_has_a_whole_log,
    a_job_whose_shim_is_killed_is_no_success,
    an_engine_that_ends_in_order_ends_its_jobs,
    an_engine_whose_disk_is_full_launches_nothing_until_there_is_room,
    an_exit_code_of_an_engine_that_has_forgotten_the_start_is_believed,
    a_kill_that_the_engine_has_forgotten_is_an_exit_with_open_evidence,
];

/// Keeps the output, and tells when the job runs and has said something.
#[derive(Default)]
struct Watch {
    captured: CapturedLogs,
    spoke: tokio::sync::Notify,
}

#[async_trait::async_trait]
impl RunObserver for Watch {
    async fn observe(&self, event: RunEvent<'_>) -> Result<(), Error> {
        if matches!(event, RunEvent::Logs(_)) {
            self.spoke.notify_one();
        }
        self.captured.observe(event).await
    }
}

fn executor(engine: &PrivateEngine, state: &TempDir) -> Arc<dyn ContainerExecutor> {
    support::executor(&format!("unix://{}", engine.socket().display()), json!({}), state.path()).unwrap()
}

/// Runs a job, lets `trouble` happen once it has spoken, and returns what became of both.
async fn run_through(
    engine: &mut PrivateEngine,
    script: &[&str],
    trouble: impl AsyncFnOnce(&mut PrivateEngine),
) -> (RunOutcome, String) {
    let state = TempDir::new().unwrap();
    let executor = executor(engine, &state);
    let (job, watch) = (ContainerJob::new(template(script), SystemClock.now()), Watch::default());
    let runner = Runner::new(executor);
    let troubled = async {
        watch.spoke.notified().await;
        trouble(engine).await;
    };
    let (outcome, ()) = futures::join!(runner.run(&job, &watch), troubled);
    let output = String::from_utf8(watch.captured.stdout().to_vec()).unwrap();
    (outcome.unwrap(), output)
}

/// How many containers the engine has, whatever their state.
async fn containers(engine: &PrivateEngine) -> usize {
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
    engine.docker().list_containers(Some(options)).await.unwrap().len()
}

/// The main process of the engine's only container.
async fn main_process(engine: &PrivateEngine) -> Pid {
    let containers = engine.docker().list_containers(None).await.unwrap();
    let id = containers[0].id.as_deref().unwrap();
    let state = engine.docker().inspect_container(id, None).await.unwrap().state.unwrap();
    Pid::from_raw(state.pid.unwrap().try_into().unwrap()).unwrap()
}

fn parent(process: Pid) -> Pid {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    Pid::from_raw(line.trim().parse().unwrap()).unwrap()
}

/// Waits until the process is gone.
async fn ended(process: Pid) {
    while test_kill_process(process).is_ok() {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
}

async fn an_engine_killed_and_restarted_kills_the_job_and_says_so() {
    let mut engine = PrivateEngine::start(&[]).await;
    let (outcome, output) = run_through(&mut engine, &["print started", "forever"], async |engine| {
        engine.end("KILL");
        engine.restart().await;
    })
    .await;
    assert_eq!((outcome.status, output.as_str()), (JobStatus::Failed, "started\n"));
    let end = outcome.termination().unwrap();
    // The engine kills what it finds running when it comes back, and remembers that it did.
    assert!(matches!(end.cause, Cause::Signalled { .. }) && end.evidence.complete, "{end:?}");
    assert_eq!(containers(&engine).await, 0);
}

async fn an_engine_killed_with_live_restore_loses_nothing() {
    let mut engine = PrivateEngine::start(&["--live-restore"]).await;
    let (outcome, output) = run_through(&mut engine, &["tick 20 200ms", "put end"], async |engine| {
        engine.end("KILL");
        engine.restart().await;
    })
    .await;
    assert_eq!(outcome.status, JobStatus::Completed, "{:?}", outcome.harvest);
    // What it held in hand when it was killed would be gone, and nobody can tell that it held nothing.
    assert!(matches!(outcome.logs, LogDelivery::Delivered(LogCompleteness::Lossy { .. })), "{:?}", outcome.logs);
    let ticks: String = (1..=20).map(|number| format!("tick {number}\n")).collect();
    assert_eq!(output, format!("{ticks}end"));
}

async fn a_job_that_ended_while_the_engine_was_dead_keeps_its_exit_code() {
    let mut engine = PrivateEngine::start(&["--live-restore"]).await;
    let (outcome, _) = run_through(&mut engine, &["catch TERM 7", "print started", "forever"], async |engine| {
        let job = main_process(engine).await;
        engine.end("KILL");
        kill_process(job, Signal::TERM).unwrap();
        ended(job).await;
        engine.restart().await;
    })
    .await;
    assert_eq!(outcome.termination().unwrap().cause, Cause::Exited { code: 7 });
    assert_eq!(containers(&engine).await, 0);
}

async fn what_is_written_while_the_engine_is_dead_is_missed() {
    let mut engine = PrivateEngine::start(&[]).await;
    let (outcome, output) = run_through(&mut engine, &["tick 20 100ms", "exit 7"], async |engine| {
        let job = main_process(engine).await;
        engine.end("KILL");
        ended(job).await;
        engine.restart().await;
    })
    .await;
    assert_eq!(outcome.termination().unwrap().cause, Cause::Exited { code: 7 });
    let ticks: String = (1..=20).map(|number| format!("tick {number}\n")).collect();
    assert!(ticks.starts_with(&output) && output.len() < ticks.len(), "{output}");
    let LogDelivery::Delivered(LogCompleteness::Lossy { reason }) = &outcome.logs else { panic!("{outcome:?}") };
    assert!(reason.contains("the engine may have been down"), "{reason}");
}

async fn is_unprovable(executor: &dyn ContainerExecutor, request: &LaunchRequest) {
    let found = executor.find_launch(request).await.unwrap();
    assert!(matches!(&found, LaunchSearch::Unprovable { reason } if reason.contains("remember")), "{found:?}");
    let error = executor.launch_job(request).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::LookUpFirst), "{error}");
}

/// It was killed in the middle of the start: what it comes back with is a container that was never started, as it says,
/// whether that has run or not.
async fn a_container_that_the_engine_has_forgotten_making_proves_nothing() {
    let mut engine = PrivateEngine::start(&[]).await;
    let (folder, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let proxy = FaultProxy::to_unix(engine.socket()).listen_unix(folder.path()).await.unwrap();
    let executor = support::executor(&proxy.uri(), json!({}), state.path()).unwrap();
    executor.discover().await.unwrap();
    let request = request(executor.as_ref(), template(&["print once"]));
    proxy.inject(Fault::on(Method::POST, "/containers/*/start").reset_before());
    let error = executor.launch_job(&request).await.unwrap_err();
    assert_eq!(error.advice(), Advice::LookUpFirst, "{error}");
    assert_eq!(executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    engine.end("KILL");
    engine.restart().await;
    is_unprovable(executor.as_ref(), &request).await;
    assert_eq!(proxy.count(Method::POST, "/containers/*/start"), 1);
    assert_eq!(containers(&engine).await, 1);
}

async fn has_a_whole_log(executor: &Arc<dyn ContainerExecutor>, handle: &ExecutionHandle) {
    longshore_core::wait(executor.as_ref(), handle, &OWNER.parse().unwrap(), &SystemClock).await.unwrap();
    assert_eq!(executor.harvest_job(handle).await.unwrap().logs.completeness, LogCompleteness::Complete);
}

async fn a_job_that_is_taken_over_has_a_whole_log() {
    let (engine, state) = (PrivateEngine::start(&[]).await, TempDir::new().unwrap());
    let first = executor(&engine, &state);
    first.discover().await.unwrap();
    let handle = launch(first.as_ref(), &["print here", "forever"]).await;
    drop(first);
    let docker = engine.docker();
    kill_process(main_process(&engine).await, Signal::KILL).unwrap();
    // When the engine has forgotten the start, what was noted still tells.
    has_a_whole_log(&executor(&engine, &state), &handle).await;
    forget(&docker).await;
    has_a_whole_log(&executor(&engine, &state), &handle).await;
    executor(&engine, &state).cleanup(&handle).await.unwrap();
}

/// The shim stands between the engine and the job; without it nobody learns the exit code.
async fn a_job_whose_shim_is_killed_is_no_success() {
    let mut engine = PrivateEngine::start(&[]).await;
    let (outcome, output) = run_through(&mut engine, &["print started", "forever"], async |engine| {
        let job = main_process(engine).await;
        kill_process(parent(job), Signal::KILL).unwrap();
        ended(job).await;
    })
    .await;
    assert_eq!((outcome.status, output.as_str()), (JobStatus::Failed, "started\n"));
    let end = outcome.termination().unwrap();
    assert_eq!((&end.cause, end.evidence.complete), (&Cause::Exited { code: 137 }, false), "{end:?}");
    assert_eq!(containers(&engine).await, 0);
}

async fn an_engine_that_ends_in_order_ends_its_jobs() {
    let mut engine = PrivateEngine::start(&[]).await;
    let (outcome, output) = run_through(&mut engine, &["catch TERM 9", "print started", "forever"], async |engine| {
        engine.end("TERM");
        engine.restart().await;
    })
    .await;
    assert_eq!((outcome.status, output.as_str()), (JobStatus::Failed, "started\n"));
    assert_eq!(outcome.termination().unwrap().cause, Cause::Exited { code: 9 });
}

async fn an_engine_whose_disk_is_full_launches_nothing_until_there_is_room() {
    let (engine, state) = (PrivateEngine::start_small(8).await, TempDir::new().unwrap());
    let executor = executor(&engine, &state);
    executor.discover().await.unwrap();
    let request = request(executor.as_ref(), template(&["print once"]));
    let filler = engine.fill_disk();
    let error = executor.launch_job(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("no space left on device"), "{error}");
    assert_eq!(executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    std::fs::remove_file(filler).unwrap();
    let handle = executor.launch_job(&request).await.unwrap();
    let status = longshore_core::wait(executor.as_ref(), &handle, &request.owner, &SystemClock).await.unwrap();
    assert_eq!(status.termination().unwrap().cause, Cause::Exited { code: 0 });
    executor.cleanup(&handle).await.unwrap();
    assert_eq!(containers(&engine).await, 0);
}

/// Lets the engine forget all that it has seen: it remembers 256 events.
async fn forget(docker: &bollard::Docker) {
    for _ in 0..300 {
        let tag = TagImageOptionsBuilder::new().repo(support::IMAGE).tag("again").build();
        docker.tag_image(support::IMAGE, Some(tag)).await.unwrap();
    }
}

async fn an_exit_code_of_an_engine_that_has_forgotten_the_start_is_believed() {
    let (engine, state) = (PrivateEngine::start(&[]).await, TempDir::new().unwrap());
    let (docker, first) = (engine.docker(), executor(&engine, &state));
    first.discover().await.unwrap();
    let handle = launch(first.as_ref(), &["catch TERM 255", "print here", "forever"]).await;
    drop(first);
    // The print tells that the signal is caught from now on.
    let (elsewhere, owner) = (TempDir::new().unwrap(), OWNER.parse().unwrap());
    let another = executor(&engine, &elsewhere);
    while another.get_logs(&handle, &LogQuery::from_start()).await.unwrap().records.is_empty() {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    forget(&docker).await;
    let kill = KillContainerOptionsBuilder::new().signal("TERM").build();
    docker.kill_container(&handle.external_execution_id, Some(kill)).await.unwrap();
    let status = longshore_core::wait(another.as_ref(), &handle, &owner, &SystemClock).await.unwrap();
    let end = status.termination().unwrap();
    assert_eq!((&end.cause, end.evidence.complete), (&Cause::Exited { code: 255 }, false), "{end:?}");
    another.cleanup(&handle).await.unwrap();
}

async fn a_kill_that_the_engine_has_forgotten_is_an_exit_with_open_evidence() {
    let (engine, state) = (PrivateEngine::start(&[]).await, TempDir::new().unwrap());
    let (docker, executor) = (engine.docker(), executor(&engine, &state));
    executor.discover().await.unwrap();
    let handle = launch(executor.as_ref(), &["forever"]).await;
    let kill = KillContainerOptionsBuilder::new().signal("KILL").build();
    docker.kill_container(&handle.external_execution_id, Some(kill)).await.unwrap();
    forget(&docker).await;
    let end = executor.stop_job(&handle, &StopRequest::new(StopReason::Cancelled, Duration::ZERO)).await.unwrap();
    assert_eq!((&end.cause, end.evidence.complete), (&Cause::Exited { code: 137 }, false), "{end:?}");
    executor.cleanup(&handle).await.unwrap();
}
