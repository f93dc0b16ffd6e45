//! Longshore inside somebody's own service.

use futures::{Stream, StreamExt, stream};
use longshore_core::{Clock, Error, ErrorKind, JobId, Result, SystemClock, route::Router};
use longshore_store::{Actor, Intervention, JobRecord, JobStore, NewsStream, Request, Submission, Submitted};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

use crate::{Dispatcher, Drain, DrainMode, LogKeeper, Parts, Settings, time::StoreClock};

/// Durable jobs for a service: submits, watches and cancels them, and dispatches them in the background.
///
/// A service has one, shares it freely, and ends it with [`shutdown`](Self::shutdown). Several services, and dispatchers of
/// other programs, may share one store: each job is run by one of them.
#[derive(Debug)]
pub struct Longshore {
    store: Arc<dyn JobStore>,
    time: StoreClock,
    drain: Drain,
    dispatching: Mutex<Option<JoinHandle<Result<()>>>>,
}

#[bon::bon]
impl Longshore {
    /// Begins with a store, a place for logs, and a router; [`start`](LongshoreBuilder::start) sets it to work.
    ///
    /// # Errors
    /// As the store answers.
    #[builder(finish_fn = start)]
    pub async fn builder(
        /// Where jobs are kept.
        store: Arc<dyn JobStore>,
        /// Where logs are kept.
        logs: Arc<dyn LogKeeper>,
        /// What finds places.
        router: Arc<Router>,
        /// How the dispatcher works; absent, as usual, and what it launches is owned by [the store](JobStore::owner).
        settings: Option<Settings>,
        /// The time; absent, the machine's.
        clock: Option<Arc<dyn Clock>>,
        /// Whether this service dispatches; false, where it only submits and others dispatch.
        #[builder(default = true)]
        dispatches: bool,
    ) -> Result<Self> {
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock));
        let settings = match settings {
            Some(settings) => settings,
            None => Settings::builder().owner(store.owner().await?).build(),
        };
        // What keeps the store from answering is told now, and not job by job.
        store.pauses().await?;
        let time = StoreClock::new(store.as_ref(), Arc::clone(&clock), settings.lease).await?;
        let parts = Parts { store: Arc::clone(&store), logs, router, clock, settings };
        let dispatcher = Dispatcher::new(parts);
        let drain = dispatcher.drain();
        let work = dispatches.then(|| tokio::spawn(async move { dispatcher.run().await }));
        Ok(Self { store, time, drain, dispatching: Mutex::new(work) })
    }
}

impl Longshore {
    /// Stores a job; when this returns, it survives whatever dies.
    ///
    /// # Errors
    /// As [`JobStore::submit`]. After an error that is lost contact the job may be stored: submitting the same job again is
    /// safe.
    pub async fn submit(&self, job: impl Into<Submission>) -> Result<JobId> {
        let submitted = self.submit_all(vec![job.into()]).await?;
        submitted.into_iter().next().map_or_else(nothing, |submitted| submitted.map(Submitted::id))
    }

    /// Stores many jobs at one time, which is much quicker than one after the other.
    ///
    /// # Errors
    /// As [`JobStore::submit`].
    pub async fn submit_all(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Submitted>>> {
        let now = self.time.certain(self.store.as_ref()).await?;
        self.store.submit(submissions, now).await
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// `NotFound`; as the store can be reached.
    pub async fn job(&self, id: JobId) -> Result<JobRecord> {
        self.store.job(id).await
    }

    /// The job as it is now, and again each time that it has moved, until it has ended. What happens quickly may be seen as
    /// one move.
    ///
    /// # Errors
    /// `NotFound`; as the store can be reached. An error ends the stream.
    pub async fn watch(&self, id: JobId) -> Result<impl Stream<Item = Result<JobRecord>> + Send + use<>> {
        let news = self.store.news().await?;
        let watch = Watch { store: Arc::clone(&self.store), news, id, last: None, over: false };
        Ok(stream::unfold(watch, |mut watch| async { watch.next().await.map(|record| (record, watch)) }))
    }

    /// Waits until the job has ended. Cancel-safe.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub async fn wait(&self, id: JobId) -> Result<JobRecord> {
        let mut moves = std::pin::pin!(self.watch(id).await?);
        let mut last = nothing();
        while let Some(record) = moves.next().await {
            last = Ok(record?);
        }
        last
    }

    /// Asks that the job ends: one that waits ends at once, one that runs is stopped.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has ended already.
    pub async fn cancel(&self, id: JobId, by: impl Into<String>) -> Result<JobRecord> {
        let now = self.time.certain(self.store.as_ref()).await?;
        let request = Request::new(Actor::User(by.into()), now);
        self.store.intervene(id, Intervention::Cancel, request).await
    }

    /// The store, for everything else.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn JobStore> {
        &self.store
    }

    /// Ends the dispatching, in the given way. Jobs can be submitted and watched afterwards as well.
    ///
    /// # Errors
    /// What kept it from dispatching.
    pub async fn shutdown(&self, mode: DrainMode) -> Result<()> {
        self.drain.begin(mode);
        let work = self.dispatching.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(work) = work else { return Ok(()) };
        let broken = |error| Error::new(ErrorKind::Unexpected, "the dispatcher broke").with_source(error);
        work.await.map_err(broken)?
    }
}

fn nothing<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unexpected, "the store gave no answer"))
}

struct Watch {
    store: Arc<dyn JobStore>,
    news: NewsStream,
    id: JobId,
    last: Option<JobRecord>,
    over: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<JobRecord>> {
        while !self.over {
            // The first news come at once.
            self.news.next().await?;
            match self.store.job(self.id).await {
                Ok(record) if self.last.as_ref() == Some(&record) => {}
                Ok(record) => {
                    self.over = record.status.is_terminal();
                    self.last = Some(record.clone());
                    return Some(Ok(record));
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
