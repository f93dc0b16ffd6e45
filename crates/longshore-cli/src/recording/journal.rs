//! One run's entries in the database.

use futures::StreamExt;
use longshore::store::{
    Actor, AttemptRecord, AttemptState, Change, Intent, JobArchive, JobEvent, JobRecord, JobStore, LogStore, Next,
    Outcome, SessionId, Submission, What,
};
use longshore::{
    Advice, ByteSize, Cleanup, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHandle, Harvest,
    JobStatus, LaunchRequest, LaunchToken, LogDelivery, Result, RunOutcome, SystemClock, Timestamp,
    clock::{later, since},
    dispatcher::StoreClock,
    route::{RouteDecision, Target},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

use super::{
    intent::{Stored, Storing},
    recorder::{Recorded, Recorder},
};
use crate::database::{self, Database, LOG_CAP};

/// How often a run gives a sign of life: a dispatcher takes it for dead that has missed three of its own.
const BEAT: Duration = Duration::from_secs(10);
/// How long after its request was stored a launch may be sent, as dispatchers have it: they wait for as long before they
/// take a request of somebody who is gone for one that is no longer on its way.
const LAUNCH_WINDOW: Duration = Duration::from_secs(60);
/// How long what is told of a job may take to be stored.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last word may take: without it the next dispatcher finds out by itself.
const LAST_WORD: Duration = Duration::from_secs(2);

/// The operation of an error that leaves open whether somebody will still launch the job.
pub(crate) const IN_DOUBT: &str = "record_end";

/// What is to be launched, and why there.
#[derive(Debug, Clone)]
pub(crate) struct Launching {
    pub(crate) job: ContainerJob,
    pub(crate) bound: Option<Target>,
    pub(crate) decision: RouteDecision,
    /// Whether the container is to stay where it is.
    pub(crate) keep: bool,
}

/// One run's entries in the database.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn JobStore>,
    logs: LogStore,
    session: SessionId,
    clock: Arc<StoreClock>,
    /// The one by which executors take deadlines.
    own_clock: Arc<dyn Clock>,
    recorder: Recorder,
    storing: Storing,
    state: Mutex<State>,
    /// They end with the journal.
    _helpers: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    /// As it is stored, or may be.
    request: Option<LaunchRequest>,
    /// Whether it was sent and the answer is not known: then nothing else may be sent.
    unanswered: bool,
    keep: bool,
    /// How much of its log is kept.
    cap: Option<ByteSize>,
    launched: bool,
    started: bool,
    /// Whether what became of the attempt is stored, or why it is not.
    ended: Option<Result<(), String>>,
}

impl Journal {
    /// Opens a session.
    ///
    /// # Errors
    /// As the database answers, or its place for logs can be opened.
    pub(super) async fn open(database: &Database, own_clock: Arc<dyn Clock>) -> Result<Self> {
        let (store, logs) = (Arc::clone(&database.store), database.logs().await?);
        let session = SessionId::new(SystemClock.now());
        store.open_session(session, &database::process("run")).await?;
        let clock = Arc::new(StoreClock::new(store.as_ref(), Arc::new(SystemClock), 3 * BEAT).await?);
        let (recorder, recorded) = Recorder::new(Arc::clone(&store), session);
        let mut helpers = JoinSet::new();
        helpers.spawn(Recorded::run(recorded));
        helpers.spawn(live(Arc::clone(&store), session, Arc::clone(&clock)));
        let (storing, state) = (Storing::default(), Mutex::default());
        Ok(Self { store, logs, session, clock, own_clock, recorder, storing, state, _helpers: helpers })
    }

    /// Waits until somebody wants the job to end, and says who. Cancel-safe.
    pub(crate) async fn wanted(&self) -> String {
        loop {
            if let Some(job) = wanted(self.store.as_ref(), self.session).await {
                return in_words(&job);
            }
            SystemClock.sleep(BEAT).await;
        }
    }

