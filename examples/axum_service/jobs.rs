//! The jobs of the service: taken in, watched, stopped.

use futures::{Stream, StreamExt};
use longshore::{
    ByteSize, Clock, ContainerJob, Error, ErrorKind, JobId, JobTemplate, LogQuery, LogStream, Longshore, Result,
    Violation,
    dispatcher::DrainMode,
    route::{RouteRequest, Router},
    store::{JobStore, LogStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Submission},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::watch;

use crate::report::Report;

/// How many bytes of a job's output are kept, at most.
const LOG_CAP: ByteSize = ByteSize::from_mib(1);
/// How long a host may take to tell what it can do.
const DISCOVERY: Duration = Duration::from_secs(10);

/// The jobs. Clones are the same jobs.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    longshore: Longshore,
    logs: Arc<LogStore>,
    router: Arc<Router>,
    clock: Arc<dyn Clock>,
    closing: watch::Sender<bool>,
}

/// The store with this address: a PostgreSQL database's URL, or a file for SQLite, which is made at first.
///
/// # Errors
/// As the store can be opened.
pub async fn open_store(address: &str) -> Result<Arc<dyn JobStore>> {
    if address.starts_with("postgres://") || address.starts_with("postgresql://") {
        return Ok(Arc::new(PostgresStore::connect(address, PostgresOptions::default()).await?));
    }
    Ok(Arc::new(SqliteStore::open(Path::new(address), SqliteOptions::default()).await?))
}

impl Jobs {
    /// Takes up the jobs of the store, and dispatches them from now on.
    ///
    /// # Errors
    /// As the store and the hosts answer.
    pub async fn open(
        store: Arc<dyn JobStore>,
        logs: Arc<LogStore>,
        router: Arc<Router>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        // What hosts can do is known before the first job comes.
        router.discover(None, clock.as_ref(), DISCOVERY).await;
        let longshore = Longshore::builder()
            .store(store)
            .logs(Arc::clone(&logs) as _)
            .router(Arc::clone(&router))
            .clock(Arc::clone(&clock))
            .start()
            .await?;
        Ok(Self(Arc::new(Inner { longshore, logs, router, clock, closing: watch::Sender::new(false) })))
    }

    /// Stores a job; from then on it is not lost. The same key is the same job.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` for what can't be run here, `Conflict` for a key that another job has, `Unavailable` when
    /// the store does not answer or the service is about to end.
    pub async fn submit(&self, mut template: JobTemplate, key: Option<&str>) -> Result<Report> {
        if *self.0.closing.borrow() {
            return Err(Error::new(ErrorKind::Unavailable, "the service is about to end and takes no more jobs"));
        }
        refuse_secrets(&template)?;
        template.log_cap = Some(template.log_cap.unwrap_or(LOG_CAP).min(LOG_CAP));
        let job = ContainerJob::new(template, self.0.clock.now());
        let decision = self.0.router.route_job(&RouteRequest::new(&job, self.0.clock.now())).decision;
        // What has to wait, waits in the store.
        if let Some(never) = decision.error().filter(|error| error.kind() != ErrorKind::Capacity) {
            return Err(never);
        }
        let key = key.map(str::parse).transpose()?;
        let id = self.0.longshore.submit(Submission::builder(job).maybe_idempotency_key(key).build()).await?;
        self.report(id).await
    }

    /// How the job stands.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when the store does not answer.
    pub async fn report(&self, id: JobId) -> Result<Report> {
        let record = self.0.longshore.job(id).await?;
        Ok(Report::of(&record, self.0.longshore.store().attempts(id).await?.last()))
    }

    /// How the job stands, and again each time that it has moved, until it or the service ends.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub async fn watch(&self, id: JobId) -> Result<impl Stream<Item = Result<Report>> + Send + use<>> {
        let (moves, jobs) = (self.0.longshore.watch(id).await?, self.clone());
        let reports = moves.then(move |record| {
            let jobs = jobs.clone();
            async move { jobs.report(record?.id()).await }
        });
        let mut closing = self.0.closing.subscribe();
        Ok(reports.take_until(async move {
            let _ = closing.wait_for(|closing| *closing).await;
        }))
    }

    /// Asks a job to end: the stop signal, its grace period, then the kill. A job that has ended is fine.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub async fn cancel(&self, id: JobId) -> Result<Report> {
        match self.0.longshore.cancel(id, "a client").await {
            Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
            _ => self.report(id).await,
        }
    }

    /// What the job's last attempt wrote, once it has ended.
    ///
    /// # Errors
    /// `Conflict` while it is still to end; as [`report`](Self::report).
    pub async fn output(&self, id: JobId, stream: LogStream) -> Result<Vec<u8>> {
        if !self.0.longshore.job(id).await?.status.is_terminal() {
            let message = "the job has not ended yet; its output is there when it has, which /events tells";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let attempts = self.0.longshore.store().attempts(id).await?;
        let kept = attempts.last().and_then(|attempt| attempt.outcome.as_ref()?.log.as_ref());
        let (mut output, mut query) = (Vec::new(), LogQuery::from_start());
        let Some(kept) = kept else { return Ok(output) };
        loop {
            let page = self.0.logs.read(kept, &query).await?;
            let wanted = page.records.iter().filter(|record| record.stream == stream);
            wanted.for_each(|record| output.extend_from_slice(&record.bytes));
            if page.ended.is_some() {
                return Ok(output);
            }
            query = LogQuery::after(page.next);
        }
    }

    /// Takes nothing more in and ends every watch.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// Hands over: what runs goes on running, and whoever is started next on the same store takes it up.
    ///
    /// # Errors
    /// What kept it from dispatching.
    pub async fn shut_down(&self) -> Result<()> {
        self.close();
        self.0.longshore.shutdown(DrainMode::HandOver).await
    }
}

/// Secrets are resolved on the service's machine. A stranger's reference could lead to any of its files.
fn refuse_secrets(template: &JobTemplate) -> Result<()> {
    let rule = "this service passes no secrets of its machine on; leave it out";
    if let Some(secret) = template.secrets.first() {
        return Err(Violation::new("secrets", &secret.name, rule).into());
    }
    match &template.registry_credentials {
        Some(credentials) => Err(Violation::new("registry_credentials", &credentials.username, rule).into()),
        None => Ok(()),
    }
}
