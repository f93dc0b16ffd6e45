//! Reading the log, from any place, while it is written.

use bytes::Bytes;
use longshore_core::{LogRecord, LogStream};
use std::{fmt, fs::File, io, os::unix::fs::FileExt, str::FromStr};

use super::index::{ENTRY, Entry, index_path, stream_path};
use crate::state::Folder;

/// The most bytes of one record.
const LONGEST: usize = 1 << 20;
/// As much as the supervisor stores at a time: what is read at once, however little is wanted.
const PIECE: usize = 64 << 10;
/// How many entries of the index are read at a time.
const BATCH: u64 = 512;

/// A place in the log: the entry that comes next, how much of it is read, and how much of both streams is before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    entry: u64,
    within: u32,
    stdout: u64,
    stderr: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.entry, self.within, self.stdout, self.stderr)
    }
}

impl FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.').map(str::parse::<u64>);
        let mut next = || parts.next().and_then(Result::ok).ok_or(());
        let place =
            Self { entry: next()?, within: next()?.try_into().map_err(|_| ())?, stdout: next()?, stderr: next()? };
        if parts.next().is_some() { Err(()) } else { Ok(place) }
    }
}

impl Place {
    /// Where the stream goes on.
    fn offset(&mut self, stream: LogStream) -> &mut u64 {
        match stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        }
    }

    /// How many bytes of both streams are before this place.
    pub(crate) const fn read(&self) -> (u64, u64) {
        (self.stdout, self.stderr)
    }
}

/// Reads on from the place, about so many bytes: lines, or pieces of lines that are longer than a record, and one at
/// least where there is any. The place after the last record is where to go on.
pub(crate) fn read(folder: &Folder, from: Place, max_bytes: usize) -> io::Result<(Vec<LogRecord>, Place)> {
    let mut files = Files::open(folder)?;
    let (mut place, mut records, mut left) = (from, Vec::new(), max_bytes.max(1));
    while left > 0 {
        let Some(entry) = files.entry(place.entry)? else { break };
        let rest = (entry.length.saturating_sub(place.within)) as usize;
        let offset = place.offset(entry.stream);
        let bytes = Bytes::from(files.bytes(entry.stream, *offset, rest.min(left.max(PIECE)).min(LONGEST))?);
        if bytes.is_empty() && rest > 0 {
            // The log was cut off, as after a power cut: nothing that follows has its place.
            break;
        }
        let goes_on = bytes.len() < rest;
        let taken = add_lines(&mut records, &entry, &bytes, goes_on, left);
        *offset += taken as u64;
        left = left.saturating_sub(taken);
        place.within += u32::try_from(taken).map_err(io::Error::other)?;
        if taken == rest {
            place = Place { entry: place.entry + 1, within: 0, ..place };
        } else if taken < bytes.len() {
            break;
        }
    }
    Ok((records, place))
}

/// The place after the last byte: that many bytes of both streams are there.
pub(crate) fn end(folder: &Folder) -> io::Result<Place> {
    let mut files = Files::open(folder)?;
    let mut place = Place::default();
    while let Some(entry) = files.entry(place.entry)? {
        *place.offset(entry.stream) += u64::from(entry.length);
        place.entry += 1;
    }
    place.stdout = place.stdout.min(files.stdout.metadata()?.len());
    place.stderr = place.stderr.min(files.stderr.metadata()?.len());
    Ok(place)
}

/// Adds the bytes as lines, until so many are reached. Where more of the entry follows, a line that is begun is left for
/// the next time, unless it is all that there is. Returns how many bytes were added.
fn add_lines(records: &mut Vec<LogRecord>, entry: &Entry, bytes: &Bytes, goes_on: bool, wanted: usize) -> usize {
    let mut start = 0;
    while start < bytes.len().min(wanted) {
        let line = bytes[start..].iter().position(|byte| *byte == b'\n').map(|at| start + at + 1);
        let end = match line {
            None if goes_on && start > 0 => break,
            line => line.unwrap_or(bytes.len()),
        };
        records.push(LogRecord::new(entry.stream, Some(entry.at), bytes.slice(start..end)));
        start = end;
    }
    start
}

struct Files {
    index: File,
    stdout: File,
    stderr: File,
    /// Entries that were read ahead, from the one of this number.
    ahead: (u64, Vec<u8>),
}

impl Files {
    fn open(folder: &Folder) -> io::Result<Self> {
        Ok(Self {
            index: File::open(index_path(folder))?,
            stdout: File::open(stream_path(folder, LogStream::Stdout))?,
            stderr: File::open(stream_path(folder, LogStream::Stderr))?,
            ahead: (0, Vec::new()),
        })
    }

    /// The entry of this number, once it is there whole.
    fn entry(&mut self, number: u64) -> io::Result<Option<Entry>> {
        if !self.is_ahead(number) {
            let mut bytes = vec![0; usize::try_from(BATCH * ENTRY).map_err(io::Error::other)?];
            let start = number.checked_mul(ENTRY).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            let found = read_at(&self.index, &mut bytes, start)?;
            bytes.truncate(found);
            self.ahead = (number, bytes);
        }
        let start = usize::try_from((number - self.ahead.0) * ENTRY).map_err(io::Error::other)?;
        let entry = self.ahead.1.get(start..start + usize::try_from(ENTRY).map_err(io::Error::other)?);
        entry.map(Entry::from_bytes).transpose()
    }

