//! The client's end of a connection, which can be closed at an exact byte.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use futures::future;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::either::Either;

use super::address::Stream;

/// What the answering side tells the connection that it answers on.
#[derive(Debug, Default)]
pub(super) struct Line {
    hangs_up_when_flushed: AtomicBool,
    resets: AtomicBool,
}

/// The client's stream under the HTTP connection.
#[derive(Debug)]
pub(super) struct ClientStream {
    stream: Stream,
    line: Arc<Line>,
}

impl Line {
    /// Closes the connection when all that was written so far has left, and never returns.
    ///
    /// An error from the body would not do: the connection would drop what it still has in its buffer.
    pub(super) async fn hang_up<T>(self: Arc<Self>) -> Result<T, Infallible> {
        self.hangs_up_when_flushed.store(true, Ordering::Release);
        future::pending().await
    }

    /// Makes the close, whenever it comes, a TCP reset.
    pub(super) fn reset_on_close(&self) {
        self.resets.store(true, Ordering::Release);
    }
}

impl ClientStream {
    pub(super) fn new(stream: Stream, line: Arc<Line>) -> Self {
        Self { stream, line }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The HTTP connection flushes after the last byte of its buffer was written and never before, so a flush is
    /// the moment to hang up.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.line.hangs_up_when_flushed.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if !self.line.resets.load(Ordering::Acquire) {
            return;
        }
        if let Either::Right(tcp) = &self.stream
            && let Err(error) = tcp.set_zero_linger()
        {
            tracing::debug!(%error, "the connection closes without a reset");
        }
    }
}
