//! A store that takes its time, or does not answer at all.

use longshore_core::{
    Error, ErrorKind, HostName, JobId, JobName, JobStatus, LaunchToken, Owner, Result, Timestamp, async_trait,
};
use longshore_dispatcher::DrainMode;
use longshore_store::{
    Adoption, AttemptRecord, AttemptState, Beat, Change, Claim, Claimed, Held, Intervention, JobArchive, JobEvent,
    JobQuery, JobRecord, JobStore, MemoryStore, NewsStream, Pause, Placer, Request, SavedTemplate, SessionId,
    StatusCounts, Submission, Submitted, What,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::watch;

use crate::stage::Stage;

/// Stores no launch before it is told to, and does not answer what it is told not to.
#[derive(Debug)]
struct Slow {
    inner: MemoryStore,
    open: watch::Receiver<bool>,
    away: Arc<Away>,
}

/// What is not answered.
#[derive(Debug, Default)]
struct Away {
    sessions: AtomicBool,
    /// So many interventions.
    interventions: AtomicU32,
}

fn no_answer<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, "the store does not answer"))
}

#[async_trait]
impl JobStore for Slow {
    async fn owner(&self) -> Result<Owner> {
        self.inner.owner().await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.inner.now().await
    }

    async fn submit(&self, submissions: Vec<Submission>, now: Timestamp) -> Result<Vec<Result<Submitted>>> {
        self.inner.submit(submissions, now).await
    }

    async fn intervene(&self, job: JobId, intervention: Intervention, request: Request) -> Result<JobRecord> {
        let left = self.away.interventions.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        if left.is_ok() { no_answer() } else { self.inner.intervene(job, intervention, request).await }
    }

    async fn pause(&self, pause: Pause) -> Result<()> {
        self.inner.pause(pause).await
    }

    async fn resume(&self, host: Option<&HostName>, request: Request) -> Result<bool> {
        self.inner.resume(host, request).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.inner.pauses().await
    }

    async fn save_template(&self, saved: SavedTemplate) -> Result<()> {
        self.inner.save_template(saved).await
    }

    async fn remove_template(&self, name: &JobName) -> Result<bool> {
        self.inner.remove_template(name).await
    }

    async fn template(&self, name: &JobName) -> Result<SavedTemplate> {
        self.inner.template(name).await
    }

    async fn templates(&self) -> Result<Vec<SavedTemplate>> {
        self.inner.templates().await
    }

    async fn job(&self, job: JobId) -> Result<JobRecord> {
        self.inner.job(job).await
    }

    async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRecord>> {
        self.inner.attempts(job).await
    }

