//! The frames of a chunk: what `format.md` describes.

use bytes::Bytes;
use jiff::Timestamp;
use longshore_core::{ContainerName, LogCompleteness, LogRecord, LogStream};

use super::{
    reference::ChunkHash,
    wire::{Damage, Taker, put_bytes, put_number, put_signed},
};

/// What every chunk begins with; the byte after it is the version.
const MARK: [u8; 4] = *b"LSLG";
const VERSION: u8 = 1;

const STDERR: u8 = 1;
const TIMED: u8 = 2;
const NAMED: u8 = 4;
const ENDING: u8 = 0x80;

/// What stands at the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) completeness: LogCompleteness,
    pub(super) stdout_bytes: u64,
    pub(super) stderr_bytes: u64,
    /// How many bytes of the program's output were not kept.
    pub(super) beyond_cap: u64,
    /// The chunks before the last one, in their order.
    pub(super) index: Vec<IndexEntry>,
}

impl Ending {
    /// How many bytes of the program's output are kept.
    pub(super) const fn content(&self) -> u64 {
        self.stdout_bytes.saturating_add(self.stderr_bytes)
    }
}

/// What the end of a log tells of an earlier chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) hash: ChunkHash,
    /// How many bytes of the program's output it holds.
    pub(super) content: u64,
    /// How many line breaks are among them.
    pub(super) newlines: u64,
}

/// A chunk that is being filled.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    buffer: Vec<u8>,
    last_time: i128,
    content: u64,
    newlines: u64,
}

impl ChunkWriter {
    pub(super) fn new() -> Self {
        let mut buffer = MARK.to_vec();
        buffer.push(VERSION);
        Self { buffer, last_time: 0, content: 0, newlines: 0 }
    }

    /// How many bytes it has so far.
    pub(super) const fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) const fn content(&self) -> u64 {
        self.content
    }

    pub(super) const fn newlines(&self) -> u64 {
        self.newlines
    }

    /// Adds a piece of a record: the record's container, stream and time with these bytes.
    pub(super) fn record(&mut self, record: &LogRecord, bytes: &[u8]) {
        let stderr = if record.stream == LogStream::Stderr { STDERR } else { 0 };
        let timed = if record.timestamp.is_some() { TIMED } else { 0 };
        let named = if record.container == ContainerName::main() { 0 } else { NAMED };
        self.buffer.push(stderr | timed | named);
        if let Some(timestamp) = record.timestamp {
            let time = timestamp.as_nanosecond();
            put_signed(&mut self.buffer, time - self.last_time);
            self.last_time = time;
        }
        if named != 0 {
            put_bytes(&mut self.buffer, record.container.as_str().as_bytes());
        }
        put_bytes(&mut self.buffer, bytes);
        self.content += bytes.len() as u64;
        self.newlines += newlines(bytes);
    }

    /// Adds the end of the log; nothing comes after it.
    pub(super) fn ending(&mut self, ending: &Ending) -> serde_json::Result<()> {
        let buffer = &mut self.buffer;
        buffer.push(ENDING);
        put_bytes(buffer, &serde_json::to_vec(&ending.completeness)?);
        for number in [ending.stdout_bytes, ending.stderr_bytes, ending.beyond_cap, ending.index.len() as u64] {
            put_number(buffer, u128::from(number));
        }
        for entry in &ending.index {
            buffer.extend_from_slice(&entry.hash.0);
            put_number(buffer, u128::from(entry.content));
            put_number(buffer, u128::from(entry.newlines));
        }
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.buffer.into()
    }
}

/// How many line breaks there are.
pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// One frame of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    Record(Piece),
    Ending(Ending),
}

/// A record as a chunk holds it, not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    container: Option<Bytes>,
    stream: LogStream,
    timestamp: Option<Timestamp>,
    pub(super) bytes: Bytes,
}

impl Piece {
    /// The record without its first `skipped` bytes.
    pub(super) fn into_record(self, skipped: usize) -> Result<LogRecord, Damage> {
        let mut record = LogRecord::new(self.stream, self.timestamp, self.bytes.slice(skipped.min(self.bytes.len())..));
        if let Some(name) = self.container {
            let name = std::str::from_utf8(&name).ok().and_then(|name| ContainerName::new(name).ok());
            record.container = name.ok_or(Damage::Malformed("a container's name is none"))?;
        }
        Ok(record)
    }
}

/// The frames of a chunk, one after the other; after damage nothing more comes.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    taker: Taker<'a>,
    last_time: i128,
    done: bool,
}

impl<'a> Frames<'a> {
    pub(super) fn of(chunk: &'a Bytes) -> Result<Self, Damage> {
        let mut taker = Taker::new(chunk);
        if taker.exactly(MARK.len())? != MARK.as_slice() {
            return Err(Damage::Malformed("it does not begin as a log does"));
        }
        match taker.byte()? {
            VERSION => Ok(Self { taker, last_time: 0, done: false }),
            newer => Err(Damage::Newer(newer)),
        }
    }

    fn frame(&mut self) -> Result<Frame, Damage> {
        match self.taker.byte()? {
            ENDING => self.ending().map(Frame::Ending),
            tag if tag & !(STDERR | TIMED | NAMED) == 0 => self.piece(tag).map(Frame::Record),
            _ => Err(Damage::Malformed("a frame is of no known kind")),
        }
    }

    fn piece(&mut self, tag: u8) -> Result<Piece, Damage> {
        let timestamp = if tag & TIMED == 0 { None } else { Some(self.time()?) };
        let container = if tag & NAMED == 0 { None } else { Some(self.taker.counted()?) };
        let stream = if tag & STDERR == 0 { LogStream::Stdout } else { LogStream::Stderr };
        Ok(Piece { container, stream, timestamp, bytes: self.taker.counted()? })
    }

    fn time(&mut self) -> Result<Timestamp, Damage> {
        let wrong = Damage::Malformed("a time is none");
        self.last_time = self.last_time.checked_add(self.taker.signed()?).ok_or(wrong)?;
        Timestamp::from_nanosecond(self.last_time).map_err(|_| wrong)
    }

    fn ending(&mut self) -> Result<Ending, Damage> {
        let completeness = serde_json::from_slice(&self.taker.counted()?).map_err(|_| {
            Damage::Malformed("how complete the log is, is told in a way that this version does not know")
        })?;
        let (stdout_bytes, stderr_bytes) = (self.taker.number()?, self.taker.number()?);
        let (beyond_cap, entries) = (self.taker.number()?, self.taker.number()?);
        let index = (0..entries).map(|_| self.entry()).collect::<Result<_, _>>()?;
        if !self.taker.is_at_end() {
            return Err(Damage::Malformed("something follows its end"));
        }
        Ok(Ending { completeness, stdout_bytes, stderr_bytes, beyond_cap, index })
    }

    fn entry(&mut self) -> Result<IndexEntry, Damage> {
        let mut hash = [0; ChunkHash::BYTES];
        hash.copy_from_slice(&self.taker.exactly(ChunkHash::BYTES)?);
        Ok(IndexEntry { hash: ChunkHash(hash), content: self.taker.number()?, newlines: self.taker.number()? })
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Frame, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done || self.taker.is_at_end() {
            return None;
        }
        let frame = self.frame();
        self.done = frame.is_err();
        Some(frame)
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
