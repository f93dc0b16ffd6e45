//! What the service remembers of one job.

use axum::body::Bytes;
use longshore::{
    ContainerJob, JobStatus, LogStream, Result, RunEvent, RunObserver, RunOutcome, StopLevel, StopSwitch, async_trait,
};
use tokio::sync::watch;

use crate::report::Report;

/// A job, the switch that stops it, and what is known of it. It observes its own run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) job: ContainerJob,
    pub(crate) stop: StopSwitch,
    known: watch::Sender<Known>,
}

/// What is known by now. Whoever watches it learns of every change, so that nobody has to ask again and again.
#[derive(Debug)]
struct Known {
    report: Report,
    output: [Vec<u8>; 2],
}

impl Record {
    pub(crate) fn new(job: ContainerJob) -> Self {
        let known = watch::Sender::new(Known { report: Report::of(&job), output: Default::default() });
        Self { job, stop: StopSwitch::new(), known }
    }

    pub(crate) fn report(&self) -> Report {
        self.known.borrow().report.clone()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.known.borrow().has_ended()
    }

    /// Waits until nothing of the job is left. Cancel-safe.
    pub(crate) async fn ended(&self) {
        // The error would say that the record is gone, and it is borrowed here.
        let _ = self.known.subscribe().wait_for(Known::has_ended).await;
    }

    /// What the job has written so far.
    pub(crate) fn output(&self, stream: LogStream) -> Bytes {
        self.known.borrow().after(stream, 0)
    }

    /// What the job writes beyond the first `read` bytes, as soon as there is something; empty once it has ended.
    pub(crate) async fn next_output(&self, stream: LogStream, read: usize) -> Bytes {
        let mut watched = self.known.subscribe();
        let news = watched.wait_for(|known| known.output[stream as usize].len() > read || known.has_ended()).await;
        news.map_or_else(|_| Bytes::new(), |known| known.after(stream, read))
    }

    /// Takes it out of the queue. False when it was cancelled there.
    pub(crate) fn begins(&self) -> bool {
        self.move_on_from_pending(JobStatus::Launching)
    }

    /// Stops it, whether it runs or waits.
    pub(crate) fn cancel(&self) {
        self.stop.stop(StopLevel::Graceful);
        self.move_on_from_pending(JobStatus::Cancelled);
    }

    pub(crate) fn ends(&self, run: Result<RunOutcome>) {
        self.known.send_modify(|known| match run {
            Ok(outcome) => known.report.learn(outcome),
            Err(error) => known.report.fail(&error),
        });
    }

    fn move_on_from_pending(&self, next: JobStatus) -> bool {
        self.known.send_if_modified(|known| {
            let waits = known.report.status == JobStatus::Pending;
            if waits {
                known.report.status = next;
            }
            waits
        })
    }
}

#[async_trait]
impl RunObserver for Record {
    async fn observe(&self, event: RunEvent<'_>) -> Result<()> {
        match event {
            RunEvent::Launched(_) => self.known.send_modify(|known| known.report.status = JobStatus::Running),
            RunEvent::Logs(records) => self.known.send_modify(|known| {
                for record in records {
                    known.output[record.stream as usize].extend_from_slice(&record.bytes);
                }
            }),
            _ => {}
        }
        Ok(())
    }
}

impl Known {
    fn has_ended(&self) -> bool {
        self.report.status.is_terminal()
    }

    fn after(&self, stream: LogStream, read: usize) -> Bytes {
        Bytes::copy_from_slice(&self.output[stream as usize][read..])
    }
}
