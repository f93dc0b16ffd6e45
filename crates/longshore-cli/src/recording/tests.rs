//! A run over the mock, recorded in a store.

mod forgetful;

use async_trait::async_trait;
use longshore::store::{AttemptState, JobQuery, JobStore, MemoryStore, SessionId};
use longshore::{
    Advice, Cleanup, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, ExecutorContext,
    JobStatus, JobTemplate, LaunchRequest, Owner, Result, RunEvent, RunObserver, RunOutcome, Runner, StopLevel,
    StopSwitch, SystemClock, TokioClock, clock::since,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

use self::forgetful::Forgetful;
use super::{Launching, Recording};
use crate::{database::Database, exit, routing};

/// What happens to a run on its way.
#[derive(Debug, Default)]
struct Fate {
    /// Fenced off as soon as its job is launched, as a dispatcher does that takes it for dead.
    fenced_when_launched: bool,
    /// Fenced off while it is being prepared.
    fenced_when_preparing: bool,
    /// Somebody wants it to end while it is being prepared.
    stopped_when_preparing: bool,
}

/// A run, and everything around it.
struct Stage {
    store: Arc<dyn JobStore>,
    clock: Arc<dyn Clock>,
    host: ExecutionHost,
    executor: Arc<dyn ContainerExecutor>,
    fate: Fate,
    stop: StopSwitch,
}

#[async_trait]
impl RunObserver for Stage {
    async fn observe(&self, event: RunEvent<'_>) -> Result<()> {
        let (launched, preparing) = (matches!(event, RunEvent::Launched(_)), matches!(event, RunEvent::Preparing(_)));
        if (launched && self.fate.fenced_when_launched) || (preparing && self.fate.fenced_when_preparing) {
            self.fence().await?;
        }
        if preparing && self.fate.stopped_when_preparing {
            self.stop.stop(StopLevel::Graceful);
        }
        Ok(())
    }
}

impl Stage {
    async fn new(store: Arc<dyn JobStore>, config: Value) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(SystemClock.now()));
        let host = ExecutionHost::builder().name("mock".parse().unwrap()).executor_type("mock".parse().unwrap());
        let host = host.executor_config(config).build();
        let mut context = ExecutorContext::new(std::env::temp_dir());
        context.clock = Arc::clone(&clock);
        let executor = routing::executor(&host, &longshore::registry(), &context).unwrap();
        executor.discover().await.unwrap();
        Self { store, clock, host, executor, fate: Fate::default(), stop: StopSwitch::new() }
    }

    fn with_fate(mut self, fate: Fate) -> Self {
        self.fate = fate;
        self
    }

    async fn fence(&self) -> Result<()> {
        let session = SessionId::new(SystemClock.now());
        self.store.open_session(session, "another").await?;
        for other in self.store.beat(session).await?.iter().filter(|other| other.name.starts_with("run ")) {
            assert!(self.store.fence(session, other).await?);
        }
        Ok(())
    }

    fn launching(&self, instructions: &[&str]) -> Launching {
        let template = JobTemplate::builder().name("a".parse().unwrap()).image("a".parse().unwrap());
        let job = ContainerJob::new(template.command(instructions.iter().copied()).build(), self.clock.now());
        let decision = routing::named(&self.host, &self.executor, &job, self.clock.now()).unwrap();
        Launching { job, bound: None, decision, keep: false }
    }

    async fn recording(&self) -> Recording {
        Recording::by(&Database::over(Arc::clone(&self.store)), Arc::clone(&self.clock)).await.unwrap()
    }

    /// A run of the job to its end.
    async fn run(&self, instructions: &[&str]) -> Result<RunOutcome> {
        let launching = self.launching(instructions);
        let (job, recording) = (launching.job.clone(), self.recording().await);
        let runner = Runner::new(recording.of(Arc::clone(&self.executor), launching)).on(self.host.clone());
        let runner = runner.owned_by(owner()).with_clock(Arc::clone(&self.clock)).stopped_by(self.stop.clone());
        match runner.run(&job, self).await {
            Ok(outcome) => {
                recording.conclude(&outcome).await;
                Ok(outcome)
            }
            Err(error) => Err(recording.break_off(error).await),
        }
    }

    async fn states(&self) -> Vec<(JobStatus, AttemptState, bool)> {
        let mut states = Vec::new();
        for job in self.store.jobs(&JobQuery::builder().build()).await.unwrap() {
            for attempt in self.store.attempts(job.id()).await.unwrap() {
                states.push((job.status, attempt.state, attempt.session.is_some()));
            }
        }
        states
    }

    async fn kinds(&self) -> Vec<String> {
        let job = self.store.jobs(&JobQuery::builder().build()).await.unwrap().remove(0);
        self.store.events(job.id()).await.unwrap().into_iter().map(|event| event.kind.to_string()).collect()
    }

    async fn launched(&self) -> usize {
        self.executor.list_owned(&owner()).await.unwrap().len()
    }
}

