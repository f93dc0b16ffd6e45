//! Pages of a log: which bytes, in which records, and where the next page begins.

use bytes::Bytes;
use jiff::Timestamp;
use longshore_core::{
    ByteSize, Capabilities, Capability, Error, ErrorKind, LogCompleteness, LogCursor, LogRecord, LogStream, LogSummary,
    Result,
};

use crate::{
    process::{Output, Process},
    timeline::Replay,
};

/// What of a log is kept, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keeping {
    separate: bool,
    stamped: bool,
    exact: bool,
}

impl Keeping {
    pub(crate) fn of(capabilities: &Capabilities) -> Self {
        Self {
            separate: capabilities.has(Capability::SeparateStreams),
            stamped: capabilities.has(Capability::LogTimestamps),
            exact: capabilities.has(Capability::BinaryLogs),
        }
    }

    fn record(self, stream: LogStream, at: Timestamp, bytes: Bytes) -> LogRecord {
        let stream = if self.separate { stream } else { LogStream::Stdout };
        LogRecord::new(stream, self.stamped.then_some(at), bytes)
    }

    fn bytes(self, bytes: Bytes) -> Bytes {
        if self.exact || std::str::from_utf8(&bytes).is_ok() { bytes } else { without_binary(&bytes) }
    }

    /// How much of what the process wrote the log holds.
    pub(crate) fn completeness(self, process: &Process, cap: ByteSize) -> LogCompleteness {
        if process.is_truncated() {
            return LogCompleteness::Truncated { cap };
        }
        if self.exact {
            return LogCompleteness::Complete;
        }
        LogCompleteness::Lossy { reason: "the provider replaces bytes that are not UTF-8".to_owned() }
    }

    pub(crate) fn summary(self, process: &Process, cap: ByteSize) -> LogSummary {
        let completeness = self.completeness(process, cap);
        if !self.separate {
            return LogSummary::new(completeness, process.logged(), 0);
        }
        let [stdout, stderr] = [LogStream::Stdout, LogStream::Stderr].map(|stream| process.logged_of(stream));
        LogSummary::new(completeness, stdout, stderr)
    }
}

/// As a provider does that takes logs for text: whatever is not UTF-8 becomes a question mark, byte by byte.
fn without_binary(bytes: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        text.extend(chunk.invalid().iter().map(|_| b'?'));
    }
    text.into()
}

/// A page that is being filled.
#[derive(Debug)]
pub(crate) struct Filling {
    pub(crate) records: Vec<LogRecord>,
    /// Where the page ends.
    pub(crate) next: u64,
    room: usize,
    is_full: bool,
    cut: Option<u64>,
    keeping: Keeping,
}

impl Filling {
    /// An empty page at the given place with about so many bytes of room, that ends where the connection is cut.
    pub(crate) fn new(from: u64, room: usize, cut_every: Option<u64>, keeping: Keeping) -> Self {
        let cut = cut_every.map(|every| (from / every + 1) * every);
        Self { records: Vec::new(), next: from, room, is_full: false, cut, keeping }
    }

    /// Fills the page from what the process writes; there may be more when it is full.
    pub(crate) fn fill(mut self, replay: &mut Replay<'_>) -> Self {
        while !self.is_full
            && let Some(output) = replay.next()
        {
            self.take(output);
        }
        self
    }

    fn take(&mut self, Output { at, stream, offset, bytes }: Output) {
        let Some(known) = self.next.checked_sub(offset).and_then(|known| usize::try_from(known).ok()) else { return };
        if known >= bytes.len() {
            return;
        }
        let bytes = self.keeping.bytes(bytes).slice(known..);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.is_full {
                return;
            }
            self.add(stream, at, bytes.slice_ref(line));
        }
    }

    fn add(&mut self, stream: LogStream, at: Timestamp, line: Bytes) {
        if !self.records.is_empty() && line.len() > self.room {
            self.is_full = true;
            return;
        }
        let to_cut = self.cut.and_then(|cut| usize::try_from(cut - self.next).ok()).unwrap_or(usize::MAX);
        let line = line.slice(..line.len().min(to_cut));
        self.next += line.len() as u64;
        self.room = self.room.saturating_sub(line.len());
        self.is_full = self.room == 0 || line.len() == to_cut;
        self.records.push(self.keeping.record(stream, at, line));
    }
}

/// A cursor names its log, so that another's is refused, and the number of bytes before it.
pub(crate) fn cursor(execution: &str, offset: u64) -> LogCursor {
    LogCursor::new(format!("{execution}@{offset}"))
}

/// The place that the cursor stands for in a log of so many bytes.
pub(crate) fn place(of: Option<&LogCursor>, execution: &str, length: u64) -> Result<u64> {
    let Some(given) = of else { return Ok(0) };
    let offset = given.as_str().strip_prefix(execution).and_then(|rest| rest.strip_prefix('@'));
    offset
        .and_then(|offset| offset.parse().ok())
        .filter(|offset| *offset <= length && cursor(execution, *offset) == *given)
        .ok_or_else(|| {
            let message =
                format!("the cursor is not of the log of {execution}; use one that a page of it gave, or none");
            Error::new(ErrorKind::Invalid, message)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cursors_of_a_log_are_read() {
        for offset in [0, 7] {
            assert_eq!(place(Some(&cursor("mock-3", offset)), "mock-3", 7).unwrap(), offset);
        }
        assert_eq!(place(None, "mock-3", 7).unwrap(), 0);
        for text in ["", "0", "mock-3", "mock-3@", "mock-3@-1", "mock-3@01", "mock-3@8", "mock-31@1", "mock-4@0", "@0"]
        {
            let error = place(Some(&LogCursor::new(text)), "mock-3", 7).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn text_survives_where_bytes_do_not() {
        assert_eq!(without_binary("grüße 🚢\n".as_bytes()), "grüße 🚢\n");
        assert_eq!(without_binary(b"a\xff\xfe\xe2\x82b"), "a????b");
    }

    #[test]
    fn a_page_ends_where_it_was_asked_to_or_where_it_is_cut() {
        let keeping = Keeping { separate: true, stamped: false, exact: true };
        let output = || Output {
            at: Timestamp::UNIX_EPOCH,
            stream: LogStream::Stderr,
            offset: 10,
            bytes: Bytes::from_static(b"one\ntwo\nthree"),
        };
        let page = |from, room, cut| {
            let mut page = Filling::new(from, room, cut, keeping);
            page.take(output());
            let texts: Vec<String> =
                page.records.iter().map(|it| String::from_utf8_lossy(&it.bytes).into_owned()).collect();
            (texts, page.next, page.is_full)
        };
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(page(10, 100, None), (texts(&["one\n", "two\n", "three"]), 23, false));
        assert_eq!(page(12, 1, None), (texts(&["e\n"]), 14, true));
        assert_eq!(page(10, 9, None), (texts(&["one\n", "two\n"]), 18, true));
        assert_eq!(page(10, 0, None), (texts(&["one\n"]), 14, true));
        assert_eq!(page(10, 100, Some(16)), (texts(&["one\n", "tw"]), 16, true));
        assert_eq!(page(16, 100, Some(16)), (texts(&["o\n", "three"]), 23, false));
        assert_eq!(page(23, 100, None), (texts(&[]), 23, false));
    }
}
