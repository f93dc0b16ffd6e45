//! The store in PostgreSQL, for many dispatchers on many machines.
//!
//! # Locks
//! Whoever takes several takes them in this order, and rows of one kind by their id, so that nobody waits in a circle: the
//! row of a session, the lock of claims, jobs, attempts, accounts. What may still go wrong is begun again.

mod archive;
mod check;
mod claim;
mod codec;
mod failure;
mod interventions;
mod known;
mod news;
mod options;
mod pool;
mod query;
mod read;
mod record;
mod rows;
mod schema;
mod sessions;
mod submit;
mod submitter;
mod templates;
mod transact;
mod write;

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{ErrorKind, HostName, JobId, JobName, LaunchToken, Owner, Result};
use std::{fmt, sync::Arc};
use tokio::{sync::Mutex, task::JoinHandle};

use crate::{
    Adoption, AttemptRecord, AttemptState, Beat, Change, Claim, Claimed, Held, Intervention, JobArchive, JobEvent,
    JobQuery, JobRecord, JobStore, NewsStream, Pause, Placer, Request, SavedTemplate, SessionId, StatusCounts,
    Submission, Submitted, news::NewsBoard,
};
use failure::Failure;
use known::Known;
pub use options::PostgresOptions;
use pool::Pool;
use schema::Installation;
use submitter::Submitter;

/// A store in a PostgreSQL database, version 15 or later, for many dispatchers. Clones share their connections.
///
/// # Guarantees
/// - What is answered was committed with `synchronous_commit` on, or with `remote_apply`, whatever the database's default
///   says. With `fsync` off at the server, or after a failover to a standby that lagged behind, it may be lost all the same:
///   use synchronous replication where that matters.
/// - A transaction that failed because others were in the way, or because its connection was lost before the commit was sent,
///   is done again. When the answer to a commit is lost, that is told as lost contact, and the call may be made again.
/// - News are sent with the commit of what they tell of. After a time in which they could not be heard everything is said to
///   be new. Nothing is polled.
/// - A dispatcher that is frozen in the middle of a transaction, or cut off, stops others for ten seconds at most. One that is
///   frozen at the very moment at which the server sends it more than the socket takes is waited for as long as its machine
///   acknowledges what arrives, and over a Unix socket always: until it goes on, or ends, or `pg_terminate_backend` ends its
///   connection.
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    installation: Installation,
    submitter: Submitter,
    board: Arc<NewsBoard>,
    known: Known,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.get_mut() {
            listener.abort();
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresStore").field(&self.0.pool.server()).finish()
    }
}

