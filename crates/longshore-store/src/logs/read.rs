//! Reading a saved log, a chunk at a time.

use bytes::Bytes;
use longshore_core::{Error, ErrorKind, LaunchToken, LogCursor, LogPage, LogQuery, Result};
use std::sync::{Arc, Mutex, PoisonError};

use super::{
    chart::{Chart, lost},
    frame::Ending,
    page::{self, Filled},
    place::Place,
    reference::{ChunkHash, ChunkName, LogReference, StoredLog},
    wire::Damage,
};

/// A place in a saved log, counted in bytes of the program's output, or in lines as they are seen when both outputs are shown
/// together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogPosition {
    /// Behind the first so many bytes.
    AfterBytes(u64),
    /// Before the last so many bytes.
    LastBytes(u64),
    /// Before the last so many lines. A last line without a line break is one.
    LastLines(u64),
}

/// What was read last, so that paging through a log reads each chunk once. A chunk's name tells its content: nothing here can
/// be outdated.
#[derive(Default)]
pub(super) struct Recent {
    chart: Option<Arc<Chart>>,
    chunk: Option<(StoredLog, ChunkName, Bytes)>,
}

/// Reads from a place, remembering what it read last.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) place: &'a Place,
    pub(super) recent: &'a Mutex<Recent>,
}