fn owner() -> Owner {
    Owner::new("here").unwrap()
}

async fn stage(config: Value) -> Stage {
    Stage::new(Arc::new(MemoryStore::new()), config).await
}

#[tokio::test]
async fn what_becomes_of_a_run_is_stored_before_anything_is_removed() {
    let stage = stage(Value::Null).await;
    let outcome = stage.run(&["print out", "exit 3"]).await.unwrap();
    assert!(matches!(outcome.cleanup, Cleanup::Removed), "{outcome:?}");
    assert_eq!(stage.states().await, [(JobStatus::Failed, AttemptState::Closed, false)]);
    assert!(!stage.kinds().await.contains(&"renewed".to_owned()));
}

#[tokio::test]
async fn a_run_that_was_fenced_off_removes_nothing() {
    let fate = Fate { fenced_when_launched: true, ..Fate::default() };
    let stage = stage(Value::Null).await.with_fate(fate);
    let outcome = stage.run(&["print out", "exit 3"]).await.unwrap();
    let Cleanup::Failed(error) = &outcome.cleanup else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("a dispatcher goes on with the job"), "{error}");
    assert_eq!((outcome.status, outcome.exit_code()), (JobStatus::Failed, Some(3)), "its own outcome stands");
    let states = stage.states().await;
    assert!(matches!(states[..], [(_, AttemptState::Launching | AttemptState::Launched, false)]), "{states:?}");
}

/// The preparation fails at once, while the database is still busy with the intent.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn what_could_not_be_prepared_is_left_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let options = longshore::store::SqliteOptions::default();
    let store = longshore::store::SqliteStore::open(&folder.path().join("jobs.db"), options).await.unwrap();
    let stage = Stage::new(Arc::new(store), json!({ "images": { "missing": ["a"] } })).await;
    let error = stage.run(&["exit 0"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageUnavailable, "{error:?}");
    assert_eq!(stage.states().await, [(JobStatus::Failed, AttemptState::Closed, false)]);
}

