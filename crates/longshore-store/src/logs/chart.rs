//! Which chunk holds which part of a log.

use longshore_core::{Error, ErrorKind};

use super::{
    frame::Ending,
    reference::{ChunkName, StoredLog},
};

/// The chunks of a stored log by the place where they begin.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) log: StoredLog,
    /// In their order: all of them, or, when the last one can't be read, those that are still there and the last.
    chunks: Vec<ChunkName>,
    /// What the last chunk tells, or why it can't be read.
    pub(super) ending: Result<Ending, Error>,
}

impl Chart {
    /// As the last chunk tells it; `None` when what it tells can't be.
    pub(super) fn of_ending(log: StoredLog, ending: Ending) -> Option<Self> {
        let mut start = 0_u64;
        let mut chunks = Vec::with_capacity(ending.index.len() + 1);
        for (number, entry) in (0_u32..).zip(&ending.index) {
            chunks.push(ChunkName { number, start, hash: entry.hash });
            start = start.checked_add(entry.content)?;
        }
        let fits = usize::try_from(log.last.number) == Ok(chunks.len()) && start == log.last.start;
        chunks.push(log.last);
        (fits && ending.content() >= start).then_some(Self { log, chunks, ending: Ok(ending) })
    }

    /// As the names of the chunks tell it, when the last one can't be read. All are saves of one attempt's log. Where two of
    /// them differ in a chunk, nobody can tell any more which of them it was: neither is shown.
    pub(super) fn of_names(log: StoredLog, mut names: Vec<ChunkName>, reason: Error) -> Self {
        names.retain(|name| name.number < log.last.number && name.start < log.last.start);
        names.sort_by_key(|name| (name.number, name.start));
        let alone = |same: &[ChunkName]| if let [only] = same { Some(*only) } else { None };
        let mut chunks: Vec<ChunkName> =
            names.chunk_by(|one, other| one.number == other.number).filter_map(alone).collect();
        chunks.push(log.last);
        Self { log, chunks, ending: Err(reason) }
    }

    /// The last chunk that begins at this place or before it.
    pub(super) fn at(&self, offset: u64) -> Option<ChunkName> {
        let behind = self.chunks.partition_point(|chunk| chunk.start <= offset);
        self.chunks.get(behind.checked_sub(1)?).copied()
    }

    /// Where the next chunk begins behind this place, if one does.
    pub(super) fn next_start(&self, offset: u64) -> Option<u64> {
        let behind = self.chunks.partition_point(|chunk| chunk.start <= offset);
        self.chunks.get(behind).map(|chunk| chunk.start)
    }

    /// The chunk of this number, while the last one can be read.
    pub(super) fn numbered(&self, number: usize) -> Option<ChunkName> {
        self.chunks.get(number).copied()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.chunks.iter().map(ToString::to_string).collect()
    }

    /// The error for a chunk from which nothing can be shown from this place on.
    pub(super) fn lost(&self, number: u32, from: u64, kind: ErrorKind, why: &str) -> Error {
        lost(self.log, number, from..self.next_start(from).unwrap_or(u64::MAX), kind, why)
    }
}

/// The error for a part of the program's output that can't be shown; a range without end means that nobody knows its length.
pub(super) fn lost(log: StoredLog, number: u32, part: std::ops::Range<u64>, kind: ErrorKind, why: &str) -> Error {
    let until = if part.end == u64::MAX { "its end".to_owned() } else { format!("byte {}", part.end) };
    let message = format!(
        "chunk {} of {} of the log {why}: what the program wrote from byte {} to {until} can't be shown; the rest can",
        u64::from(number) + 1,
        u64::from(log.last.number) + 1,
        part.start,
    );
    Error::new(kind, message).with_context("log", log)
}