impl Reader<'_> {
    pub(super) async fn page(self, reference: &LogReference, query: &LogQuery) -> Result<LogPage> {
        let mark = mark(reference)?;
        let offset = query.cursor.as_ref().map_or(Ok(0), |cursor| offset(&mark, cursor))?;
        let filled = match reference {
            LogReference::Inline(bytes) => page::fill(&bytes.0, 0, offset, query.max_bytes),
            LogReference::Stored { name, .. } => {
                let chart = self.chart(StoredLog::parse(name)?).await?;
                self.fill(&chart, offset, query.max_bytes).await?
            }
        };
        finished(&mark, offset, filled)
    }

    pub(super) async fn seek(self, reference: &LogReference, position: LogPosition) -> Result<LogCursor> {
        let offset = match (position, reference) {
            (LogPosition::AfterBytes(bytes), _) => bytes,
            (LogPosition::LastBytes(bytes), _) => self.length(reference).await?.saturating_sub(bytes),
            (LogPosition::LastLines(0), _) => self.length(reference).await?,
            (LogPosition::LastLines(lines), LogReference::Inline(bytes)) => {
                last_lines(&bytes.0, lines).map_err(unreadable_inline)?.unwrap_or_default()
            }
            (LogPosition::LastLines(lines), LogReference::Stored { name, .. }) => {
                self.last_lines(&*self.chart(StoredLog::parse(name)?).await?, lines).await?
            }
        };
        Ok(cursor(&mark(reference)?, offset))
    }

    pub(super) async fn skip(self, reference: &LogReference, behind: &LogCursor) -> Result<Option<LogCursor>> {
        let mark = mark(reference)?;
        let offset = offset(&mark, behind)?;
        let LogReference::Stored { name, .. } = reference else { return Ok(None) };
        let chart = self.chart(StoredLog::parse(name)?).await?;
        Ok(chart.next_start(offset).map(|next| cursor(&mark, next)))
    }

    /// The names of all chunks of this log, which must be the token's.
    pub(super) async fn names(self, token: LaunchToken, log: StoredLog) -> Result<Vec<String>> {
        if log.token != token {
            let message = format!("the log {log} is not that of the attempt {token}; nothing is removed");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let chart = self.chart(log).await?;
        chart.ending.as_ref().map_err(Error::repeated)?;
        Ok(chart.names())
    }

    /// How many bytes of the program's output the log holds.
    async fn length(self, reference: &LogReference) -> Result<u64> {
        match reference {
            LogReference::Inline(bytes) => {
                page::ending(&bytes.0).map(|ending| ending.content()).map_err(unreadable_inline)
            }
            LogReference::Stored { name, .. } => {
                let chart = self.chart(StoredLog::parse(name)?).await?;
                chart.ending.as_ref().map(Ending::content).map_err(Error::repeated)
            }
        }
    }

    async fn fill(self, chart: &Chart, offset: u64, max_bytes: usize) -> Result<Filled> {
        let missing = |number, from| chart.lost(number, from, ErrorKind::NotFound, "is missing");
        let Some(name) = chart.at(offset) else { return Err(missing(0, 0)) };
        let bytes = self.chunk(chart, name).await?;
        let filled = page::fill(&bytes, name.start, offset, max_bytes);
        match filled.damage {
            _ if !filled.records.is_empty() || filled.ending.is_some() => Ok(filled),
            Some(damage) => {
                Err(chart.lost(name.number, filled.next, ErrorKind::Unexpected, &format!("can't be read ({damage})")))
            }
            None => Err(missing(name.number.saturating_add(1), offset)),
        }
    }

    async fn last_lines(self, chart: &Chart, lines: u64) -> Result<u64> {
        let ending = chart.ending.as_ref().map_err(Error::repeated)?;
        let unreadable = |name: ChunkName, damage: Damage| {
            chart.lost(name.number, name.start, ErrorKind::Unexpected, &format!("can't be read ({damage})"))
        };
        let last = chart.log.last;
        let bytes = self.chunk(chart, last).await?;
        let (count, ends_with_break) = page::breaks(&bytes).map_err(|damage| unreadable(last, damage))?;
        let mut wanted = lines.saturating_add(u64::from(ends_with_break));
        if count >= wanted {
            let within = page::after_break(&bytes, count - wanted).map_err(|damage| unreadable(last, damage))?;
            return Ok(last.start + within);
        }
        wanted -= count;
        for (number, entry) in ending.index.iter().enumerate().rev() {
            let Some(name) = chart.numbered(number).filter(|_| entry.newlines >= wanted) else {
                wanted -= entry.newlines;
                continue;
            };
            let bytes = self.chunk(chart, name).await?;
            let within =
                page::after_break(&bytes, entry.newlines - wanted).map_err(|damage| unreadable(name, damage))?;
            return Ok(name.start + within);
        }
        Ok(0)
    }

    /// Where the parts of a log are: from its last chunk, or from what else is there when that can't be read.
    async fn chart(self, log: StoredLog) -> Result<Arc<Chart>> {
        if let Some(chart) = self.recent().chart.clone().filter(|chart| chart.log == log) {
            return Ok(chart);
        }
        let damaged = |why: &str| lost(log, log.last.number, log.last.start..u64::MAX, ErrorKind::Unexpected, why);
        let told = match self.fetch(log, log.last, u64::MAX).await {
            Ok(bytes) => page::ending(&bytes).map_err(|damage| damaged(&format!("can't be read ({damage})"))),
            Err(error) if error.is_lost_contact() => return Err(error),
            Err(error) => Err(error),
        };
        let chart = match told.map(|ending| Chart::of_ending(log, ending)) {
            Ok(Some(chart)) => Arc::new(chart),
            Ok(None) => return self.salvage(log, damaged("contradicts itself")).await,
            Err(error) => return self.salvage(log, error).await,
        };
        self.recent().chart = Some(Arc::clone(&chart));
        Ok(chart)
    }

    async fn salvage(self, log: StoredLog, reason: Error) -> Result<Arc<Chart>> {
        let names = self.place.names(log.token).await?;
        Ok(Arc::new(Chart::of_names(log, names, reason)))
    }

    async fn chunk(self, chart: &Chart, name: ChunkName) -> Result<Bytes> {
        if let (true, Err(reason)) = (name == chart.log.last, &chart.ending) {
            return Err(reason.repeated());
        }
        self.fetch(chart.log, name, chart.next_start(name.start).unwrap_or(u64::MAX)).await
    }

    /// Reads a chunk that ends at the given place of the program's output, and makes sure that it is what was written.
    async fn fetch(self, log: StoredLog, name: ChunkName, end: u64) -> Result<Bytes> {
        if let Some((_, _, bytes)) = self.recent().chunk.clone().filter(|chunk| (chunk.0, chunk.1) == (log, name)) {
            return Ok(bytes);
        }
        let lost = |kind, why: &str| self.place.located(lost(log, name.number, name.start..end, kind, why));
        match self.place.get(log.token, name, longest(log)).await {
            Ok(Some(bytes)) if ChunkHash::of(&bytes) == name.hash => {
                self.recent().chunk = Some((log, name, bytes.clone()));
                Ok(bytes)
            }
            Ok(_) => Err(lost(ErrorKind::Unexpected, "is not what was written")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(lost(ErrorKind::NotFound, "is missing").with_source(error))
            }
            Err(error) => Err(error),
        }
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More than any chunk of this log can have: two pieces, and what the last one tells of each chunk.
fn longest(log: StoredLog) -> u64 {
    (4 << 20) + 64 * u64::from(log.last.number)
}

fn last_lines(chunk: &Bytes, lines: u64) -> Result<Option<u64>, Damage> {
    page::ending(chunk)?;
    let (count, ends_with_break) = page::breaks(chunk)?;
    let wanted = lines.saturating_add(u64::from(ends_with_break));
    count.checked_sub(wanted).map(|before| page::after_break(chunk, before)).transpose()
}

/// The page that a chunk has filled.
fn finished(mark: &str, offset: u64, filled: Filled) -> Result<LogPage> {
    let next = cursor(mark, filled.next);
    match (filled.ending, filled.damage) {
        (Some(_), _) if offset > filled.next => Err(alien_cursor()),
        (Some(ending), _) => Ok(LogPage::last(filled.records, next, ending.completeness)),
        (None, Some(damage)) if filled.records.is_empty() => Err(unreadable_inline(damage)),
        (None, None) if filled.records.is_empty() => Err(unreadable_inline(Damage::CutOff)),
        (None, _) => Ok(LogPage::open(filled.records, next)),
    }
}

fn unreadable_inline(damage: Damage) -> Error {
    let message = format!("the log that is kept with the attempt can't be read any further: {damage}");
    Error::new(ErrorKind::Unexpected, message)
}

/// Enough of a log's hash to tell its cursors from another's.
fn mark(reference: &LogReference) -> Result<String> {
    let hash = match reference {
        LogReference::Inline(bytes) => ChunkHash::of(&bytes.0),
        LogReference::Stored { name, .. } => StoredLog::parse(name)?.last.hash,
    };
    Ok(hash.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect())
}

fn cursor(mark: &str, offset: u64) -> LogCursor {
    LogCursor::new(format!("{mark}:{offset}"))
}

fn offset(mark: &str, cursor: &LogCursor) -> Result<u64> {
    let ours = cursor.as_str().split_once(':').filter(|(theirs, _)| *theirs == mark);
    ours.and_then(|(_, offset)| offset.parse().ok()).ok_or_else(alien_cursor)
}

fn alien_cursor() -> Error {
    Error::new(ErrorKind::Invalid, "the cursor is not one of this log; read it from its beginning")
}
