//! Jobs, times, changes and dispatchers for the cases.

use jiff::{SignedDuration, Timestamp};
use longshore_core::{
    Cause, ContainerJob, ErrorKind, Evidence, ExecutionHandle, HostName, JobId, JobStatus, JobTemplate, LaunchToken,
    Priority, Result, Termination,
};
use longshore_store::{
    Actor, Adoption, AttemptState, Change, Claim, Claimed, Held, JobRecord, JobStore, Next, Outcome, Request,
    SessionId, Submission, Submitted, WaitingFor, What,
};
use std::sync::Arc;

use crate::desk::Desk;

/// A time so many seconds after the beginning, with nanoseconds that must not get lost.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let beginning: Timestamp = "2026-03-01T12:00:00.123456789Z".parse().unwrap();
    beginning + SignedDuration::from_secs(seconds)
}

pub(crate) fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// A job whose name tells the desk what to do with it.
pub(crate) fn job(name: &str, created_at: Timestamp) -> ContainerJob {
    let template = JobTemplate::builder().name(name.parse().unwrap()).image("tool:1".parse().unwrap()).build();
    ContainerJob::new(template, created_at)
}

pub(crate) fn submission(name: &str) -> Submission {
    Submission::builder(job(name, at(0))).build()
}

pub(crate) fn urgent(name: &str, priority: i32) -> Submission {
    let mut job = job(name, at(0));
    job.priority = Priority::new(priority).unwrap();
    Submission::builder(job).build()
}

pub(crate) fn request(seconds: i64) -> Request {
    Request::new(Actor::User("ann".to_owned()), at(seconds)).because("it is Friday")
}

/// So many attempts of the desk's hosts at most.
pub(crate) fn adoption(most: usize, quiet_at: Timestamp) -> Adoption {
    Adoption::new(most, quiet_at, ["a", "b"].map(host).into())
}

/// The kind of the error.
#[track_caller]
pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("it is refused").kind()
}

pub(crate) async fn submit(store: &Arc<dyn JobStore>, submission: Submission, seconds: i64) -> JobId {
    let submitted = store.submit(vec![submission], at(seconds)).await.unwrap().remove(0).unwrap();
    assert!(matches!(submitted, Submitted::New(_)), "{submitted:?}");
    submitted.id()
}

pub(crate) async fn submit_named(store: &Arc<dyn JobStore>, name: &str) -> JobId {
    submit(store, submission(name), 0).await
}

pub(crate) fn handle(token: LaunchToken, host: &HostName) -> ExecutionHandle {
    let kind = "mock".parse().unwrap();
    ExecutionHandle::new(kind, host.clone(), token, 1, format!("it-{token}"), serde_json::json!({"zone": "b"}))
}

pub(crate) fn launched(token: LaunchToken, seconds: i64) -> Change {
    Change::new(token, at(seconds), What::Launched(Arc::new(handle(token, &host("a")))))
}

pub(crate) fn started(token: LaunchToken, seconds: i64) -> Change {
    Change::new(token, at(seconds), What::Started)
}

/// It exited with this code, which decides how the job ends.
pub(crate) fn exited(token: LaunchToken, code: i32, seconds: i64) -> Change {
    let outcome = Outcome::of_end(Termination::new(Cause::Exited { code }, Evidence::complete()));
    let next = Next::Finish(outcome.status);
    ended(token, outcome, next, seconds)
}

/// It failed and goes back into the queue.
pub(crate) fn requeued(
    token: LaunchToken,
    waiting_for: WaitingFor,
    refused_by: Option<HostName>,
    seconds: i64,
) -> Change {
    let outcome = Outcome::of_end(Termination::new(Cause::Preempted, Evidence::incomplete()));
    ended(token, outcome, Next::Requeue { reason: "once more".to_owned(), waiting_for, refused_by }, seconds)
}

