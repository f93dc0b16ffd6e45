//! Reading a log as the contract has it, with every page checked.

use longshore_core::{
    ContainerExecutor, ContainerName, ExecutionHandle, LogCompleteness, LogCursor, LogPage, LogQuery, LogRecord,
    LogStream,
};
use std::time::Duration;

use super::failure::{CaseResult, Halt, holds, same};

/// The longest record that the contract allows.
const LONGEST_RECORD: usize = 1 << 20;
/// How long a question for more waits.
const WAIT: Duration = Duration::from_millis(500);

/// What was read of a log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) records: Vec<Piece>,
    completeness: Option<LogCompleteness>,
}

/// What is remembered of one record: its bytes are in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) stream: LogStream,
    pub(crate) timestamp: Option<jiff::Timestamp>,
}

impl Log {
    pub(crate) fn len(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        [&self.stdout, &self.stderr].into_iter().any(|bytes| bytes.windows(text.len()).any(|part| part == text))
    }

    /// stdout as text, with what is not UTF-8 made visible.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn completeness(&self) -> CaseResult<LogCompleteness> {
        self.completeness.clone().ok_or_else(|| Halt::broken("the log was read to its end"))
    }

    fn take(&mut self, record: &LogRecord) {
        let bytes = match record.stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        };
        bytes.extend_from_slice(&record.bytes);
        self.records.push(Piece { stream: record.stream, timestamp: record.timestamp });
    }
}

/// Somebody who reads a log page by page.
#[derive(Debug)]
pub(crate) struct Reader {
    handle: ExecutionHandle,
    page_bytes: usize,
    pub(crate) cursor: Option<LogCursor>,
    pub(crate) log: Log,
    pub(crate) ended: Option<LogCompleteness>,
}

impl Reader {
    /// A reader at the log's beginning.
    pub(crate) fn of(handle: &ExecutionHandle) -> Self {
        Self { handle: handle.clone(), page_bytes: LogQuery::PAGE, cursor: None, log: Log::default(), ended: None }
    }

    /// The same reader with pages of about so many bytes.
    pub(crate) fn in_pages_of(mut self, page_bytes: usize) -> Self {
        self.page_bytes = page_bytes;
        self
    }

    /// The same reader from the given place on.
    pub(crate) fn from(mut self, cursor: LogCursor) -> Self {
        self.cursor = Some(cursor);
        self
    }

    pub(crate) fn into_log(self) -> Log {
        Log { completeness: self.ended, ..self.log }
    }

    /// Reads the next page from the given instance, and checks what every page must be.
    pub(crate) async fn read(&mut self, executor: &dyn ContainerExecutor) -> CaseResult {
        let query = self.cursor.take().map_or_else(LogQuery::from_start, LogQuery::after);
        let query = query.with_max_bytes(self.page_bytes).waiting(WAIT);
        let page = executor.get_logs(&self.handle, &query).await?;
        self.check(&page)?;
        page.records.iter().for_each(|record| self.log.take(record));
        self.ended = page.ended;
        self.cursor = Some(through_storage(&page.next)?);
        Ok(())
    }

    fn check(&self, page: &LogPage) -> CaseResult {
        let lengths = || page.records.iter().map(|record| record.bytes.len());
        let longest = lengths().max().unwrap_or_default();
        holds(longest <= LONGEST_RECORD, format!("no record is longer than 1 MiB; found one of {longest} bytes"))?;
        holds(lengths().all(|length| length > 0), "no record is empty")?;
        let before_last: usize = lengths().rev().skip(1).sum();
        let rule = format!(
            "a page ends about where asked ({} bytes); found {before_last} before its last record",
            self.page_bytes
        );
        holds(before_last <= self.page_bytes, rule)?;
        for record in &page.records {
            same("the record's container", &record.container, &ContainerName::main())?;
        }
        Ok(())
    }
}

/// A cursor as another program would have it, which found it in a database.
fn through_storage(cursor: &LogCursor) -> CaseResult<LogCursor> {
    Ok(serde_json::from_str(&serde_json::to_string(cursor)?)?)
}