/// The same with a database that is slower than whoever tells it of the end.
#[tokio::test(start_paused = true)]
async fn the_end_is_stored_behind_an_intent_that_is_on_its_way() {
    let store = Arc::new(Forgetful::new(&MemoryStore::new(), 0).lagging(Duration::from_secs(1)));
    let stage = Stage::new(store, json!({ "images": { "missing": ["a"] } })).await;
    let error = stage.run(&["exit 0"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageUnavailable, "{error:?}");
    assert_eq!(stage.states().await, [(JobStatus::Failed, AttemptState::Closed, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_the_intent_is_asked_for_again() {
    let stage = Stage::new(Arc::new(Forgetful::new(&MemoryStore::new(), 3)), Value::Null).await;
    assert!(stage.run(&["exit 0"]).await.unwrap().succeeded());
    assert_eq!(stage.states().await, [(JobStatus::Completed, AttemptState::Closed, false)]);
}

/// What is stopped while nobody knows whether it is recorded has ended once that is known.
#[tokio::test(start_paused = true)]
async fn what_is_stopped_while_its_intent_is_on_its_way_is_left_to_nobody() {
    let fate = Fate { stopped_when_preparing: true, ..Fate::default() };
    let store = Arc::new(Forgetful::new(&MemoryStore::new(), 3));
    let stage = Stage::new(store, json!({ "jobs": { "prepare": "40ms" } })).await.with_fate(fate);
    let error = stage.run(&["exit 0"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
    assert_eq!(stage.states().await, [(JobStatus::Cancelled, AttemptState::Closed, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_run_of_which_nobody_knows_whether_it_is_recorded_says_so() {
    let stage = Stage::new(Arc::new(Forgetful::new(&MemoryStore::new(), u32::MAX)), Value::Null).await;
    let error = stage.run(&["exit 0"]).await.unwrap_err();
    let words = error.chain();
    assert!(words.contains("a dispatcher may then run it") && words.contains("longshore jobs cancel"), "{words}");
    assert!(!words.contains("nothing was started") && !words.contains("--no-record"), "{words}");
    assert_eq!((error.operation(), exit::of_error(&error, None)), (Some(super::IN_DOUBT), exit::FAILED));
    assert_eq!(stage.launched().await, 0);
    assert_eq!(stage.states().await, [(JobStatus::Launching, AttemptState::Launching, false)], "as it says");
}

#[tokio::test(start_paused = true)]
async fn what_took_long_to_prepare_is_renewed_before_it_is_sent() {
    let stage = stage(json!({ "jobs": { "prepare": "20m" } })).await;
    assert!(stage.run(&["exit 0"]).await.unwrap().succeeded());
    assert_eq!(stage.kinds().await[..4], ["submitted", "claimed", "renewed", "launched"]);
}

/// As after it was suspended: a dispatcher may have run the job and removed every trace of it.
#[tokio::test(start_paused = true)]
async fn what_was_taken_over_while_it_was_prepared_is_not_sent() {
    let fate = Fate { fenced_when_preparing: true, ..Fate::default() };
    let stage = stage(json!({ "jobs": { "prepare": "20m" } })).await.with_fate(fate);
    let error = stage.run(&["exit 0"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LeaseLost, "{error:?}");
    assert!(error.message().contains("taken for dead before the launch"), "{error}");
    assert_eq!(stage.launched().await, 0);
    assert_eq!(stage.states().await, [(JobStatus::Launching, AttemptState::Launching, false)]);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_on_its_way_is_sent_again_as_it_was() {
    let stage = stage(Value::Null).await;
    let launching = stage.launching(&["exit 0"]);
    let (recording, hour) = (stage.recording().await, Duration::from_secs(3600));
    let journal = recording.journal().unwrap();
    let plan = Runner::new(Arc::clone(&stage.executor)).on(stage.host.clone()).plan(&launching.job).await.unwrap();
    let request = LaunchRequest::new(&launching.job, 1, plan, owner(), stage.clock.now(), hour);
    journal.begin(&launching, &request).await.unwrap();
    tokio::time::advance(Duration::from_secs(600)).await;
    let sent = journal.to_send(&request).await.unwrap();
    assert_eq!(since(sent.deadline, stage.clock.now()), Duration::from_secs(60));
    let stored = stage.store.attempt(request.token).await.unwrap().attempt.request;
    assert_eq!((&stored, &sent.plan, sent.created_at), (&sent, &request.plan, request.created_at));
    journal.unanswered();
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(journal.to_send(&request).await.unwrap(), sent, "its deadline refuses it");
    let lost = Error::new(ErrorKind::Unavailable, "the answer was lost").with_advice(Advice::LookUpFirst);
    assert_eq!(recording.break_off(lost).await.operation(), Some(super::IN_DOUBT), "it may have been launched");
}
