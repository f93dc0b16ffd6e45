//! The store in memory.

mod queue;
mod world;

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{Clock, HostName, JobId, JobName, LaunchToken, Owner, Result, SystemClock};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    Adoption, AttemptRecord, AttemptState, Beat, Change, Claim, Claimed, Held, Intervention, JobArchive, JobEvent,
    JobQuery, JobRecord, JobStore, News, NewsStream, Pause, Placer, Request, SavedTemplate, SessionId, StatusCounts,
    Submission, Submitted, What, ids::new_owner, news::NewsBoard, refusals, template::no_such_template,
};
use world::World;

/// A store in memory, for tests and simulations: it forgets everything with its process. Clones share what they hold.
#[derive(Debug, Clone)]
pub struct MemoryStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    news: NewsBoard,
    owner: String,
    clock: Arc<dyn Clock>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store, with the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store with another clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { world: Mutex::default(), news: NewsBoard::new(), owner: new_owner(), clock }))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: News) {
        self.0.news.tell(news);
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn owner(&self) -> Result<Owner> {
        Ok(self.0.owner.parse()?)
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.0.clock.now())
    }

    async fn submit(&self, submissions: Vec<Submission>, now: Timestamp) -> Result<Vec<Result<Submitted>>> {
        let mut world = self.world();
        let submitted = submissions.into_iter().map(|submission| world.submit(submission, now)).collect();
        drop(world);
        self.tell(News { queue: true, moves: true, ..News::default() });
        Ok(submitted)
    }

    async fn intervene(&self, job: JobId, intervention: Intervention, request: Request) -> Result<JobRecord> {
        let record = self.world().intervene(job, intervention, request)?;
        self.tell(News { queue: true, interventions: true, moves: true, ..News::default() });
        Ok(record)
    }

    async fn pause(&self, pause: Pause) -> Result<()> {
        self.world().pauses.insert(pause.host.clone(), pause);
        self.tell(News { interventions: true, ..News::default() });
        Ok(())
    }

    async fn resume(&self, host: Option<&HostName>, _request: Request) -> Result<bool> {
        let ended = self.world().pauses.remove(&host.cloned()).is_some();
        self.tell(News { queue: true, interventions: true, ..News::default() });
        Ok(ended)
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        Ok(self.world().pauses.values().cloned().collect())
    }

    async fn save_template(&self, saved: SavedTemplate) -> Result<()> {
        self.world().templates.insert(saved.template.name.clone(), saved);
        Ok(())
    }

    async fn remove_template(&self, name: &JobName) -> Result<bool> {
        Ok(self.world().templates.remove(name).is_some())
    }

    async fn template(&self, name: &JobName) -> Result<SavedTemplate> {
        let saved = self.world().templates.get(name).cloned();
        match saved {
            Some(saved) => Ok(saved),
            None => Err(no_such_template(name, &self.templates().await?)),
        }
    }

    async fn templates(&self) -> Result<Vec<SavedTemplate>> {
        Ok(self.world().templates.values().cloned().collect())
    }

    async fn job(&self, job: JobId) -> Result<JobRecord> {
        self.world().job(job).cloned()
    }

    async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRecord>> {
        let world = self.world();
        world.job(job)?;
        Ok(world.attempts_of(job).cloned().collect())
    }

    async fn events(&self, job: JobId) -> Result<Vec<JobEvent>> {
        let world = self.world();
        world.job(job)?;
        Ok(world.events.get(&job).cloned().unwrap_or_default())
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobRecord>> {
        let world = self.world();
        let older = |job: &&JobRecord| query.after.is_none_or(|after| job.id() < after);
        let found = world.jobs.values().rev().filter(older).filter(|job| query.matches(job));
        Ok(found.take(query.limit).cloned().collect())
    }

    async fn counts(&self) -> Result<StatusCounts> {
        let mut counts = BTreeMap::new();
        for job in self.world().jobs.values() {
            *counts.entry(job.status).or_default() += 1;
        }
        Ok(counts)
    }

    async fn news(&self) -> Result<NewsStream> {
        Ok(self.0.news.listen())
    }

    async fn open_session(&self, session: SessionId, name: &str) -> Result<()> {
        self.world().open_session(session, name)?;
        self.tell(News { freed: true, ..News::default() });
        Ok(())
    }

    async fn beat(&self, session: SessionId) -> Result<Vec<Beat>> {
        self.world().beat(session)
    }

    async fn fence(&self, session: SessionId, other: &Beat) -> Result<bool> {
        let fenced = self.world().fence(session, other)?;
        self.tell(News { freed: fenced, ..News::default() });
        Ok(fenced)
    }

    async fn close_session(&self, session: SessionId) -> Result<()> {
        self.world().close_session(session)?;
        self.tell(News { freed: true, ..News::default() });
        Ok(())
    }

    async fn adopt(&self, session: SessionId, adoption: Adoption) -> Result<Vec<Held>> {
        self.world().adopt(session, &adoption)
    }

    async fn claim(&self, claim: Claim, placer: Arc<dyn Placer>) -> Result<Claimed> {
        let claimed = self.world().claim(&claim, placer.as_ref())?;
        self.tell(News { moves: claimed.looked_at > 0, ..News::default() });
        Ok(claimed)
    }

    async fn wake_queue(&self, session: SessionId) -> Result<()> {
        let mut world = self.world();
        world.alive(session)?;
        world.wake_queue();
        drop(world);
        self.tell(News { queue: true, ..News::default() });
        Ok(())
    }

    async fn record(&self, session: SessionId, changes: Vec<Change>) -> Result<Vec<Result<()>>> {
        let mut world = self.world();
        world.alive(session)?;
        let mut news = News { moves: true, ..News::default() };
        let recorded = changes.into_iter().map(|change| {
            // A place has become free, or a job came back.
            news.queue |= matches!(change.what, What::Ended { .. });
            world.record(session, change)
        });
        let recorded = recorded.collect();
        drop(world);
        self.tell(news);
        Ok(recorded)
    }

    async fn held(&self, session: SessionId) -> Result<Vec<Held>> {
        self.world().held_by(session)
    }

    async fn interventions(&self, session: SessionId) -> Result<Vec<JobRecord>> {
        let held = self.world().held_by(session)?;
        Ok(held.into_iter().map(|held| held.job).filter(refusals::wants_attention).collect())
    }

    async fn attempt(&self, token: LaunchToken) -> Result<Held> {
        self.world().held(token)
    }

    async fn attempt_states(&self, tokens: &[LaunchToken]) -> Result<Vec<Option<AttemptState>>> {
        let world = self.world();
        Ok(tokens.iter().map(|token| world.attempts.get(token).map(|attempt| attempt.state)).collect())
    }

    async fn archive(&self, after: Option<JobId>, most: usize) -> Result<Vec<JobArchive>> {
        let world = self.world();
        let later = world.jobs.keys().filter(|id| after.is_none_or(|after| **id > after)).take(most);
        Ok(later.filter_map(|id| world.archive(*id)).collect())
    }

    async fn import(&self, archives: Vec<JobArchive>) -> Result<u64> {
        let new = self.world().import(archives)?;
        self.tell(News::EVERYTHING);
        Ok(new)
    }

    async fn purge(&self, jobs: &[JobId]) -> Result<Vec<JobId>> {
        let mut world = self.world();
        Ok(jobs.iter().filter(|id| world.purge(**id)).copied().collect())
    }

    async fn check(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
