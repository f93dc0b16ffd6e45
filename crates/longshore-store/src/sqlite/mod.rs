//! The store in a SQLite file.

mod budgets;
mod check;
mod fault;
mod intervene;
mod list;
mod neighbours;
mod open;
mod queue;
mod readers;
mod record;
mod rows;
mod sessions;
mod submit;
mod templates;
mod values;
mod writer;

use async_trait::async_trait;
use bon::Builder;
use jiff::Timestamp;
use longshore_core::{Clock, HostName, JobId, JobName, LaunchToken, Owner, Result, SystemClock};
use notify::RecommendedWatcher;
use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use self::{
    fault::{Outcome, panicked},
    neighbours::Opening,
    open::Place,
    readers::Readers,
    rows::{attempts_of, events_of, find_attempt, known_job},
    writer::{Done, Writer},
};
use crate::{
    Adoption, AttemptRecord, AttemptState, Beat, Change, Claim, Claimed, Held, Intervention, JobArchive, JobEvent,
    JobQuery, JobRecord, JobStore, News, NewsStream, Pause, Placer, Request, SavedTemplate, SessionId, StatusCounts,
    Submission, Submitted, What, news::NewsBoard, refusals,
};

/// How a SQLite store is opened.
#[derive(Debug, Clone, Builder)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How long a call waits for another process that keeps the database locked. Half a minute unless said otherwise.
    #[builder(default = Duration::from_secs(30))]
    pub patience: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::builder().build()
    }
}

/// A store in a SQLite file, for one machine. Several processes may share the file. Clones share the opening.
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    place: Place,
    writer: Writer,
    readers: Readers,
    opening: Arc<Opening>,
    board: Arc<NewsBoard>,
    watcher: Mutex<Option<RecommendedWatcher>>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.0.place.path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the database at this path. Where there is none it is made, with its folder; an older one is brought to this
    /// version in one transaction. Dropping the future is safe.
    ///
    /// Beside the file, SQLite keeps `-wal` and `-shm`, and this store a folder `-live`, which tells which processes use the
    /// database.
    ///
    /// # Errors
    /// `Invalid` when the file is something else; `Unsupported` when it needs a newer version; `PermissionDenied`;
    /// `Unavailable` when another process keeps it locked, or the disk is full; `Unexpected` when it is damaged. The file
    /// was left as it was.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let place = Place { path: path.as_ref().to_owned(), patience: options.patience };
        let opened = tokio::task::spawn_blocking(move || Self::open_now(place));
        opened.await.map_err(|_| panicked())?
    }

    fn open_now(place: Place) -> Result<Self> {
        let connection = place.prepare()?;
        let opening = Arc::new(Opening::new(&place.path)?);
        let board = Arc::new(NewsBoard::new());
        let writer = Writer::start(connection, place.clone(), Arc::clone(&opening), Arc::clone(&board))?;
        let readers = Readers::new(place.clone());
        Ok(Self(Arc::new(Inner { place, writer, readers, opening, board, watcher: Mutex::default() })))
    }

    async fn write<T: Send + 'static>(
        &self,
        news: News,
        work: impl FnOnce(&rusqlite::Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.write_and_tell(move |connection| Ok((work(connection)?, news))).await
    }

    async fn write_and_tell<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Outcome<Done<T>> + Send + 'static,
    ) -> Result<T> {
        self.0.writer.write(work).await
    }
}

const NOTHING: News = News { queue: false, freed: false, interventions: false, moves: false };
const QUEUED: News = News { queue: true, moves: true, ..NOTHING };
const ASKED: News = News { interventions: true, ..NOTHING };
const FREED: News = News { freed: true, ..NOTHING };

#[async_trait]
impl JobStore for SqliteStore {
    async fn owner(&self) -> Result<Owner> {
        self.0.readers.read(open::owner).await
    }

    async fn now(&self) -> Result<Timestamp> {
        // All who share the file are on this machine.
        Ok(SystemClock.now())
    }

    async fn submit(&self, submissions: Vec<Submission>, now: Timestamp) -> Result<Vec<Result<Submitted>>> {
        let prepare = |submission| submit::Prepared::new(submission, now);
        let prepared: Vec<_> = submissions.into_iter().map(prepare).collect::<Result<_>>()?;
        self.write(QUEUED, move |connection| {
            prepared.iter().map(|prepared| submit::submit(connection, prepared)).collect()
        })
        .await
    }

    async fn intervene(&self, job: JobId, intervention: Intervention, request: Request) -> Result<JobRecord> {
        let news = QUEUED.or(ASKED);
        self.write(news, move |connection| intervene::intervene(connection, job, &intervention, &request)).await
    }

    async fn pause(&self, pause: Pause) -> Result<()> {
        self.write(ASKED, move |connection| intervene::pause(connection, &pause)).await
    }

    async fn resume(&self, host: Option<&HostName>, _request: Request) -> Result<bool> {
        let host = host.cloned();
        let news = News { queue: true, ..ASKED };
        self.write(news, move |connection| intervene::resume(connection, host.as_ref())).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.0.readers.read(intervene::pauses).await
    }

    async fn save_template(&self, saved: SavedTemplate) -> Result<()> {
        self.write(NOTHING, move |connection| templates::save(connection, &saved)).await
    }

    async fn remove_template(&self, name: &JobName) -> Result<bool> {
        let name = name.clone();
        self.write(NOTHING, move |connection| templates::remove(connection, &name)).await
    }

