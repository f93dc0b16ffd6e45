//! A log on disk: appended by one follower, read by any number of readers.
//!
//! Each record is a header of 16 bytes (a mark, the stream, whether we added it, a zero, the length, the time in
//! nanoseconds, all little-endian) and its bytes. The same log followed again gives the same file, so a place in it
//! means the same to everybody.

use bytes::Bytes;
use jiff::Timestamp;
use longshore_core::{LogRecord, LogStream};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    frames::Frame,
    long_lines::{LineBreak, LongLines},
};

const HEADER: usize = 16;
const MARK: u8 = 0xA7;
/// Marks a line break that the engine has lost and we have added.
const ADDED: u8 = 1;

/// How much of a log is on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The length of the file: where the next record goes.
    pub(crate) end: u64,
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr_bytes: u64,
    /// The newest time of any record, in nanoseconds.
    pub(crate) newest: Option<i64>,
}

impl Extent {
    /// How many bytes of the program's output are there.
    pub(crate) const fn content(&self) -> u64 {
        self.stdout_bytes + self.stderr_bytes
    }

    const fn add(&mut self, stream: LogStream, time: i64, length: u64) {
        self.end += HEADER as u64 + length;
        match stream {
            LogStream::Stdout => self.stdout_bytes += length,
            LogStream::Stderr => self.stderr_bytes += length,
        }
        self.newest = match self.newest {
            Some(newest) if newest > time => Some(newest),
            _ => Some(time),
        };
    }
}

/// The writing end: exclusive, so that two programs on one state folder never mix their records.
#[derive(Debug)]
pub(crate) struct Spill {
    file: Arc<File>,
    extent: Extent,
    lines: LongLines,
    last: Option<Frame>,
    pending: Vec<u8>,
    attended: PathBuf,
}

impl Spill {
    /// Opens the file of that name and goes on where it ends; when another program has it, makes one of its own
    /// beside it.
    pub(crate) fn open(folder: &Path, name: &str) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = options().open(folder.join(format!("{name}.log")))?;
        let file = match file.try_lock() {
            Ok(()) => file,
            Err(TryLockError::WouldBlock) => own_file(folder, name)?,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        let (extent, lines, last) = measure(&file)?;
        file.set_len(extent.end)?;
        let attended = attended(folder, name);
        Ok(Self { file: Arc::new(file), extent, lines, last, pending: Vec::new(), attended })
    }

    /// True when it is known that the engine was there for all of the log.
    pub(crate) fn is_attended(&self) -> bool {
        self.attended.exists()
    }

    /// Notes that, for whoever follows the same log again.
    pub(crate) fn attended(&self) -> io::Result<()> {
        File::create(&self.attended).map(drop)
    }

    pub(crate) const fn extent(&self) -> Extent {
        self.extent
    }

    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Adds a record, and the line break that the engine has lost, if so; [`flush`](Self::flush) writes what was added.
    pub(crate) fn add(&mut self, frame: &Frame) {
        let line_break = self.lines.next(frame);
        if line_break == LineBreak::Before {
            self.append(frame.stream, frame.time, b"\n", ADDED);
        }
        self.append(frame.stream, frame.time, &frame.bytes, 0);
        if line_break == LineBreak::After {
            self.append(frame.stream, frame.time, b"\n", ADDED);
        }
        self.last = Some(frame.clone());
    }

    /// The engine's record that was added last.
    pub(crate) const fn last(&self) -> Option<&Frame> {
        self.last.as_ref()
    }

    fn append(&mut self, stream: LogStream, time: i64, bytes: &[u8], added: u8) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.pending.extend_from_slice(&[MARK, stream as u8, added, 0]);
        self.pending.extend_from_slice(&length.to_le_bytes());
        self.pending.extend_from_slice(&time.to_le_bytes());
        self.pending.extend_from_slice(bytes);
        self.extent.add(stream, time, u64::from(length));
    }

    /// True when nobody can tell whether the log's last line ended with a line break.
    pub(crate) fn is_open_ended(&self) -> bool {
        self.lines.is_open_ended()
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.file.write_all_at(&self.pending, self.extent.end - self.pending.len() as u64)?;
            self.pending.clear();
            self.pending.shrink_to(1 << 20);
        }
        Ok(())
    }

    /// How many of the engine's records carry a time of at least `since`.
    pub(crate) fn count_since(&self, since: i64) -> io::Result<u64> {
        let mut count = 0;
        walk(&self.file, |record| count += u64::from(!record.added && record.frame.time >= since))?;
        Ok(count)
    }
}

/// What readers hold on to: the file stays readable when its name is gone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn own_file(folder: &Path, name: &str) -> io::Result<File> {
    for number in 1..1000 {
        let file = options().open(folder.join(format!("{name}.{number}.log")))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("a thousand programs follow the same log"))
}

/// What the whole records in a file amount to; half a record at its end, left by a crash, does not count.
fn measure(file: &File) -> io::Result<(Extent, LongLines, Option<Frame>)> {
    let (mut extent, mut lines, mut last) = (Extent::default(), LongLines::default(), None);
    walk(file, |record| {
        extent.add(record.frame.stream, record.frame.time, record.frame.bytes.len() as u64);
        if !record.added {
            lines.next(&record.frame);
            last = Some(record.frame);
        }
    })?;
    Ok((extent, lines, last))
}

/// A record as it is on disk.
struct Stored {
    frame: Frame,
    added: bool,
}

fn walk(file: &File, mut visit: impl FnMut(Stored)) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(256 << 10, At { file, offset: 0 });
    let mut offset = 0;
    let mut header = [0; HEADER];
    while offset + HEADER as u64 <= length {
        reader.read_exact(&mut header)?;
        let Some(Header { stream, added, length: bytes, time }) = decode(&header) else { break };
        offset += HEADER as u64 + bytes as u64;
        if offset > length {
            break;
        }
        let mut content = vec![0; bytes];
        reader.read_exact(&mut content)?;
        visit(Stored { frame: Frame { stream, time, bytes: content.into() }, added });
    }
    Ok(())
}

struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// What stands before a record's bytes.
struct Header {
    stream: LogStream,
    added: bool,
    length: usize,
    time: i64,
}

fn decode(header: &[u8]) -> Option<Header> {
    let (fixed, rest) = header.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (time, _) = rest.split_first_chunk::<8>()?;
    let (stream, added) = match *fixed {
        [MARK, 0, added @ 0..=ADDED, 0] => (LogStream::Stdout, added == ADDED),
        [MARK, 1, added @ 0..=ADDED, 0] => (LogStream::Stderr, added == ADDED),
        _ => return None,
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    Some(Header { stream, added, length, time: i64::from_le_bytes(*time) })
}

/// Reads whole records from `offset` up to `end`, about `max_bytes` of them; at least one where there is one. The
/// engine ends some long lines with an empty record, which is kept so that records can be counted, and not shown.
/// `None` when no record begins at the offset.
pub(crate) fn read(file: &File, offset: u64, end: u64, max_bytes: usize) -> io::Result<Option<(Vec<LogRecord>, u64)>> {
    let available = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut wanted = available.min(max_bytes.saturating_add(HEADER));
    loop {
        let mut buffer = vec![0; wanted];
        file.read_exact_at(&mut buffer, offset)?;
        let buffer = Bytes::from(buffer);
        match parse(&buffer) {
            Parsed::Records(records, length) => return Ok(Some((records, offset + length as u64))),
            Parsed::Needs(more) if more <= available => wanted = more,
            Parsed::Needs(_) | Parsed::NotARecord => return Ok(None),
        }
    }
}

enum Parsed {
    Records(Vec<LogRecord>, usize),
    Needs(usize),
    NotARecord,
}

fn parse(buffer: &Bytes) -> Parsed {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(header) = buffer.get(at..at + HEADER) {
        let Some(Header { stream, length, time, .. }) = decode(header) else { return Parsed::NotARecord };
        let next = at + HEADER + length;
        if next > buffer.len() {
            if at == 0 {
                return Parsed::Needs(next);
            }
            break;
        }
        if length > 0 {
            let timestamp = Timestamp::from_nanosecond(i128::from(time)).ok();
            records.push(LogRecord::new(stream, timestamp, buffer.slice(at + HEADER..next)));
        }
        at = next;
    }
    if at == 0 && !buffer.is_empty() {
        Parsed::Needs(HEADER.max(buffer.len() + 1))
    } else {
        Parsed::Records(records, at)
    }
}

/// Whether it is noted that the engine was there for all of the run of an execution.
pub(crate) fn is_attended(folder: &Path, name: &str) -> bool {
    attended(folder, name).exists()
}

fn attended(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.attended"))
}

/// Ends the life of all files of that name; readers that still hold one can finish.
pub(crate) fn remove(folder: &Path, name: &str) -> io::Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let file_name = entry.file_name();
        if file_name.to_string_lossy().strip_prefix(name).is_some_and(|rest| rest.starts_with('.')) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(time: i64, stream: LogStream, bytes: &'static [u8]) -> Frame {
        Frame { stream, time, bytes: Bytes::from_static(bytes) }
    }

    fn filled(folder: &Path) -> Spill {
        let mut spill = Spill::open(folder, "x").unwrap();
        for (time, stream, bytes) in [
            (5, LogStream::Stdout, b"one\n".as_slice()),
            (9, LogStream::Stderr, b""),
            (7, LogStream::Stdout, b"\xff\x00"),
        ] {
            spill.add(&frame(time, stream, bytes));
        }
        spill.flush().unwrap();
        spill
    }

    #[test]
    fn a_log_is_read_in_pages_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let spill = filled(folder.path());
        assert_eq!((spill.extent().content(), spill.extent().newest, spill.count_since(7).unwrap()), (6, Some(9), 2));
        for max_bytes in [0, 1, 17, 20, 1000] {
            let (mut offset, mut bytes) = (0, Vec::new());
            while offset < spill.extent().end {
                let (records, next) = read(&spill.file(), offset, spill.extent().end, max_bytes).unwrap().unwrap();
                assert!(next > offset && records.iter().all(|record| !record.bytes.is_empty()), "{max_bytes}");
                records.iter().for_each(|record| bytes.extend_from_slice(&record.bytes));
                offset = next;
            }
            assert_eq!(bytes, b"one\n\xff\x00", "{max_bytes}");
        }
        assert_eq!(read(&spill.file(), 3, spill.extent().end, 100).unwrap(), None);
    }

    #[test]
    fn half_a_record_left_by_a_crash_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let whole = filled(folder.path()).extent();
        for cut in 1..(whole.end - 40) {
            let damaged = tempfile::tempdir().unwrap();
            std::fs::copy(folder.path().join("x.log"), damaged.path().join("x.log")).unwrap();
            let file = OpenOptions::new().write(true).open(damaged.path().join("x.log")).unwrap();
            file.set_len(whole.end - cut).unwrap();
            let spill = Spill::open(damaged.path(), "x").unwrap();
            assert!(spill.extent().end < whole.end);
            assert_eq!(spill.file().metadata().unwrap().len(), spill.extent().end);
        }
    }

    #[test]
    fn two_programs_never_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let first = filled(folder.path());
        let second = Spill::open(folder.path(), "x").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(second.extent(), Extent::default());
        drop(first);
        assert_eq!(Spill::open(folder.path(), "x").unwrap().extent().content(), 6);
        remove(folder.path(), "x").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