    async fn events(&self, job: JobId) -> Result<Vec<JobEvent>> {
        self.inner.events(job).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobRecord>> {
        self.inner.jobs(query).await
    }

    async fn counts(&self) -> Result<StatusCounts> {
        self.inner.counts().await
    }

    async fn news(&self) -> Result<NewsStream> {
        self.inner.news().await
    }

    async fn open_session(&self, session: SessionId, name: &str) -> Result<()> {
        if self.away.sessions.load(Relaxed) { no_answer() } else { self.inner.open_session(session, name).await }
    }

    async fn beat(&self, session: SessionId) -> Result<Vec<Beat>> {
        self.inner.beat(session).await
    }

    async fn fence(&self, session: SessionId, other: &Beat) -> Result<bool> {
        self.inner.fence(session, other).await
    }

    async fn close_session(&self, session: SessionId) -> Result<()> {
        self.inner.close_session(session).await
    }

    async fn adopt(&self, session: SessionId, adoption: Adoption) -> Result<Vec<Held>> {
        self.inner.adopt(session, adoption).await
    }

    async fn claim(&self, claim: Claim, placer: Arc<dyn Placer>) -> Result<Claimed> {
        self.inner.claim(claim, placer).await
    }

    async fn wake_queue(&self, session: SessionId) -> Result<()> {
        self.inner.wake_queue(session).await
    }

    async fn record(&self, session: SessionId, changes: Vec<Change>) -> Result<Vec<Result<()>>> {
        let tells_a_launch = changes.iter().any(|change| matches!(change.what, What::Launched(_)));
        if tells_a_launch {
            self.open.clone().wait_for(|open| *open).await.unwrap();
        }
        self.inner.record(session, changes).await
    }

    async fn held(&self, session: SessionId) -> Result<Vec<Held>> {
        self.inner.held(session).await
    }

    async fn interventions(&self, session: SessionId) -> Result<Vec<JobRecord>> {
        self.inner.interventions(session).await
    }

    async fn attempt(&self, token: LaunchToken) -> Result<Held> {
        self.inner.attempt(token).await
    }

    async fn attempt_states(&self, tokens: &[LaunchToken]) -> Result<Vec<Option<AttemptState>>> {
        self.inner.attempt_states(tokens).await
    }

    async fn archive(&self, after: Option<JobId>, most: usize) -> Result<Vec<JobArchive>> {
        self.inner.archive(after, most).await
    }

    async fn import(&self, archives: Vec<JobArchive>) -> Result<u64> {
        self.inner.import(archives).await
    }

    async fn purge(&self, jobs: &[JobId]) -> Result<Vec<JobId>> {
        self.inner.purge(jobs).await
    }

    async fn check(&self) -> Result<Vec<String>> {
        self.inner.check().await
    }
}

/// The same stage over a store that is shut.
fn shut(stage: &mut Stage) -> watch::Sender<bool> {
    let (opens, open) = watch::channel(false);
    let away = Arc::default();
    stage.seen_through = Box::new(move |inner| Arc::new(Slow { inner, open: open.clone(), away: Arc::clone(&away) }));
    opens
}

/// The same stage over a store that can be away.
fn away(stage: &mut Stage) -> Arc<Away> {
    let ((_, open), away) = (watch::channel(true), Arc::<Away>::default());
    let shared = Arc::clone(&away);
    stage.seen_through = Box::new(move |inner| Arc::new(Slow { inner, open: open.clone(), away: Arc::clone(&shared) }));
    away
}

#[tokio::test(start_paused = true)]
async fn jobs_are_stopped_though_the_store_does_not_answer_at_first() {
    let mut stage = Stage::new([json!({})]);
    let away = away(&mut stage);
    let dispatcher = stage.dispatcher();
    let drain = dispatcher.drain();
    let running = tokio::spawn(async move { dispatcher.run().await });
    let id = stage.submit(stage.job(&["sleep 1000h"])).await;
    stage.until(id, |job| job.status == JobStatus::Running).await;
    away.interventions.store(3, Relaxed);
    drain.begin(DrainMode::StopJobs);
    running.await.unwrap().unwrap();
    assert_eq!(stage.store.job(id).await.unwrap().status, JobStatus::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn who_holds_nothing_hands_over_though_the_store_is_away() {
    let mut stage = Stage::new([json!({})]);
    let away = away(&mut stage);
    away.sessions.store(true, Relaxed);
    let dispatcher = stage.dispatcher();
    let drain = dispatcher.drain();
    let running = tokio::spawn(async move { dispatcher.run().await });
    stage.clock.sleep(Duration::from_secs(60)).await;
    drain.begin(DrainMode::HandOver);
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("it waits for the store").unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_is_seen_while_the_launch_is_being_stored_and_stored_after_it() {
    let mut stage = Stage::new([json!({})]);
    let opens = shut(&mut stage);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["exit 3"])).await;
    stage.clock.sleep(Duration::from_secs(60)).await;
    let opened_at = stage.now();
    assert_eq!(stage.kinds(id).await, ["submitted", "claimed"]);
    assert_eq!(stage.providers[0].executions().len(), 1);
    opens.send_replace(true);
    assert_eq!(stage.finished(id).await.exit_code, Some(3));
    stage.closed(id).await;
    let ended_at = stage.store.attempts(id).await.unwrap()[0].ended_at;
    assert!(ended_at.is_some_and(|ended_at| ended_at < opened_at), "its end was seen at {ended_at:?}");
    assert_eq!(stage.kinds(id).await, ["submitted", "claimed", "launched", "ended", "closed"]);
    dispatcher.abort();
}

/// Where nothing can be looked up, a launch that is not stored is lost.
#[tokio::test(start_paused = true)]
async fn who_drains_leaves_when_what_was_launched_is_stored() {
    let mut stage = Stage::new([json!({ "launch": "best-effort" })]);
    let opens = shut(&mut stage);
    let first = stage.dispatcher();
    let drain = first.drain();
    let mut running = tokio::spawn(async move { first.run().await });
    let id = stage.submit(stage.job(&["sleep 10m"])).await;
    while stage.providers[0].running().is_empty() {
        stage.clock.sleep(Duration::from_millis(10)).await;
    }
    drain.begin(DrainMode::HandOver);
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut running).await.is_err(), "it left");
    opens.send_replace(true);
    running.await.unwrap().unwrap();
    let second = stage.dispatch();
    assert_eq!(stage.finished(id).await.status, JobStatus::Completed);
    stage.closed(id).await;
    second.abort();
}
