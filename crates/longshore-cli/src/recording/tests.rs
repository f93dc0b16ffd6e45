//! A run over the mock, recorded in a store in memory.

use async_trait::async_trait;
use longshore::store::{AttemptState, JobQuery, JobStore, MemoryStore, SessionId};
use longshore::{
    Cleanup, Clock, ContainerJob, ExecutionHost, ExecutorContext, JobStatus, JobTemplate, Owner, RunEvent, RunObserver,
    Runner, SystemClock,
};
use std::sync::Arc;

use super::{Launching, Recording};
use crate::{database::Database, routing};

/// Fences the run off as soon as its job is launched, as a dispatcher does that takes it for dead.
#[derive(Debug)]
struct Fencing(Option<MemoryStore>);

#[async_trait]
impl RunObserver for Fencing {
    async fn observe(&self, event: RunEvent<'_>) -> longshore::Result<()> {
        if let (RunEvent::Launched(_), Some(store)) = (event, &self.0) {
            let session = SessionId::new(SystemClock.now());
            store.open_session(session, "another").await?;
            let others = store.beat(session).await?;
            assert_eq!(others.len(), 1);
            assert!(others[0].name.starts_with("run "), "{others:?}");
            assert!(store.fence(session, &others[0]).await?);
        }
        Ok(())
    }
}

/// A run of the job to its end.
async fn run(store: &MemoryStore, fenced: bool, instructions: &[&str]) -> longshore::RunOutcome {
    let database = Database::in_memory(store);
    let host = ExecutionHost::builder().name("mock".parse().unwrap()).executor_type("mock".parse().unwrap()).build();
    let context = ExecutorContext::new(std::env::temp_dir());
    let executor = routing::executor(&host, &longshore::registry(), &context).unwrap();
    executor.discover().await.unwrap();
    let template = JobTemplate::builder().name("a".parse().unwrap()).image("a".parse().unwrap());
    let job = ContainerJob::new(template.command(instructions.iter().copied()).build(), SystemClock.now());
    let decision = routing::named(&host, &executor, &job, SystemClock.now()).unwrap();
    let recording = Recording::begin(&database).await.unwrap();
    let launching = Launching { job: job.clone(), bound: None, decision, keep: false };
    let runner = Runner::new(recording.of(Arc::clone(&executor), launching)).on(host);
    let runner = runner.owned_by(Owner::new("here").unwrap());
    let observer = Fencing(fenced.then(|| store.clone()));
    let outcome = runner.run(&job, &observer).await.unwrap();
    recording.conclude(Ok(&outcome)).await;
    outcome
}

async fn states(store: &MemoryStore) -> Vec<(JobStatus, AttemptState, bool)> {
    let mut states = Vec::new();
    for job in store.jobs(&JobQuery::builder().build()).await.unwrap() {
        for attempt in store.attempts(job.id()).await.unwrap() {
            states.push((job.status, attempt.state, attempt.session.is_some()));
        }
    }
    states
}

#[tokio::test]
async fn what_becomes_of_a_run_is_stored_before_anything_is_removed() {
    let store = MemoryStore::new();
    let outcome = run(&store, false, &["print out", "exit 3"]).await;
    assert!(matches!(outcome.cleanup, Cleanup::Removed), "{outcome:?}");
    assert_eq!(states(&store).await, [(JobStatus::Failed, AttemptState::Closed, false)]);
}

#[tokio::test]
async fn a_run_that_was_fenced_off_removes_nothing() {
    let store = MemoryStore::new();
    let outcome = run(&store, true, &["print out", "exit 3"]).await;
    let Cleanup::Failed(error) = &outcome.cleanup else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("a dispatcher goes on with the job"), "{error}");
    assert_eq!((outcome.status, outcome.exit_code()), (JobStatus::Failed, Some(3)), "its own outcome stands");
    let states = states(&store).await;
    assert!(matches!(states[..], [(_, AttemptState::Launching | AttemptState::Launched, false)]), "{states:?}");
}