impl PostgresStore {
    /// Opens the store in the database that the URL names, as
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`; makes its tables, or brings them up to date. They
    /// are in the first schema of the user's search path; `?options=-csearch_path%3DNAME` names another.
    ///
    /// The server's certificate is checked against Mozilla's roots, or against those in the file that `sslrootcert` names;
    /// without `sslmode` a server that offers no encryption is used without. Between the store and the server may stand a
    /// pooler only if it gives each connection a session of its own, because locks and `LISTEN` belong to sessions.
    ///
    /// Must be called in a tokio runtime, and be used in that one. Programs of two versions may use one database at once.
    ///
    /// # Errors
    /// `Invalid` for a URL that can't be read; `Unauthenticated`, `NotFound` and `PermissionDenied` as the server refuses;
    /// `Unsupported` for a server or tables that this version can't use; `Unavailable` when the server can't be reached.
    pub async fn connect(url: &str, options: PostgresOptions) -> Result<Self> {
        let target = options::read(url)?;
        let server = options::server(&target);
        let pool = Arc::new(Pool::new(target, server, options.connections.max(1), options.patience));
        let installation = schema::prepare(&pool, options.migrate).await?;
        let submitter = Submitter::start(Arc::clone(&pool), installation.clone());
        let board = Arc::new(NewsBoard::new());
        let (known, listener) = (Known::default(), Mutex::default());
        Ok(Self(Arc::new(Inner { pool, installation, submitter, board, known, listener })))
    }
}

/// A number of rows for a LIMIT.
fn rows_at_most(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

#[async_trait]
impl JobStore for PostgresStore {
    async fn owner(&self) -> Result<Owner> {
        Ok(self.0.installation.owner.clone())
    }

    async fn now(&self) -> Result<Timestamp> {
        self.0.pool.transact(&read::Now).await
    }

    async fn submit(&self, submissions: Vec<Submission>, now: Timestamp) -> Result<Vec<Result<Submitted>>> {
        self.0.submitter.submit(submissions, now).await
    }

    async fn intervene(&self, job: JobId, intervention: Intervention, request: Request) -> Result<JobRecord> {
        let Inner { pool, installation, .. } = &*self.0;
        pool.transact(&interventions::Intervene { job, intervention, request, installation }).await
    }

    async fn pause(&self, pause: Pause) -> Result<()> {
        let Inner { pool, installation, .. } = &*self.0;
        pool.transact(&interventions::SetPause { pause: &pause, installation }).await
    }

    async fn resume(&self, host: Option<&HostName>, _request: Request) -> Result<bool> {
        let Inner { pool, installation, .. } = &*self.0;
        pool.transact(&interventions::EndPause { host, installation }).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.0.pool.transact(&read::Pauses).await
    }

    async fn save_template(&self, saved: SavedTemplate) -> Result<()> {
        self.0.pool.transact(&templates::Save(&saved)).await
    }

    async fn remove_template(&self, name: &JobName) -> Result<bool> {
        self.0.pool.transact(&templates::Remove(name)).await
    }

    async fn template(&self, name: &JobName) -> Result<SavedTemplate> {
        self.0.pool.transact(&templates::One(name)).await
    }

    async fn templates(&self) -> Result<Vec<SavedTemplate>> {
        self.0.pool.transact(&templates::All).await
    }

    async fn job(&self, job: JobId) -> Result<JobRecord> {
        self.0.pool.transact(&read::OneJob(job)).await
    }

    async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRecord>> {
        self.0.pool.transact(&read::AttemptsOf(job)).await
    }

    async fn events(&self, job: JobId) -> Result<Vec<JobEvent>> {
        self.0.pool.transact(&read::EventsOf(job)).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobRecord>> {
        self.0.pool.transact(&query::Jobs(query)).await
    }

    async fn counts(&self) -> Result<StatusCounts> {
        self.0.pool.transact(&read::Counts).await
    }

    async fn news(&self) -> Result<NewsStream> {
        let mut listener = self.0.listener.lock().await;
        if listener.is_none() {
            let Inner { pool, installation, board, .. } = &*self.0;
            *listener = Some(news::start(Arc::clone(pool), installation.clone(), Arc::clone(board)).await?);
        }
        Ok(self.0.board.listen())
    }

    async fn open_session(&self, session: SessionId, name: &str) -> Result<()> {
        let Inner { pool, installation, .. } = &*self.0;
        pool.transact(&sessions::Open { session, name, installation }).await
    }

    async fn beat(&self, session: SessionId) -> Result<Vec<Beat>> {
        self.0.pool.transact(&sessions::Beats { session }).await
    }

    async fn fence(&self, session: SessionId, other: &Beat) -> Result<bool> {
        let Inner { pool, installation, .. } = &*self.0;
        pool.transact(&sessions::Fence { session, other, installation }).await
    }

    async fn close_session(&self, session: SessionId) -> Result<()> {
        let Inner { pool, installation, known, .. } = &*self.0;
        known.forget(session);
        pool.transact(&sessions::Close { session, installation }).await
    }

    async fn adopt(&self, session: SessionId, adoption: Adoption) -> Result<Vec<Held>> {
        self.0.pool.transact(&sessions::Adopt { session, adoption: &adoption }).await
    }

    async fn claim(&self, claim: Claim, placer: Arc<dyn Placer>) -> Result<Claimed> {
        let Inner { pool, installation, known, .. } = &*self.0;
        let (server, session) = (pool.server_number(), claim.session);
        let (claimed, rows) = pool.transact(&claim::Claiming { claim: &claim, placer: &*placer, installation }).await?;
        known.learn(server, session, rows);
        Ok(claimed)
    }

    async fn wake_queue(&self, session: SessionId) -> Result<()> {
        let Inner { pool, installation, .. } = &*self.0;
        pool.transact(&claim::WakeQueue { session, installation }).await
    }

    async fn record(&self, session: SessionId, changes: Vec<Change>) -> Result<Vec<Result<()>>> {
        let Inner { pool, installation, known, .. } = &*self.0;
        let work = record::Record { session, changes: &changes, pool, known, installation };
        let recorded = pool.transact(&work).await.inspect_err(|error| {
            if error.kind() == ErrorKind::LeaseLost {
                known.forget(session);
            }
        })?;
        known.learn(recorded.server, session, recorded.rows);
        Ok(recorded.answers)
    }

    async fn held(&self, session: SessionId) -> Result<Vec<Held>> {
        self.0.pool.transact(&sessions::HeldBy { session }).await
    }

    async fn interventions(&self, session: SessionId) -> Result<Vec<JobRecord>> {
        self.0.pool.transact(&sessions::Interventions { session }).await
    }

    async fn attempt(&self, token: LaunchToken) -> Result<Held> {
        self.0.pool.transact(&read::OneAttempt(token)).await
    }

    async fn attempt_states(&self, tokens: &[LaunchToken]) -> Result<Vec<Option<AttemptState>>> {
        self.0.pool.transact(&read::States(tokens)).await
    }

    async fn archive(&self, after: Option<JobId>, most: usize) -> Result<Vec<JobArchive>> {
        self.0.pool.transact(&archive::Archive { after, most: rows_at_most(most) }).await
    }

    async fn import(&self, archives: Vec<JobArchive>) -> Result<u64> {
        let Inner { pool, installation, .. } = &*self.0;
        pool.transact(&archive::Import { archives: &archives, installation }).await
    }

    async fn purge(&self, jobs: &[JobId]) -> Result<Vec<JobId>> {
        self.0.pool.transact(&archive::Purge(jobs)).await
    }

    async fn check(&self) -> Result<Vec<String>> {
        check::check(&self.0.pool).await
    }
}
