//! Writing the log. Whatever happens to the disk, the program is never held up: what can't be stored is counted and
//! told.

use jiff::Timestamp;
use longshore_core::LogStream;
use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::index::{Entry, index_path, stream_path};
use crate::state::{Folder, LogEnd};

/// The log of an execution, while it is written.
#[derive(Debug)]
pub(crate) struct LogWriter {
    stdout: File,
    stderr: File,
    index: File,
    left: u64,
    end: LogEnd,
    lost: u64,
}

impl LogWriter {
    /// Begins a log that holds so many bytes at most.
    pub(crate) fn new(folder: &Folder, cap: u64) -> io::Result<Self> {
        Ok(Self {
            stdout: create(&stream_path(folder, LogStream::Stdout))?,
            stderr: create(&stream_path(folder, LogStream::Stderr))?,
            index: create(&index_path(folder))?,
            left: cap,
            end: LogEnd::default(),
            lost: 0,
        })
    }

    /// Stores what the program wrote, as far as the cap and the disk allow.
    pub(crate) fn write(&mut self, stream: LogStream, at: Timestamp, bytes: &[u8]) {
        let fits = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.end.truncated |= fits < bytes.len();
        if fits == 0 {
            return;
        }
        if self.lost > 0 || self.store(stream, at, &bytes[..fits]).is_err() {
            // A gap that is followed by more would shift every byte after it.
            self.lost += fits as u64;
            return;
        }
        self.left -= fits as u64;
        match stream {
            LogStream::Stdout => self.end.stdout_bytes += fits as u64,
            LogStream::Stderr => self.end.stderr_bytes += fits as u64,
        }
    }

    fn store(&mut self, stream: LogStream, at: Timestamp, bytes: &[u8]) -> io::Result<()> {
        let (file, written) = match stream {
            LogStream::Stdout => (&mut self.stdout, self.end.stdout_bytes),
            LogStream::Stderr => (&mut self.stderr, self.end.stderr_bytes),
        };
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        // The entry last: it is what makes the bytes part of the log.
        file.write_all(bytes).and_then(|()| self.index.write_all(&Entry { at, length, stream }.to_bytes())).inspect_err(
            |_| {
                let _ = file.set_len(written);
            },
        )
    }

    /// What the log holds in the end.
    pub(crate) fn finish(mut self) -> LogEnd {
        if self.lost > 0 {
            self.end.missing = Some(format!("{} bytes could not be stored: the disk was full or failed", self.lost));
        }
        self.end
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::options().create_new(true).append(true).mode(0o600).open(path)
}
