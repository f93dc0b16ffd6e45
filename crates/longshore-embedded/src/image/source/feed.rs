//! Bytes on their way to who unpacks them.

use longshore_core::{Error, ErrorKind};
use std::{
    io::{self, PipeWriter, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const BUFFER: usize = 128 * 1024;

/// Why a layer's bytes did not all arrive.
#[derive(Debug)]
pub(crate) enum FeedError {
    /// Who unpacks has closed the pipe, and knows why.
    ReaderGone,
    /// Where the bytes come from is at fault.
    Failed(Error),
}

impl From<Error> for FeedError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a failed write to the pipe means.
pub(super) fn not_written(error: io::Error) -> FeedError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return FeedError::ReaderGone;
    }
    FeedError::Failed(
        Error::new(ErrorKind::Unavailable, "a layer's bytes can't be handed on to be unpacked").with_source(error),
    )
}

/// Copies to the pipe until the end, a failure, or until it is cancelled; tells how many bytes went each time.
pub(super) fn copy(
    mut from: impl Read,
    mut into: PipeWriter,
    cancelled: &AtomicBool,
    mut count: impl FnMut(usize),
    unreadable: impl Fn(io::Error) -> Error,
) -> Result<(), FeedError> {
    let mut buffer = vec![0; BUFFER];
    while !cancelled.load(Ordering::Relaxed) {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(bytes) => {
                into.write_all(&buffer[..bytes]).map_err(not_written)?;
                count(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error).into()),
        }
    }
    Err(FeedError::ReaderGone)
}

/// Cancels the copying when it is dropped, so that a thread does not go on for nobody.
#[derive(Debug, Default)]
pub(super) struct Cancel(pub(super) Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
