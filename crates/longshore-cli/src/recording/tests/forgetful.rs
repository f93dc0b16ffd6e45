//! A database whose answer to the first job is lost.

use longshore::store::{
    Adoption, AttemptRecord, AttemptState, Beat, Change, Claim, Claimed, Held, Intervention, JobArchive, JobEvent,
    JobQuery, JobRecord, JobStore, MemoryStore, NewsStream, Pause, Placer, Request, SavedTemplate, SessionId,
    StatusCounts, Submission, Submitted,
};
use longshore::{Error, ErrorKind, HostName, JobId, JobName, LaunchToken, Owner, Result, Timestamp, async_trait};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Takes the first job and loses the answer; after that it is silent to so many calls about jobs.
#[derive(Debug)]
pub(super) struct Forgetful {
    inner: MemoryStore,
    silence: u32,
    lag: Duration,
    imports: AtomicU32,
    silent: AtomicU32,
}

impl Forgetful {
    pub(super) fn new(inner: &MemoryStore, silence: u32) -> Self {
        let (imports, silent) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { inner: inner.clone(), silence, lag: Duration::ZERO, imports, silent }
    }

    /// The same, which takes its time to take a job.
    pub(super) fn lagging(self, lag: Duration) -> Self {
        Self { lag, ..self }
    }

    fn reached(&self) -> Result<()> {
        let silent = self.silent.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if silent.is_ok() { Err(lost()) } else { Ok(()) }
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection was lost during the commit")
}

#[async_trait]
impl JobStore for Forgetful {
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
        self.inner.intervene(job, intervention, request).await
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
        self.inner.open_session(session, name).await
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
        self.reached()?;
        self.inner.record(session, changes).await
    }

    async fn held(&self, session: SessionId) -> Result<Vec<Held>> {
        self.inner.held(session).await
    }

    async fn interventions(&self, session: SessionId) -> Result<Vec<JobRecord>> {
        self.inner.interventions(session).await
    }

    async fn attempt(&self, token: LaunchToken) -> Result<Held> {
        self.reached()?;
        self.inner.attempt(token).await
    }

    async fn attempt_states(&self, tokens: &[LaunchToken]) -> Result<Vec<Option<AttemptState>>> {
        self.inner.attempt_states(tokens).await
    }

    async fn archive(&self, after: Option<JobId>, most: usize) -> Result<Vec<JobArchive>> {
        self.inner.archive(after, most).await
    }

    /// The first answer is lost, and for a while the database with it.
    async fn import(&self, archives: Vec<JobArchive>) -> Result<u64> {
        self.reached()?;
        tokio::time::sleep(self.lag).await;
        let imported = self.inner.import(archives).await?;
        match self.imports.fetch_add(1, Ordering::SeqCst) {
            0 => {
                self.silent.store(self.silence, Ordering::SeqCst);
                Err(lost())
            }
            _ => Ok(imported),
        }
    }

    async fn purge(&self, jobs: &[JobId]) -> Result<Vec<JobId>> {
        self.inner.purge(jobs).await
    }

    async fn check(&self) -> Result<Vec<String>> {
        self.inner.check().await
    }
}
