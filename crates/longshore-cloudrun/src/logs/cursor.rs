//! A place in a log, as text that any later program can go on from.

use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, LogCursor, LogStream, Result};

use crate::mapping::entries::{Id, Position};

/// How much of each stream lies before a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
}

impl Tally {
    pub(crate) const fn total(self) -> u64 {
        self.stdout + self.stderr
    }

    pub(crate) fn add(&mut self, stream: LogStream, bytes: usize) {
        match stream {
            LogStream::Stdout => self.stdout += bytes as u64,
            LogStream::Stderr => self.stderr += bytes as u64,
        }
    }
}

/// A place in the log of one execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// After this position.
    pub(crate) position: Position,
    pub(crate) tally: Tally,
    /// True where the log was cut off at its cap: nothing follows.
    pub(crate) is_cut: bool,
}

impl Place {
    /// The beginning of a log whose first entry is no earlier than the given time.
    pub(crate) fn beginning(from: Timestamp) -> Self {
        Self { position: Position::before(from), tally: Tally::default(), is_cut: false }
    }

    pub(crate) fn to_cursor(&self, execution: &str) -> LogCursor {
        let Self { position, tally, is_cut } = self;
        let cut = if *is_cut { "cut" } else { "open" };
        let id = match &position.id {
            Id::First => "<".to_owned(),
            Id::Last => ">".to_owned(),
            Id::Of(id) => format!("={id}"),
        };
        LogCursor::new(format!("1/{execution}/{}/{}/{cut}/{}/{id}", tally.stdout, tally.stderr, position.at))
    }

    /// Reads a cursor of this execution's log.
    pub(crate) fn read(cursor: &LogCursor, execution: &str) -> Result<Self> {
        Self::parse(cursor.as_str(), execution).filter(|place| place.to_cursor(execution) == *cursor).ok_or_else(|| {
            let message =
                format!("the cursor is not of the log of {execution}; use one that a page of it gave, or none");
            Error::new(ErrorKind::Invalid, message)
        })
    }

    fn parse(text: &str, execution: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("1/")?.strip_prefix(execution)?.strip_prefix('/')?.splitn(5, '/');
        let tally = Tally { stdout: parts.next()?.parse().ok()?, stderr: parts.next()?.parse().ok()? };
        let is_cut = match parts.next()? {
            "cut" => true,
            "open" => false,
            _ => return None,
        };
        let at = parts.next()?.parse().ok()?;
        let id = match parts.next()? {
            "<" => Id::First,
            ">" => Id::Last,
            id => Id::Of(id.strip_prefix('=')?.to_owned()),
        };
        Some(Self { position: Position { at, id }, tally, is_cut })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_text_and_belongs_to_one_log() {
        let at: Timestamp = "2024-03-14T09:26:43.825979123Z".parse().unwrap();
        for id in [Id::First, Id::Last, Id::Of("a/b=<c>".to_owned()), Id::Of(String::new())] {
            for is_cut in [false, true] {
                let position = Position { at, id: id.clone() };
                let place = Place { position, tally: Tally { stdout: 7, stderr: 11 }, is_cut };
                let cursor = place.to_cursor("ls-x-1-run");
                assert_eq!(Place::read(&cursor, "ls-x-1-run").unwrap(), place);
                for other in ["ls-x-1-ru", "ls-x-1-run2", "", "ls-y-1-run"] {
                    assert_eq!(Place::read(&cursor, other).unwrap_err().kind(), ErrorKind::Invalid, "{other}");
                }
            }
        }
    }

    #[test]
    fn what_nobody_gave_is_refused() {
        for text in [
            "",
            "0",
            "1/e",
            "1/e/1/1/open/2024-03-14T09:26:43Z",
            "1/e/-1/0/open/2024-03-14T09:26:43Z/<",
            "1/e/01/0/open/2024-03-14T09:26:43Z/<",
            "1/e/1/0/shut/2024-03-14T09:26:43Z/<",
            "1/e/1/0/open/then/<",
            "1/e/1/0/open/2024-03-14T09:26:43+00:00/<",
            "2/e/1/0/open/2024-03-14T09:26:43Z/<",
        ] {
            assert_eq!(Place::read(&LogCursor::new(text), "e").unwrap_err().kind(), ErrorKind::Invalid, "{text}");
        }
    }
}
