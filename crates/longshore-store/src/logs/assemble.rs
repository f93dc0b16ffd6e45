//! From records to chunks: the same records give the same chunks, however they came in pages.

use bytes::Bytes;
use longshore_core::{ByteSize, LogCompleteness, LogRecord, LogStream};

use super::{
    frame::{ChunkWriter, Ending, IndexEntry},
    reference::{ChunkHash, ChunkName},
};

/// A chunk with this many bytes is full.
pub(super) const CHUNK: usize = 1 << 20;
/// The longest piece of a record in one frame, which is what a record has at most.
pub(super) const PIECE: usize = 1 << 20;
/// The largest log that is kept with its attempt.
const INLINE: usize = 16 << 10;

/// A chunk that nothing is added to any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) name: ChunkName,
    pub(super) bytes: Bytes,
}

/// What a log comes to.
#[derive(Debug)]
pub(super) enum Assembled {
    /// Small enough to be kept with its attempt.
    Inline(Bytes),
    /// The last chunk, and how many bytes all have.
    Chunks { last: Chunk, bytes: u64 },
}

/// Fills chunks with records up to a cap. Holds one chunk, and 32 bytes for each that it has given away.
#[derive(Debug)]
pub(super) struct Assembler {
    cap: ByteSize,
    writer: ChunkWriter,
    start: u64,
    index: Vec<IndexEntry>,
    bytes: u64,
    stdout_bytes: u64,
    stderr_bytes: u64,
    beyond_cap: u64,
}

impl Assembler {
    pub(super) fn new(cap: ByteSize) -> Self {
        Self {
            cap,
            writer: ChunkWriter::new(),
            start: 0,
            index: Vec::new(),
            bytes: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            beyond_cap: 0,
        }
    }

    /// How many bytes of the program's output it has kept: of stdout, of stderr.
    pub(super) const fn kept(&self) -> (u64, u64) {
        (self.stdout_bytes, self.stderr_bytes)
    }

    pub(super) const fn beyond_cap(&self) -> u64 {
        self.beyond_cap
    }

    /// Adds a piece of a record, of at most [`PIECE`] bytes, and returns the chunk that was full before it.
    pub(super) fn add(&mut self, record: &LogRecord, piece: &[u8]) -> Option<Chunk> {
        let room = self.cap.bytes() - self.stdout_bytes - self.stderr_bytes;
        let kept = usize::try_from(room).map_or(piece.len(), |room| room.min(piece.len()));
        let (piece, beyond) = piece.split_at(kept);
        self.beyond_cap += beyond.len() as u64;
        if piece.is_empty() {
            return None;
        }
        let full = if self.writer.len() >= CHUNK { Some(self.seal()) } else { None };
        self.writer.record(record, piece);
        match record.stream {
            LogStream::Stdout => self.stdout_bytes += piece.len() as u64,
            LogStream::Stderr => self.stderr_bytes += piece.len() as u64,
        }
        full
    }

    /// Ends the log. What the executor says of it stays, unless it says that nothing is missing and the cap has cut.
    pub(super) fn finish(mut self, told: LogCompleteness) -> serde_json::Result<(LogCompleteness, Assembled)> {
        let completeness = match told {
            LogCompleteness::Complete if self.beyond_cap > 0 => LogCompleteness::Truncated { cap: self.cap },
            LogCompleteness::Truncated { cap } if self.beyond_cap > 0 => {
                LogCompleteness::Truncated { cap: cap.min(self.cap) }
            }
            told if self.beyond_cap > 0 => LogCompleteness::Missing {
                reason: format!(
                    "{told}; and cut off at its cap of {}: {} bytes were not kept",
                    self.cap, self.beyond_cap
                ),
            },
            told => told,
        };
        let ending = Ending {
            completeness: completeness.clone(),
            stdout_bytes: self.stdout_bytes,
            stderr_bytes: self.stderr_bytes,
            beyond_cap: self.beyond_cap,
            index: std::mem::take(&mut self.index),
        };
        self.writer.ending(&ending)?;
        let is_small = ending.index.is_empty() && self.writer.len() <= INLINE;
        if is_small {
            return Ok((completeness, Assembled::Inline(self.writer.into_bytes())));
        }
        let number = u32::try_from(ending.index.len()).unwrap_or(u32::MAX);
        let last = chunk(number, self.start, self.writer.into_bytes());
        let bytes = self.bytes + last.bytes.len() as u64;
        Ok((completeness, Assembled::Chunks { last, bytes }))
    }

