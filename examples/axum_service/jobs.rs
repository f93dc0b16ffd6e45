//! The jobs of the service: taken in, run a few at a time, stopped, remembered for a while.

use futures::channel::mpsc::{self, Sender};
use longshore::{
    ByteSize, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, JobId, JobTemplate, Owner, Result, Runner,
    Violation,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{record::Record, report::Report, worker::Worker};

/// How much the service takes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many jobs run at one time; the others wait for their turn.
    pub running: usize,
    /// How many jobs are remembered: those that wait and run, and the last ones that have ended.
    pub remembered: usize,
    /// How many bytes of a job's output are kept, at most. All of it is kept in memory.
    pub log: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { running: 4, remembered: 200, log: ByteSize::from_mib(1) }
    }
}

/// The jobs. Clones are the same jobs.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runner: Runner,
    clock: Arc<dyn Clock>,
    limits: Limits,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    /// An id sorts by the time of its making, so that the oldest jobs come first.
    records: BTreeMap<JobId, Arc<Record>>,
    /// Jobs for the worker; none any more once the service is about to end.
    queue: Option<Sender<Arc<Record>>>,
}

impl Jobs {
    /// No jobs yet, and the worker that will run them on the executor.
    #[must_use]
    pub fn new(
        executor: Arc<dyn ContainerExecutor>,
        owner: Owner,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> (Self, Worker) {
        let runner = Runner::new(executor).owned_by(owner).with_clock(Arc::clone(&clock));
        let (sender, queue) = mpsc::channel(limits.remembered);
        let worker = Worker::new(runner.clone(), limits.running, queue);
        let book = Mutex::new(Book { records: BTreeMap::new(), queue: Some(sender) });
        (Self(Arc::new(Inner { runner, clock, limits, book })), worker)
    }

    /// Takes a job in; the worker runs it when it is its turn.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` for what can't be run here, `Unavailable` when the host can't be asked or the
    /// service is about to end, `Capacity` when too many jobs wait.
    pub async fn submit(&self, mut template: JobTemplate) -> Result<Report> {
        refuse_secrets(&template)?;
        template.log_cap = Some(template.log_cap.unwrap_or(self.0.limits.log).min(self.0.limits.log));
        let job = ContainerJob::new(template, self.0.clock.now());
        self.0.runner.plan(&job).await?;

        let record = Arc::new(Record::new(job));
        self.book().add(&record, self.0.limits.remembered)?;
        Ok(record.report())
    }

    /// Asks a job to end: the stop signal, its grace period, then the kill. A job that has ended is fine.
    ///
    /// # Errors
    /// `NotFound` for a job that is not remembered.
    pub fn cancel(&self, id: JobId) -> Result<Report> {
        let record = self.record(id)?;
        record.cancel();
        Ok(record.report())
    }

    /// Takes nothing more in, asks all jobs to end, and returns when nothing of them is left.
    pub async fn shut_down(&self) {
        let records: Vec<_> = {
            let mut book = self.book();
            book.queue = None;
            book.records.values().cloned().collect()
        };
        records.iter().for_each(|record| record.cancel());
        for record in records {
            record.ended().await;
        }
    }

    pub(crate) fn record(&self, id: JobId) -> Result<Arc<Record>> {
        let unknown = || Error::new(ErrorKind::NotFound, format!("there is no job {id} here, or no longer"));
        self.book().records.get(&id).cloned().ok_or_else(unknown)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn add(&mut self, record: &Arc<Record>, most: usize) -> Result<()> {
        let closed = || Error::new(ErrorKind::Unavailable, "the service is about to end and takes no more jobs");
        let full = || Error::new(ErrorKind::Capacity, format!("{most} jobs are waiting or running; try later"));
        let queue = self.queue.as_mut().ok_or_else(closed)?;
        if self.records.len() >= most {
            let ended = self.records.values().find(|record| record.has_ended()).map(|record| record.job.id);
            self.records.remove(&ended.ok_or_else(full)?);
        }
        queue.try_send(Arc::clone(record)).map_err(|_| full())?;
        self.records.insert(record.job.id, Arc::clone(record));
        Ok(())
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
