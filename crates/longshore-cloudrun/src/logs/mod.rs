//! Logs: page by page from wherever a cursor says, and counted for the harvest.
//!
//! Entries come late, and not in the order of their times. Only what is old enough is read (`log_settle`), so that its
//! order is final: what was read once is read again the same by any program, and a cursor is a time and an id.

mod cursor;
mod fetch;
mod shelf;
mod window;

use jiff::Timestamp;
use longshore_core::{
    Clock, Error, ErrorKind, ExecutionStatus, LogCompleteness, LogPage, LogQuery, LogSummary, Result,
    clock::{earlier, later, since},
};
use std::{sync::Arc, time::Duration};

use self::{
    cursor::Place,
    fetch::{Fetcher, Wanted},
    shelf::Shelf,
    window::{Filling, Window, count},
};
use crate::{
    client::Api,
    mapping::{entries::Position, identity::Metadata},
    status::{Named, Statuses},
};

/// How much earlier than its launch was asked for a log may begin: clocks differ.
const BEFORE: Duration = Duration::from_secs(600);
/// How much later than the end of its execution a log's last entry may be stamped.
const TAIL: Duration = Duration::from_secs(3);
/// How often a log is looked at that somebody follows.
const LOOK: Duration = Duration::from_secs(2);
/// For how long what is held of a log is given without a look at whether its execution is still there.
const SEEN: Duration = Duration::from_secs(30);
/// What is said of every log.
const LOSSY: &str = "Cloud Logging keeps lines of text, not the program's bytes";

/// The logs of one host's executions.
#[derive(Debug)]
pub(crate) struct Logs {
    clock: Arc<dyn Clock>,
    settle: Duration,
    fetcher: Fetcher,
    shelf: Shelf,
}

/// The log of one execution.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    pub(crate) named: &'a Named,
    pub(crate) metadata: Metadata,
}

impl Log<'_> {
    fn name(&self) -> &str {
        &self.named.execution
    }

    fn beginning(&self) -> Place {
        Place::beginning(earlier(self.metadata.created_at, BEFORE))
    }

    const fn cap(&self) -> u64 {
        self.metadata.log_cap.bytes()
    }

    fn completeness(&self, place: &Place) -> LogCompleteness {
        if place.is_cut {
            return LogCompleteness::Truncated { cap: self.metadata.log_cap };
        }
        LogCompleteness::Lossy { reason: LOSSY.to_owned() }
    }
}

/// Up to which time a log is to be read.
#[derive(Debug, Clone, Copy)]
struct Target {
    /// What lies beyond is not read.
    until: Timestamp,
    /// What reaches so far need not be read again yet.
    enough: Timestamp,
    /// True when nothing can come after `until`.
    is_last: bool,
}

impl Logs {
    pub(crate) fn new(api: Arc<Api>, clock: Arc<dyn Clock>, settle: Duration) -> Self {
        let fetcher = Fetcher::new(api, Arc::clone(&clock));
        Self { clock, settle, fetcher, shelf: Shelf::default() }
    }

    /// A page of a log.
    pub(crate) async fn page(&self, log: &Log<'_>, statuses: &Statuses, query: &LogQuery) -> Result<LogPage> {
        let place = match &query.cursor {
            Some(cursor) => Place::read(cursor, log.name())?,
            None => log.beginning(),
        };
        let now = self.clock.now();
        let held = self.shelf.covering(log.name(), &place.position, now);
        let held = held.filter(|_| self.shelf.was_seen(log.name(), SEEN, now));
        if let Some(page) = held.and_then(|window| self.fill(log, &place, &window, query.max_bytes)) {
            return Ok(page);
        }
        let until = later(self.clock.now(), query.wait);
        loop {
            // The order matters: an end that is seen before the log is read is the end of all that is read.
            let target = self.target(end(&statuses.of(log.named).await?)?);
            self.shelf.seen(log.name(), self.clock.now());
            if place.is_cut {
                return Ok(self.last(log, &place));
            }
            let window = self.read(log, &place.position, target).await?;
            if let Some(page) = self.fill(log, &place, &window, query.max_bytes) {
                return Ok(page);
            }
            if target.is_last && *window.reaches() >= Position::after(target.until) {
                return Ok(self.last(log, &place));
            }
            let left = since(until, self.clock.now());
            if left.is_zero() {
                return Ok(LogPage::open(Vec::new(), place.to_cursor(log.name())));
            }
            self.clock.sleep(LOOK.min(left)).await;
        }
    }