    fn is_ahead(&self, number: u64) -> bool {
        let read = self.ahead.1.len() as u64 / ENTRY;
        (self.ahead.0..self.ahead.0 + read).contains(&number)
    }

    fn bytes(&self, stream: LogStream, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = match stream {
            LogStream::Stdout => &self.stdout,
            LogStream::Stderr => &self.stderr,
        };
        let mut bytes = vec![0; length];
        let found = read_at(file, &mut bytes, offset)?;
        bytes.truncate(found);
        Ok(bytes)
    }
}

/// Reads until the buffer is full or the file ends.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::LogWriter;
    use jiff::Timestamp;

    fn written(cap: u64, pieces: &[(LogStream, &[u8])]) -> (tempfile::TempDir, Folder, crate::state::LogEnd) {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().to_owned());
        let mut writer = LogWriter::new(&folder, cap).unwrap();
        for (second, (stream, bytes)) in pieces.iter().enumerate() {
            writer.write(*stream, Timestamp::from_second(second as i64).unwrap(), bytes);
        }
        let end = writer.finish();
        (parent, folder, end)
    }

    fn all(folder: &Folder, page: usize) -> Vec<(LogStream, Vec<u8>)> {
        let (mut place, mut found) = (Place::default(), Vec::new());
        loop {
            let (records, next) = read(folder, place, page).unwrap();
            if records.is_empty() {
                assert_eq!(next, place);
                return found;
            }
            place = next.to_string().parse().unwrap();
            assert_eq!(place, next);
            found.extend(records.into_iter().map(|record| (record.stream, record.bytes.to_vec())));
        }
    }

    fn joined(records: &[(LogStream, Vec<u8>)], stream: LogStream) -> Vec<u8> {
        records.iter().filter(|(of, _)| *of == stream).flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    #[test]
    fn lines_come_in_order_with_their_times() {
        let pieces: [(LogStream, &[u8]); 3] =
            [(LogStream::Stdout, b"a\nb\n"), (LogStream::Stderr, b"oh"), (LogStream::Stdout, b"\xff\n\0last")];
        let (_parent, folder, end) = written(1 << 20, &pieces);
        let (records, _) = read(&folder, Place::default(), 1 << 20).unwrap();
        let shown: Vec<(i64, &[u8])> =
            records.iter().map(|record| (record.timestamp.unwrap().as_second(), &record.bytes[..])).collect();
        assert_eq!(shown, [(0, &b"a\n"[..]), (0, b"b\n"), (1, b"oh"), (2, b"\xff\n"), (2, b"\0last")]);
        assert_eq!((end.stdout_bytes, end.stderr_bytes, end.truncated, end.missing), (11, 2, false, None));
    }

    #[test]
    fn pages_of_any_size_neither_lose_nor_double_a_byte() {
        let long = vec![b'x'; 3000];
        let pieces: [(LogStream, &[u8]); 4] = [
            (LogStream::Stdout, b"one\ntwo\nthree"),
            (LogStream::Stderr, &long),
            (LogStream::Stdout, b"\n"),
            (LogStream::Stderr, b"end\n"),
        ];
        let (_parent, folder, _) = written(1 << 20, &pieces);
        for page in [1, 2, 3, 5, 7, 64, 1024, 1 << 20] {
            let found = all(&folder, page);
            assert_eq!(joined(&found, LogStream::Stdout), b"one\ntwo\nthree\n", "{page}");
            assert_eq!(joined(&found, LogStream::Stderr).len(), 3004, "{page}");
        }
    }

    #[test]
    fn the_cap_is_for_both_streams_together() {
        let pieces: [(LogStream, &[u8]); 3] =
            [(LogStream::Stdout, b"12345"), (LogStream::Stderr, b"678"), (LogStream::Stdout, b"9")];
        for (cap, kept, truncated) in [(9, (6, 3), false), (8, (5, 3), true), (6, (5, 1), true), (1, (1, 0), true)] {
            let (_parent, folder, end) = written(cap, &pieces);
            assert_eq!(((end.stdout_bytes, end.stderr_bytes), end.truncated), (kept, truncated), "{cap}");
            let found: u64 = all(&folder, 100).iter().map(|(_, bytes)| bytes.len() as u64).sum();
            assert_eq!(found, cap);
        }
    }

    #[test]
    fn a_record_is_never_longer_than_a_mebibyte() {
        let long = vec![b'y'; LONGEST + 10];
        let (_parent, folder, _) = written(1 << 30, &[(LogStream::Stdout, &long)]);
        let lengths: Vec<usize> = all(&folder, 1 << 24).iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(lengths, [LONGEST, 10]);
    }

    #[test]
    fn what_has_no_entry_yet_is_no_part_of_the_log() {
        let (parent, folder, _) = written(100, &[(LogStream::Stdout, b"whole\n")]);
        std::fs::write(parent.path().join("stdout"), b"whole\nhalf").unwrap();
        let index = parent.path().join("log.index");
        let mut bytes = std::fs::read(&index).unwrap();
        bytes.extend([1; 7]);
        std::fs::write(&index, bytes).unwrap();
        assert_eq!(all(&folder, 100), [(LogStream::Stdout, b"whole\n".to_vec())]);
    }

    #[test]
    fn a_place_that_is_none_is_refused() {
        for text in ["", "1", "1.2.3", "1.2.3.4.5", "a.b.c.d", "1.2.3.-4", "1.99999999999.0.0"] {
            assert_eq!(text.parse::<Place>(), Err(()), "{text}");
        }
    }
}
