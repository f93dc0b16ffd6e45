//! `log.index`: an entry of 16 bytes for each piece that the supervisor read from the program.

use jiff::Timestamp;
use longshore_core::LogStream;
use std::{io, path::PathBuf};

use crate::state::Folder;

/// The bytes of an entry: when, as nanoseconds since 1970; how many bytes; which stream.
pub(super) const ENTRY: u64 = 16;

/// One piece of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) length: u32,
    pub(super) stream: LogStream,
}

impl Entry {
    pub(super) fn to_bytes(self) -> [u8; ENTRY as usize] {
        let nanos = i64::try_from(self.at.as_nanosecond()).unwrap_or(i64::MAX);
        let mut bytes = [0; ENTRY as usize];
        bytes[..8].copy_from_slice(&nanos.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12] = u8::from(self.stream == LogStream::Stderr);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the log's index is not as it was written");
        let (nanos, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let stream = match rest.first() {
            Some(0) => LogStream::Stdout,
            Some(1) => LogStream::Stderr,
            _ => return Err(wrong()),
        };
        let at = Timestamp::from_nanosecond(i64::from_le_bytes(*nanos).into()).map_err(|_| wrong())?;
        Ok(Self { at, length: u32::from_le_bytes(*length), stream })
    }
}

pub(super) fn index_path(folder: &Folder) -> PathBuf {
    folder.path().join("log.index")
}

pub(super) fn stream_path(folder: &Folder, stream: LogStream) -> PathBuf {
    folder.path().join(stream.to_string())
}