    fn seal(&mut self) -> Chunk {
        let writer = std::mem::replace(&mut self.writer, ChunkWriter::new());
        let (content, newlines) = (writer.content(), writer.newlines());
        let number = u32::try_from(self.index.len()).unwrap_or(u32::MAX);
        let sealed = chunk(number, self.start, writer.into_bytes());
        self.index.push(IndexEntry { hash: sealed.name.hash, content, newlines });
        self.start += content;
        self.bytes += sealed.bytes.len() as u64;
        sealed
    }
}

fn chunk(number: u32, start: u64, bytes: Bytes) -> Chunk {
    Chunk { name: ChunkName { number, start, hash: ChunkHash::of(&bytes) }, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: LogStream, bytes: &[u8]) -> LogRecord {
        LogRecord::new(stream, None, Bytes::copy_from_slice(bytes))
    }

    fn assemble(cap: ByteSize, records: &[LogRecord], told: LogCompleteness) -> (LogCompleteness, u64, Assembled) {
        let mut assembler = Assembler::new(cap);
        for record in records {
            assert_eq!(assembler.add(record, &record.bytes), None);
        }
        let beyond = assembler.beyond_cap();
        let (completeness, assembled) = assembler.finish(told).unwrap();
        (completeness, beyond, assembled)
    }

    #[test]
    fn the_cap_cuts_to_the_byte_and_says_so() {
        let records =
            [record(LogStream::Stdout, b"12345"), record(LogStream::Stderr, b"678"), record(LogStream::Stdout, b"9")];
        let cap = ByteSize::from_bytes(7).unwrap();
        let lossy = LogCompleteness::Lossy { reason: "rotated".to_owned() };
        let larger = ByteSize::from_bytes(8).unwrap();
        for (told, expected) in [
            (LogCompleteness::Complete, LogCompleteness::Truncated { cap }),
            (LogCompleteness::Truncated { cap: larger }, LogCompleteness::Truncated { cap }),
        ] {
            assert_eq!(assemble(cap, &records, told).0, expected);
        }
        let (completeness, beyond, _) = assemble(cap, &records, lossy.clone());
        assert_eq!(beyond, 2);
        assert_eq!(
            completeness.to_string(),
            "incomplete: may lack bytes: rotated; and cut off at its cap of 7B: 2 bytes were not kept"
        );
        let all = ByteSize::from_bytes(9).unwrap();
        assert_eq!(assemble(all, &records, lossy.clone()).0, lossy);
    }

    #[test]
    fn a_log_up_to_16_kib_stays_with_its_attempt() {
        let told = || LogCompleteness::Complete;
        let frame = 4;
        let Assembled::Inline(empty) = assemble(ByteSize::from_mib(1), &[], told()).2 else { panic!("it is stored") };
        let room = INLINE - empty.len() - frame;
        for (length, stored) in [(room - 1, false), (room, false), (room + 1, true)] {
            let records = [record(LogStream::Stdout, &vec![b'x'; length])];
            let assembled = assemble(ByteSize::from_mib(1), &records, told()).2;
            assert_eq!(matches!(assembled, Assembled::Chunks { .. }), stored, "{length}");
        }
    }

    #[test]
    fn chunks_are_full_and_never_empty() {
        let mut assembler = Assembler::new(ByteSize::from_mib(64));
        let piece = record(LogStream::Stdout, &vec![b'x'; PIECE]);
        let chunks: Vec<_> = (0..5).filter_map(|_| assembler.add(&piece, &piece.bytes)).collect();
        assert_eq!(
            chunks.iter().map(|chunk| (chunk.name.number, chunk.name.start)).collect::<Vec<_>>(),
            [(0, 0), (1, PIECE as u64), (2, 2 * PIECE as u64), (3, 3 * PIECE as u64)]
        );
        assert!(chunks.iter().all(|chunk| chunk.bytes.len() < 2 * CHUNK));
        let Assembled::Chunks { last, bytes } = assembler.finish(LogCompleteness::Complete).unwrap().1 else {
            panic!("it is inline")
        };
        assert_eq!((last.name.number, last.name.start), (4, 4 * PIECE as u64));
        let all: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        assert_eq!(bytes, (all + last.bytes.len()) as u64);
    }
}