    /// What the log of an execution that has ended holds, after its last late entry.
    pub(crate) async fn summary(&self, log: &Log<'_>, end: Timestamp) -> Result<LogSummary> {
        let over_at = later(later(end, TAIL), self.settle);
        let wait = since(over_at, self.clock.now());
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        let target = self.target(Some(end));
        let mut place = self.shelf.counted(log.name()).unwrap_or_else(|| log.beginning());
        while !place.is_cut && place.position < Position::after(target.until) {
            let window = self.read(log, &place.position, target).await?;
            let mut next = place.clone();
            count(&mut next, log.cap(), window.after(&place.position));
            self.shelf.counts(log.name(), &log.beginning(), &place, &next);
            if !next.is_cut && next == place {
                // Nothing follows before where the window ends.
                next.position = window.reaches().clone();
            }
            place = next;
        }
        Ok(LogSummary::new(log.completeness(&place), place.tally.stdout, place.tally.stderr))
    }

    /// Forgets what is remembered of a log.
    pub(crate) fn forget(&self, named: &Named) {
        self.shelf.forget(&named.execution);
    }

    /// Up to which time a log can be read now, given when its execution ended.
    fn target(&self, end: Option<Timestamp>) -> Target {
        // The newest time whose entries have all come.
        let horizon = earlier(self.clock.now(), self.settle);
        match end.map(|end| later(end, TAIL)).filter(|last| *last <= horizon) {
            Some(last) => Target { until: last, enough: last, is_last: true },
            None => Target { until: horizon, enough: earlier(horizon, LOOK), is_last: false },
        }
    }

    fn last(&self, log: &Log<'_>, place: &Place) -> LogPage {
        LogPage::last(Vec::new(), place.to_cursor(log.name()), log.completeness(place))
    }

    /// A page of what a window holds after a place; `None` when it holds nothing.
    fn fill(&self, log: &Log<'_>, place: &Place, window: &Window, room: usize) -> Option<LogPage> {
        if place.is_cut {
            return None;
        }
        let mut filling = Filling::new(place.clone(), room, log.cap());
        filling.fill(window.after(&place.position));
        let Filling { records, place: next, .. } = filling;
        if next == *place {
            return None;
        }
        self.shelf.counts(log.name(), &log.beginning(), place, &next);
        let cursor = next.to_cursor(log.name());
        Some(match next.is_cut {
            true => LogPage::last(records, cursor, log.completeness(&next)),
            false => LogPage::open(records, cursor),
        })
    }

    /// A window that goes on from the position: one that is held, or as far as one read goes.
    async fn read(&self, log: &Log<'_>, position: &Position, target: Target) -> Result<Arc<Window>> {
        let held = self.shelf.covering(log.name(), position, self.clock.now());
        let is_enough = |window: &Arc<Window>| {
            let is_at_the_end = *window.reaches() >= Position::after(target.enough);
            is_at_the_end || window.after(position).next().is_some()
        };
        let after = match held {
            Some(window) if is_enough(&window) => return Ok(window),
            Some(window) => window.reaches().clone(),
            None => position.clone(),
        };
        let wanted = Wanted { execution: log.name().to_owned(), after: after.clone(), until: target.until };
        let stretch = self.fetcher.fetch(wanted).await?;
        Ok(self.shelf.put(log.name(), after, stretch, self.clock.now()))
    }
}

/// When the execution ended; `None` while it lives.
fn end(status: &ExecutionStatus) -> Result<Option<Timestamp>> {
    match status {
        ExecutionStatus::Terminated(end) => Ok(Some(end.finished_at.unwrap_or(Timestamp::MIN))),
        ExecutionStatus::NotFound => Err(Error::new(ErrorKind::NotFound, "Cloud Run has no such execution")),
        _ => Ok(None),
    }
}
