//! Who is told how a run goes.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::sync::{Mutex, PoisonError};

use crate::{Error, ExecutionHandle, LogRecord, LogStream, Plan, PrepareProgress, Result, StopReason, Termination};

/// What happens in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunEvent<'a> {
    /// The executor has said what it will do.
    Planned(&'a Plan),
    /// The preparation goes on: an image is being pulled.
    Preparing(&'a PrepareProgress),
    /// The execution exists.
    Launched(&'a ExecutionHandle),
    /// The program has written something.
    Logs(&'a [LogRecord]),
    /// The provider can't be reached; the job goes on, and so does the asking.
    LostContact(&'a Error),
    /// The provider answers again.
    ContactRestored,
    /// The job is being stopped.
    Stopping(StopReason),
    /// The job has ended.
    Terminated(&'a Termination),
}

/// Somebody who is told how a run goes.
#[async_trait]
pub trait RunObserver: Send + Sync {
    /// Is told of an event. It may take its time: the job is not slowed.
    ///
    /// # Errors
    /// Before the launch, an error ends the run. For logs, it ends their delivery, and the container is kept so
    /// that nothing is lost. Otherwise it changes nothing.
    async fn observe(&self, event: RunEvent<'_>) -> Result<()>;
}

/// Keeps the output of a run in memory. The job's `log_cap` bounds it.
#[derive(Debug, Default)]
pub struct CapturedLogs {
    streams: Mutex<[BytesMut; 2]>,
}

impl CapturedLogs {
    /// What the program wrote to stdout.
    #[must_use]
    pub fn stdout(&self) -> Bytes {
        self.stream(LogStream::Stdout)
    }

    /// What the program wrote to stderr.
    #[must_use]
    pub fn stderr(&self) -> Bytes {
        self.stream(LogStream::Stderr)
    }

    fn stream(&self, stream: LogStream) -> Bytes {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        Bytes::copy_from_slice(&streams[stream as usize])
    }
}

#[async_trait]
impl RunObserver for CapturedLogs {
    async fn observe(&self, event: RunEvent<'_>) -> Result<()> {
        if let RunEvent::Logs(records) = event {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            for record in records {
                streams[record.stream as usize].extend_from_slice(&record.bytes);
            }
        }
        Ok(())
    }
}