pub(crate) fn ended(token: LaunchToken, outcome: Outcome, next: Next, seconds: i64) -> Change {
    let what = What::Ended { outcome: Arc::new(outcome), charges: Vec::new(), next, closed: false };
    Change::new(token, at(seconds), what)
}

pub(crate) fn closed(token: LaunchToken, seconds: i64) -> Change {
    Change::new(token, at(seconds), What::Closed)
}

pub(crate) fn noted(token: LaunchToken, note: &str, seconds: i64) -> Change {
    Change::new(token, at(seconds), What::Noted(note.to_owned()))
}

/// Somebody with a session.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) session: SessionId,
}

impl Dispatcher {
    pub(crate) async fn new(store: &Arc<dyn JobStore>) -> Self {
        let session = SessionId::new(at(0));
        store.open_session(session, "a machine").await.unwrap();
        Self { store: Arc::clone(store), session }
    }

    pub(crate) async fn try_claim(&self, desk: Desk, most: usize, seconds: i64) -> Result<Claimed> {
        let desk = desk.of(self.session, at(seconds));
        let claim = Claim::new(self.session, at(seconds), most).with_periods(desk.periods());
        self.store.claim(claim, Arc::new(desk)).await
    }

    pub(crate) async fn claim(&self, desk: Desk, most: usize, seconds: i64) -> Vec<Held> {
        self.try_claim(desk, most, seconds).await.unwrap().held
    }

    /// Claims the one job that there is, on host `a`.
    pub(crate) async fn claim_one(&self, seconds: i64) -> LaunchToken {
        let held = self.claim(Desk::with(&[("a", 100)]), 10, seconds).await;
        assert_eq!(held.len(), 1, "{held:?}");
        held[0].attempt.token()
    }

    pub(crate) async fn record(&self, change: Change) -> Result<()> {
        self.store.record(self.session, vec![change]).await?.remove(0)
    }

    /// Everything that happens to an attempt that succeeds.
    pub(crate) async fn run(&self, token: LaunchToken, seconds: i64) {
        for change in [launched(token, seconds), started(token, seconds + 1), exited(token, 0, seconds + 2)] {
            self.record(change).await.unwrap();
        }
        self.record(closed(token, seconds + 3)).await.unwrap();
    }

    pub(crate) async fn state(&self, token: LaunchToken) -> Option<AttemptState> {
        self.store.attempt_states(&[token]).await.unwrap().remove(0)
    }

    pub(crate) async fn job_of(&self, token: LaunchToken) -> JobRecord {
        self.store.job(token.job()).await.unwrap()
    }
}

/// A job in each status that one can have, with what holds those that live.
pub(crate) async fn in_status(dispatcher: &Dispatcher, status: JobStatus) -> JobId {
    use JobStatus::{Cancelled, Completed, Failed, Launching, Lost, Pending, Running, TimedOut};
    let job = submit_named(&dispatcher.store, "on-a").await;
    if status == Pending {
        return job;
    }
    let token = dispatcher.claim_one(1).await;
    if status == Launching {
        return job;
    }
    dispatcher.record(launched(token, 2)).await.unwrap();
    dispatcher.record(started(token, 3)).await.unwrap();
    let outcome = match status {
        Running => return job,
        Completed | Failed => {
            dispatcher.record(exited(token, i32::from(status == Failed), 4)).await.unwrap();
            return job;
        }
        Lost => Outcome::lost("nobody knows"),
        TimedOut => Outcome::of_end(Termination::new(Cause::TimedOut, Evidence::complete())),
        Cancelled => Outcome::of_end(Termination::new(Cause::Cancelled, Evidence::complete())),
        other => panic!("no way to {other}"),
    };
    dispatcher.record(ended(token, outcome, Next::Finish(status), 4)).await.unwrap();
    job
}

/// The names of what happened, in order.
pub(crate) async fn history(store: &Arc<dyn JobStore>, job: JobId) -> Vec<String> {
    store.events(job).await.unwrap().into_iter().map(|event| event.kind).collect()
}
