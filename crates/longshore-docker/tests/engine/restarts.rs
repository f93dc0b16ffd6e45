//! What becomes of jobs when the engine itself ends and comes back: nothing is lost, and nothing runs twice.

use longshore_core::{
    CapturedLogs, Cause, Clock, ContainerExecutor, ContainerJob, Error, JobStatus, LogCompleteness, LogDelivery,
    RunEvent, RunObserver, RunOutcome, Runner, SystemClock,
};
use longshore_testkit::{suite::Test, tests};
use serde_json::json;
use std::sync::Arc;
use tempfile::TempDir;

use crate::{private_engine::PrivateEngine, support};

pub(crate) const TESTS: &[Test] = &tests![
    an_engine_killed_and_restarted_kills_the_job_and_says_so,
    an_engine_killed_with_live_restore_loses_nothing,
    a_job_that_ended_while_the_engine_was_dead_keeps_its_exit_code,
    an_engine_that_ends_in_order_ends_its_jobs,
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

/// Runs a job, lets `trouble` happen once it has spoken, and returns what became of both.
async fn run_through(
    engine: &mut PrivateEngine,
    script: &[&str],
    trouble: impl AsyncFnOnce(&mut PrivateEngine),
) -> (RunOutcome, String) {
    let state = TempDir::new().unwrap();
    let executor: Arc<dyn ContainerExecutor> =
        support::executor(&format!("unix://{}", engine.socket().display()), json!({}), state.path()).unwrap();
    let mut template = support::probe();
    template.args = script.iter().map(|&instruction| instruction.to_owned()).collect();
    template.network = Some(longshore_core::Network::None);
    let (job, watch) = (ContainerJob::new(template, SystemClock.now()), Watch::default());
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
    assert!(matches!(outcome.logs, LogDelivery::Delivered(LogCompleteness::Complete)), "{:?}", outcome.logs);
    let ticks: String = (1..=20).map(|number| format!("tick {number}\n")).collect();
    assert_eq!(output, format!("{ticks}end"));
}

async fn a_job_that_ended_while_the_engine_was_dead_keeps_its_exit_code() {
    let mut engine = PrivateEngine::start(&["--live-restore"]).await;
    let (outcome, _) = run_through(&mut engine, &["print started", "sleep 300ms", "exit 7"], async |engine| {
        engine.end("KILL");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        engine.restart().await;
    })
    .await;
    assert_eq!(outcome.termination().unwrap().cause, Cause::Exited { code: 7 });
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