    /// Stores the job with its first attempt, before anything is sent. Again it changes nothing. Cancel-safe: the storing
    /// goes on, and [`Self::break_off`] waits for it.
    ///
    /// # Errors
    /// As the database answers: then nothing is to be launched.
    pub(super) async fn begin(&self, launching: &Launching, request: &LaunchRequest) -> Result<()> {
        let begin = || {
            let request = self.renewed(request);
            {
                let mut state = self.state();
                (state.keep, state.cap) = (launching.keep, request.plan.template.log_cap);
                state.request = Some(request.clone());
            }
            archive(launching, &request, self.session, self.clock.now())
        };
        match self.storing.begin(&self.store, self.session, request.token, begin).await {
            Stored::Held => Ok(()),
            Stored::TakenOver => Err(taken_for_dead()),
            Stored::Refused(error) => {
                let message = "the job can't be recorded, and nothing was started; --no-record runs it without";
                Err(unrecorded(message, &error))
            }
            Stored::Unknown(error) => {
                Err(unrecorded("whether the job is recorded can't be told, and it was not launched here", &error))
            }
        }
    }

    /// The request as it may be sent now. Where the preparation has used up much of its time, another deadline is stored
    /// first: that proves that nobody has taken the job over meanwhile. What may be on its way already is sent again as it
    /// was.
    ///
    /// # Errors
    /// `LeaseLost`, or as the database answers: then nothing is to be sent.
    pub(super) async fn to_send(&self, request: &LaunchRequest) -> Result<LaunchRequest> {
        let (stored, unanswered) = (self.sent(request), self.state().unanswered);
        let left = since(stored.deadline, self.own_clock.now());
        let is_fresh = (LAUNCH_WINDOW / 2..=LAUNCH_WINDOW).contains(&left);
        if unanswered || is_fresh || stored.deadline == request.deadline {
            return Ok(stored);
        }
        let renewed = self.renewed(request);
        let what = What::Renewed(Arc::new(renewed.clone()));
        match timeout(PATIENCE, self.hand_in(request.token, what)).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) if error.kind() == ErrorKind::LeaseLost => return Err(taken_for_dead()),
            Ok(Ok(Err(error))) => return Err(unrecorded("the launch can't be recorded, and was not sent", &error)),
            Ok(Err(_)) => return Err(taken_for_dead()),
            Err(_) => {
                let message = format!("the database has not taken the launch within {PATIENCE:?}; it was not sent");
                return Err(Error::new(ErrorKind::Unavailable, message).with_operation("record"));
            }
        }
        self.state().request = Some(renewed.clone());
        Ok(renewed)
    }

    /// The request as it was sent.
    pub(super) fn sent(&self, request: &LaunchRequest) -> LaunchRequest {
        self.state().request.clone().unwrap_or_else(|| request.clone())
    }

    /// It was sent, and its answer is not known.
    pub(super) fn unanswered(&self) {
        self.state().unanswered = true;
    }

    /// The request with the short time to send, by the clock that executors go by, and never more time than it had.
    fn renewed(&self, request: &LaunchRequest) -> LaunchRequest {
        let mut renewed = request.clone();
        renewed.deadline = later(self.own_clock.now(), LAUNCH_WINDOW).min(request.deadline);
        renewed
    }

    /// It was launched. Nobody waits for that to be stored: should this program die now, it is found by its token.
    pub(super) fn launched(&self, handle: &ExecutionHandle) {
        if !std::mem::replace(&mut self.state().launched, true) {
            self.hand_in(handle.token, What::Launched(Arc::new(handle.clone())));
        }
    }

    /// It was seen to run.
    pub(super) fn started(&self, token: LaunchToken) {
        let mut state = self.state();
        if state.launched && !std::mem::replace(&mut state.started, true) {
            drop(state);
            self.hand_in(token, What::Started);
        }
    }

    /// It has ended: its log is saved, and what became of it stored.
    pub(super) async fn ended(&self, executor: &dyn ContainerExecutor, handle: &ExecutionHandle, harvest: &Harvest) {
        let cap = self.state().cap.unwrap_or(LOG_CAP);
        let outcome = match self.logs.save(executor, handle, cap).await {
            Ok(saved) => {
                let mut outcome = Outcome::of_end(harvest.termination.clone());
                outcome.usage = Some(harvest.usage.clone());
                outcome.logs = Some(saved.summary);
                outcome.log = Some(saved.reference);
                outcome.parsed_output = saved.parsed_output;
                outcome
            }
            Err(error) => {
                self.state().ended = Some(Err(format!("its log can't be saved: {}", error.chain())));
                return;
            }
        };
        let closed = self.state().keep;
        self.store_end(handle.token, outcome, closed).await;
    }

    /// Whether what became of it is stored, so that its traces may be removed.
    pub(super) fn may_clean_up(&self) -> Result<()> {
        match &self.state().ended {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(unstored(why)),
            None => Err(unstored("it has not ended")),
        }
    }

    /// The run has come to its end.
    pub(super) async fn conclude(&self, outcome: &RunOutcome) {
        let token = outcome.request.token;
        if let Some(reason) = &outcome.lost
            && self.state().request.is_some()
        {
            self.store_end(token, Outcome::lost(reason.clone()), false).await;
        }
        let is_removed = matches!(outcome.cleanup, Cleanup::Removed) && self.may_clean_up().is_ok();
        let is_delivered = matches!(outcome.logs, LogDelivery::Delivered(_));
        if is_removed && is_delivered {
            // Before the session is over: afterwards it could store nothing.
            let _ = timeout(LAST_WORD, self.hand_in(token, What::Closed)).await;
        }
        self.close().await;
    }

    /// The run could not be taken to its end. What was not launched, for sure, has ended. Where that can't be recorded for
    /// sure, the error is another one that says so: a dispatcher may run what is recorded as open.
    pub(super) async fn break_off(&self, error: Error) -> Error {
        let is_settled = self.end_unlaunched(&error).await;
        let token = self.state().request.as_ref().map(|request| request.token);
        self.close().await;
        match token {
            Some(token) if !is_settled => in_doubt(token, error),
            _ => error,
        }
    }

    /// Whether nobody will launch it any more, or the error says itself who may.
    async fn end_unlaunched(&self, error: &Error) -> bool {
        let (token, launched) = {
            let state = self.state();
            (state.request.as_ref().map(|request| request.token), state.launched)
        };
        let Some(token) = token.filter(|_| !launched && error.kind() != ErrorKind::LeaseLost) else { return true };
        match timeout(PATIENCE, self.storing.settled()).await {
            Ok(None | Some(Stored::Refused(_))) => return true,
            Ok(Some(Stored::TakenOver)) => return false,
            Ok(Some(Stored::Held | Stored::Unknown(_))) | Err(_) => {}
        }
        if error.advice() == Advice::LookUpFirst || error.operation() == Some("find_launch") {
            return false;
        }
        let status = match error.kind() {
            ErrorKind::Cancelled => JobStatus::Cancelled,
            ErrorKind::Timeout if error.operation() == Some("prepare") => JobStatus::TimedOut,
            _ => JobStatus::Failed,
        };
        self.store_end(token, Outcome::new(status, error.chain()), true).await;
        matches!(self.state().ended, Some(Ok(())))
    }

    /// Ends the session. What it still holds, others take over.
    pub(super) async fn close(&self) {
        let _ = timeout(LAST_WORD, self.end_session()).await;
    }

    async fn end_session(&self) {
        if let Err(error) = self.store.close_session(self.session).await {
            tracing::info!(error = %error.chain(), "the session could not be closed; it will be fenced off");
        }
    }

    async fn store_end(&self, token: LaunchToken, outcome: Outcome, closed: bool) {
        let next = Next::Finish(outcome.status);
        let what = What::Ended { outcome: Arc::new(outcome), charges: Vec::new(), next, closed };
        let stored = match timeout(PATIENCE, self.hand_in(token, what)).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) if error.kind() == ErrorKind::LeaseLost => {
                Err("this program was taken for dead, and a dispatcher goes on with the job".to_owned())
            }
            Ok(Ok(Err(error))) => self.settled_by_hand(token).await.ok_or_else(|| error.chain()),
            Ok(Err(_)) => Err("nothing is stored any more".to_owned()),
            Err(_) => Err(format!("the database has not taken it within {PATIENCE:?}")),
        };
        self.state().ended = Some(stored);
    }

    /// Whether somebody has settled meanwhile what became of it.
    async fn settled_by_hand(&self, token: LaunchToken) -> Option<()> {
        let held = self.store.attempt(token).await.ok()?;
        (held.attempt.state == AttemptState::Ended && held.attempt.session == Some(self.session)).then_some(())
    }

    fn hand_in(&self, token: LaunchToken, what: What) -> super::recorder::Answer {
        self.recorder.hand_in(Change::new(token, self.clock.now(), what))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken_for_dead() -> Error {
    let message = "this program was taken for dead before the launch, and a dispatcher has taken the job over";
    Error::new(ErrorKind::LeaseLost, message).with_operation("record")
}

fn unrecorded(message: &str, error: &Error) -> Error {
    Error::new(error.kind(), message).with_operation("record").with_source(error.repeated())
}

/// The job is recorded as open, or may be.
fn in_doubt(token: LaunchToken, error: Error) -> Error {
    let id = token.job();
    let message = format!(
        "job {id} may be recorded as one that is still to be launched, and a dispatcher may then run it: `longshore jobs \
         show {id}` tells, and `longshore jobs cancel {id}` ends it"
    );
    Error::new(ErrorKind::Conflict, message).with_operation(IN_DOUBT).with_source(error)
}

fn unstored(why: &str) -> Error {
    let message = format!("what became of the job is not recorded: {why}; the next `longshore dispatch` does both");
    Error::new(ErrorKind::Conflict, message).with_operation("record")
}

/// The job as it is stored while its launch is under way.
fn archive(launching: &Launching, request: &LaunchRequest, session: SessionId, now: Timestamp) -> JobArchive {
    let job = &launching.job;
    let submission = Submission::builder(job.clone()).maybe_bound(launching.bound.clone()).build();
    let mut record = JobRecord::new(submission, now);
    record.status = JobStatus::Launching;
    record.attempts = request.token.attempt();
    record.host = Some(request.plan.host.clone());
    record.executor_type = Some(request.plan.executor_type.clone());
    let intent = Intent::new(request.clone(), launching.decision.clone(), Vec::new());
    let attempt = AttemptRecord::new(intent, session, now);
    let user = job.created_by.as_ref().map_or_else(database::user, |by| by.name.clone());
    let claimed = JobEvent::new(now, "claimed", Actor::Dispatcher(session)).of_attempt(request.token.attempt());
    let events = vec![
        JobEvent::new(now, "submitted", Actor::User(user)),
        claimed.with_detail(Some(format!("on host {}", request.plan.host))),
    ];
    JobArchive::new(record, vec![attempt], events)
}

/// Gives signs of life until the session is over.
async fn live(store: Arc<dyn JobStore>, session: SessionId, clock: Arc<StoreClock>) {
    loop {
        SystemClock.sleep(BEAT).await;
        match store.beat(session).await {
            Err(error) if error.kind() == ErrorKind::LeaseLost => return,
            Err(error) => tracing::warn!(error = %error.chain(), "the database does not take signs of life"),
            Ok(_) => {
                // Until it is told again, the time goes on by itself.
                let _ = clock.ask(store.as_ref()).await;
            }
        }
    }
}

/// The job that somebody wants to end, as soon as there is one; none when no news can be heard now.
async fn wanted(store: &dyn JobStore, session: SessionId) -> Option<JobRecord> {
    let mut news = store.news().await.ok()?;
    while let Some(news) = news.next().await {
        if !news.interventions {
            continue;
        }
        // Where the answer is lost, the news are heard anew, for nobody tells them twice.
        if let Some(job) = store.interventions(session).await.ok()?.into_iter().next() {
            return Some(job);
        }
    }
    None
}

fn in_words(job: &JobRecord) -> String {
    let request = job.cancel.as_ref();
    let who = request.map(|request| format!(" by {}", request.by)).unwrap_or_default();
    let why = request.and_then(|request| request.why.as_deref()).map(|why| format!(": {why}")).unwrap_or_default();
    let what = if job.status == JobStatus::Lost { "settled as lost" } else { "cancelled" };
    format!("the job is {what}{who}{why}; stopping it")
}
