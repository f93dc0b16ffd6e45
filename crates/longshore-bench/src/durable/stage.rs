//! A store and a dispatcher over one place.

use futures::StreamExt;
use longshore::{
    Allow, Clock, ContainerJob, ExecutionHost, ExecutorContext, ImageSource, JobStatus, JobTemplate, Network,
    SystemClock,
    dispatcher::{Dispatcher, Drain, DrainMode, Parts, Settings},
    route::{RoutedHost, Router, RoutingTable},
    store::{JobStore, LogStore, SqliteOptions, SqliteStore, Submission},
};
use std::{num::NonZeroU32, path::Path, sync::Arc, time::Instant};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

use crate::raw::{Failure, Result};

/// How many jobs are handed in at one time.
const BATCH: usize = 256;
/// How many such batches are under way at one time.
const LANES: usize = 4;

/// A SQLite file of its own, with full sync.
pub(crate) async fn sqlite(folder: &Path) -> Result<Arc<dyn JobStore>> {
    Ok(Arc::new(SqliteStore::open(folder.join("jobs.db"), SqliteOptions::default()).await?))
}

/// A dispatcher at work.
pub(crate) struct Stage {
    pub(crate) store: Arc<dyn JobStore>,
    drain: Drain,
    idle: watch::Receiver<bool>,
    work: JoinHandle<longshore::Result<()>>,
    folder: TempDir,
}

impl Stage {
    /// Over the mock, where everything takes no time.
    pub(crate) fn on_mock(store: Arc<dyn JobStore>, most: Option<u32>) -> Result<Self> {
        Self::start(store, host("mock", most)?)
    }

    pub(crate) fn start(store: Arc<dyn JobStore>, host: ExecutionHost) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let executor = longshore::registry().build(&host, &ExecutorContext::new(folder.path().join("state")))?;
        let table = RoutingTable::builder().hosts(vec![RoutedHost::new(host, executor)]).build()?;
        let dispatcher = Dispatcher::new(Parts {
            store: Arc::clone(&store),
            logs: Arc::new(LogStore::local(folder.path().join("logs"))?),
            router: Arc::new(Router::new(table)),
            clock: Arc::new(SystemClock),
            settings: Settings::builder().owner("bench".parse()?).build(),
        });
        let (drain, idle) = (dispatcher.drain(), dispatcher.idle());
        let work = tokio::spawn(async move { dispatcher.run().await });
        Ok(Self { store, drain, idle, work, folder })
    }

    /// Waits until there is nothing to be done.
    pub(crate) async fn idle(&mut self) -> Result<()> {
        self.idle.wait_for(|idle| *idle).await?;
        Ok(())
    }

    /// Hands in so many jobs, as quickly as they are taken.
    pub(crate) async fn submit(&self, count: usize, script: &str) -> Result<()> {
        let batches = (0..count).step_by(BATCH).map(|done| BATCH.min(count - done));
        let mut submitting =
            futures::stream::iter(batches.map(|size| self.submit_batch(size, script))).buffer_unordered(LANES);
        while let Some(submitted) = submitting.next().await {
            submitted?;
        }
        Ok(())
    }

    async fn submit_batch(&self, size: usize, script: &str) -> Result<()> {
        let now = SystemClock.now();
        let jobs: Vec<Submission> =
            (0..size).map(|_| Ok(Submission::builder(job("probe", &[script])?).build())).collect::<Result<_>>()?;
        for submitted in self.store.submit(jobs, now).await? {
            submitted?;
        }
        Ok(())
    }

    /// Waits until so many jobs in all are completed, and nothing is left to be done. Counts only when there is nothing to
    /// do; returns when that was, since counting reads whatever was ever completed.
    pub(crate) async fn completed(&mut self, least: u64) -> Result<Instant> {
        loop {
            let is_idle = *self.idle.borrow_and_update();
            let now = Instant::now();
            if is_idle && count(&*self.store, JobStatus::Completed).await? >= least {
                return Ok(now);
            }
            self.idle.changed().await?;
        }
    }

    /// Waits until so many jobs in all have the status.
    pub(crate) async fn count(&self, status: JobStatus, least: u64) -> Result<()> {
        let mut news = self.store.news().await?;
        while news.next().await.is_some() {
            if count(&*self.store, status).await? >= least {
                return Ok(());
            }
        }
        Err("the store tells no news any more".into())
    }

    /// Ends the dispatcher; what runs goes on.
    pub(crate) async fn end(self) -> Result<()> {
        self.drain.begin(DrainMode::HandOver);
        self.work.await??;
        self.folder.close()?;
        Ok(())
    }
}

/// How many jobs have the status.
pub(crate) async fn count(store: &dyn JobStore, status: JobStatus) -> Result<u64> {
    Ok(store.counts().await?.get(&status).copied().unwrap_or_default())
}

/// A place to run.
pub(crate) fn host(kind: &str, most: Option<u32>) -> Result<ExecutionHost> {
    let host = ExecutionHost::builder().name("bench".parse()?).executor_type(kind.parse()?).allow(Allow::default());
    Ok(host.maybe_max_concurrent_jobs(most.and_then(NonZeroU32::new)).build())
}

/// A job of the probe.
pub(crate) fn job(image: &str, script: &[&str]) -> Result<ContainerJob> {
    let template = JobTemplate::builder()
        .name("bench".parse::<longshore::JobName>().map_err(Failure::from)?)
        .image(image.parse::<ImageSource>()?)
        .network(Network::None)
        .args(script.iter().copied())
        .build();
    Ok(ContainerJob::new(template, SystemClock.now()))
}
