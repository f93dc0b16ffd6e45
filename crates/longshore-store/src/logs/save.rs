//! Saving the log of an execution that has ended.

use longshore_core::{
    ByteSize, ContainerExecutor, Error, ErrorKind, ExecutionHandle, LogCompleteness, LogQuery, LogRecord, LogSummary,
    Result,
};
use std::time::Duration;

use super::{
    assemble::{Assembled, Assembler, PIECE},
    output::Output,
    place::Place,
    reference::{LogBytes, LogReference, StoredLog},
};

/// How long an executor that can wait waits for the end of a log.
const WAIT: Duration = Duration::from_secs(20);

/// A log that is saved.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SavedLog {
    /// What finds it again: to be stored with the attempt.
    pub reference: LogReference,
    /// What was kept of it.
    pub summary: LogSummary,
    /// How many bytes of the program's output were not kept, because of the cap.
    pub beyond_cap: u64,
    /// The main container's standard output, where that is one JSON value of at most 1 MiB, and nothing of the log is missing
    /// or may be.
    pub parsed_output: Option<serde_json::Value>,
}

pub(super) async fn save(
    place: &Place,
    executor: &dyn ContainerExecutor,
    handle: &ExecutionHandle,
    cap: ByteSize,
) -> Result<SavedLog> {
    let mut saving = Saving { place, handle, assembler: Assembler::new(cap), output: Output::new() };
    let mut query = LogQuery::from_start().waiting(WAIT);
    loop {
        let page = executor.get_logs(handle, &query).await?;
        let is_stuck = page.records.is_empty() && query.cursor.as_ref() == Some(&page.next);
        for record in page.records {
            saving.add(&record).await?;
        }
        match page.ended {
            Some(completeness) => return saving.finish(completeness).await,
            None if is_stuck => return Err(not_ended(handle)),
            None => query = LogQuery::after(page.next).waiting(WAIT),
        }
    }
}

fn not_ended(handle: &ExecutionHandle) -> Error {
    let message =
        "the executor has no more of the log and does not say that it has ended; save it again a little later";
    Error::new(ErrorKind::Unavailable, message).with_context("execution", &handle.external_execution_id)
}

struct Saving<'a> {
    place: &'a Place,
    handle: &'a ExecutionHandle,
    assembler: Assembler,
    output: Output,
}

impl Saving<'_> {
    async fn add(&mut self, record: &LogRecord) -> Result<()> {
        self.output.add(record);
        for piece in record.bytes.chunks(PIECE) {
            if let Some(full) = self.assembler.add(record, piece) {
                self.place.put(self.handle.token, full.name, full.bytes).await?;
            }
        }
        Ok(())
    }

    async fn finish(self, told: LogCompleteness) -> Result<SavedLog> {
        let Self { place, handle, assembler, output } = self;
        let ((stdout_bytes, stderr_bytes), beyond_cap) = (assembler.kept(), assembler.beyond_cap());
        let (completeness, assembled) = assembler.finish(told).map_err(|error| {
            Error::new(ErrorKind::Unexpected, "how complete the log is can't be written as JSON").with_source(error)
        })?;
        let reference = match assembled {
            Assembled::Inline(bytes) => LogReference::Inline(LogBytes(bytes)),
            Assembled::Chunks { last, bytes } => {
                let stored = StoredLog { token: handle.token, last: last.name };
                place.put(handle.token, last.name, last.bytes).await?;
                place.settle(handle.token).await?;
                let chunks = stored.last.number.saturating_add(1);
                LogReference::Stored { name: stored.to_string(), chunks, bytes }
            }
        };
        let parsed_output = output.parse(&completeness);
        let summary = LogSummary::new(completeness, stdout_bytes, stderr_bytes);
        Ok(SavedLog { reference, summary, beyond_cap, parsed_output })
    }
}