    async fn template(&self, name: &JobName) -> Result<SavedTemplate> {
        let name = name.clone();
        self.0.readers.read(move |connection| templates::one(connection, &name)).await
    }

    async fn templates(&self) -> Result<Vec<SavedTemplate>> {
        self.0.readers.read(templates::list).await
    }

    async fn job(&self, job: JobId) -> Result<JobRecord> {
        self.0.readers.read(move |connection| Ok(known_job(connection, job)?.record)).await
    }

    async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRecord>> {
        self.0.readers.read(move |connection| attempts_of(connection, known_job(connection, job)?.no)).await
    }

    async fn events(&self, job: JobId) -> Result<Vec<JobEvent>> {
        self.0.readers.read(move |connection| events_of(connection, known_job(connection, job)?.no)).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobRecord>> {
        let query = query.clone();
        self.0.readers.read(move |connection| list::jobs(connection, &query)).await
    }

    async fn counts(&self) -> Result<StatusCounts> {
        self.0.readers.read(list::counts).await
    }

    async fn news(&self) -> Result<NewsStream> {
        let news = self.0.board.listen();
        let mut watcher = self.0.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if watcher.is_none() {
            *watcher = Some(self.0.opening.watch(Arc::clone(&self.0.board))?);
        }
        Ok(news)
    }

    async fn open_session(&self, session: SessionId, name: &str) -> Result<()> {
        let (name, opening) = (name.to_owned(), self.0.opening.name().to_owned());
        self.write(FREED, move |connection| sessions::open(connection, session, &name, &opening)).await
    }

    async fn beat(&self, session: SessionId) -> Result<Vec<Beat>> {
        let others = self.write(NOTHING, move |connection| sessions::beat(connection, session)).await?;
        sessions::with_deaths(others, |opening| self.0.opening.is_dead(opening))
    }

    async fn fence(&self, session: SessionId, other: &Beat) -> Result<bool> {
        let other = other.clone();
        self.write_and_tell(move |connection| {
            let fenced = sessions::fence(connection, session, &other)?;
            Ok((fenced, News { freed: fenced, ..NOTHING }))
        })
        .await
    }

    async fn close_session(&self, session: SessionId) -> Result<()> {
        self.write(FREED, move |connection| sessions::close(connection, session)).await
    }

    async fn adopt(&self, session: SessionId, adoption: Adoption) -> Result<Vec<Held>> {
        self.write(NOTHING, move |connection| sessions::adopt(connection, session, &adoption)).await
    }

    async fn claim(&self, claim: Claim, placer: Arc<dyn Placer>) -> Result<Claimed> {
        self.write_and_tell(move |connection| {
            let claimed = queue::claim(connection, &claim, placer.as_ref())?;
            let news = News { moves: claimed.looked_at > 0, ..NOTHING };
            Ok((claimed, news))
        })
        .await
    }

    async fn wake_queue(&self, session: SessionId) -> Result<()> {
        self.write(News { queue: true, ..NOTHING }, move |connection| {
            sessions::alive(connection, session)?;
            queue::wake(connection)
        })
        .await
    }

    async fn record(&self, session: SessionId, changes: Vec<Change>) -> Result<Vec<Result<()>>> {
        // A place has become free, or a job came back.
        let queue = changes.iter().any(|change| matches!(change.what, What::Ended { .. }));
        let prepared: Vec<_> = changes.into_iter().map(record::Prepared::new).collect::<Result<_>>()?;
        self.write(News { queue, moves: true, ..NOTHING }, move |connection| {
            sessions::alive(connection, session)?;
            prepared.iter().map(|prepared| record::record(connection, session, prepared)).collect()
        })
        .await
    }

    async fn held(&self, session: SessionId) -> Result<Vec<Held>> {
        // Behind whatever was asked before, whose answer may have been lost.
        self.write(NOTHING, move |connection| sessions::held_by(connection, session)).await
    }

    async fn interventions(&self, session: SessionId) -> Result<Vec<JobRecord>> {
        self.0.readers.read(move |connection| sessions::interventions(connection, session)).await
    }

    async fn attempt(&self, token: LaunchToken) -> Result<Held> {
        let found = self.0.readers.read(move |connection| find_attempt(connection, token)).await?;
        found.ok_or_else(|| refusals::no_such_attempt(token))
    }

    async fn attempt_states(&self, tokens: &[LaunchToken]) -> Result<Vec<Option<AttemptState>>> {
        let tokens = tokens.to_vec();
        self.0.readers.read(move |connection| list::attempt_states(connection, &tokens)).await
    }

    async fn archive(&self, after: Option<JobId>, most: usize) -> Result<Vec<JobArchive>> {
        self.0.readers.read(move |connection| list::archive(connection, after, most)).await
    }

    async fn import(&self, archives: Vec<JobArchive>) -> Result<u64> {
        let prepared = submit::prepare_import(archives)?;
        self.write(News::EVERYTHING, move |connection| submit::import(connection, &prepared)).await
    }

    async fn purge(&self, jobs: &[JobId]) -> Result<Vec<JobId>> {
        let jobs = jobs.to_vec();
        self.write(NOTHING, move |connection| {
            let mut purged = Vec::new();
            for job in jobs {
                purged.extend(submit::purge(connection, job)?.then_some(job));
            }
            Ok(purged)
        })
        .await
    }

    async fn check(&self) -> Result<Vec<String>> {
        self.0.readers.read(check::check).await
    }
}
