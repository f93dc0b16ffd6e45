//! Two files as one log.

use bytes::Bytes;
use longshore_core::{
    ByteSize, Error, ErrorKind, LogCompleteness, LogCursor, LogPage, LogQuery, LogRecord, LogStream, LogSummary, Result,
};
use std::{
    fs::File,
    io::{ErrorKind as Io, Read, Seek, SeekFrom},
};

use crate::folder::{Folder, Stage, unavailable};

/// The longest record: a piece of a stream as it comes, not a line.
const PIECE: u64 = 64 << 10;

/// How many bytes of a job's log are kept when the job does not say.
pub(crate) const DEFAULT_CAP: ByteSize = ByteSize::from_mib(64);

/// The log of an execution, as long as its two files are now.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    folder: &'a Folder,
    cap: ByteSize,
    ended: bool,
}

impl<'a> Log<'a> {
    /// The log of an execution that was this far before anybody looked at its files.
    pub(crate) fn of(folder: &'a Folder, stage: &Stage) -> Result<Self> {
        let cap = folder.request()?.plan.template.log_cap.unwrap_or(DEFAULT_CAP);
        Ok(Self { folder, cap, ended: matches!(stage, Stage::Ended(_)) })
    }

    /// What a log that has ended holds.
    pub(crate) fn summary(&self) -> Result<LogSummary> {
        let [out, err] = self.kept([0, 0])?;
        Ok(LogSummary::new(self.completeness()?, out, err))
    }

    /// The page after the query's cursor.
    pub(crate) fn page(&self, query: &LogQuery) -> Result<LogPage> {
        let mut at = query.cursor.as_ref().map_or(Ok([0, 0]), |cursor| self.place(cursor))?;
        let kept = self.kept(at)?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        let enough = query.max_bytes.max(1);
        for (index, stream) in [LogStream::Stdout, LogStream::Stderr].into_iter().enumerate() {
            while at[index] < kept[index] && bytes < enough {
                let piece = self.read(stream, at[index], kept[index])?;
                if piece.is_empty() {
                    break;
                }
                at[index] += piece.len() as u64;
                bytes += piece.len();
                records.push(LogRecord::new(stream, None, piece));
            }
        }
        let next = LogCursor::new(format!("{}/{}/{}", self.folder.token, at[0], at[1]));
        if self.ended && at == kept {
            return Ok(LogPage::last(records, next, self.completeness()?));
        }
        Ok(LogPage::open(records, next))
    }

    /// How much of each stream belongs to the log. The cap holds for both together, and stdout comes first; but a
    /// reader who has followed the running program keeps what it has read of stderr, and has that much less of stdout.
    fn kept(&self, read: [u64; 2]) -> Result<[u64; 2]> {
        let [out, err] = [self.length(LogStream::Stdout)?, self.length(LogStream::Stderr)?];
        let cap = self.cap.bytes();
        Ok([out.min(cap - read[1].min(cap)), err.min(cap - out.min(cap)).max(read[1])])
    }

    fn completeness(&self) -> Result<LogCompleteness> {
        let written = self.length(LogStream::Stdout)? + self.length(LogStream::Stderr)?;
        let complete = written <= self.cap.bytes();
        Ok(if complete { LogCompleteness::Complete } else { LogCompleteness::Truncated { cap: self.cap } })
    }

    fn place(&self, cursor: &LogCursor) -> Result<[u64; 2]> {
        let read = || {
            let offsets = cursor.as_str().strip_prefix(&format!("{}/", self.folder.token))?;
            let (out, err) = offsets.split_once('/')?;
            Some([out.parse().ok()?, err.parse().ok()?])
        };
        let lengths = [self.length(LogStream::Stdout)?, self.length(LogStream::Stderr)?];
        read().filter(|[out, err]| *out <= lengths[0] && *err <= lengths[1]).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "the cursor is not of this log").with_context("cursor", cursor.as_str())
        })
    }

    /// How long the file is; one that does not exist yet is empty.
    fn length(&self, stream: LogStream) -> Result<u64> {
        match self.folder.path.join(stream.to_string()).metadata() {
            Ok(file) => Ok(file.len()),
            Err(error) if error.kind() == Io::NotFound => Ok(0),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn read(&self, stream: LogStream, from: u64, to: u64) -> Result<Bytes> {
        let mut piece = Vec::new();
        let mut file = File::open(self.folder.path.join(stream.to_string())).map_err(unavailable)?;
        file.seek(SeekFrom::Start(from)).map_err(unavailable)?;
        file.take(PIECE.min(to - from)).read_to_end(&mut piece).map_err(unavailable)?;
        Ok(piece.into())
    }
}
