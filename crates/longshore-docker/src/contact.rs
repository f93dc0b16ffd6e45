//! Whether it can still be the same engine that answers: for as long as it has ended no connection, and one was open all
//! the time.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The connections to one address.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    open: AtomicUsize,
    losses: AtomicU64,
}

impl Contact {
    /// How often another engine may have come in the place of the one before.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    fn lose(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
    }
}

/// A connection that tells how it ends.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    inner: T,
    contact: Arc<Contact>,
}

impl<T> Watched<T> {
    pub(crate) fn new(inner: T, contact: Arc<Contact>) -> Self {
        contact.open.fetch_add(1, Ordering::SeqCst);
        Self { inner, contact }
    }
}

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        if self.contact.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.contact.lose();
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (buf.filled().len(), buf.remaining());
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if read.is_err() || (room > 0 && buf.filled().len() == before) {
            self.contact.lose();
        }
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn contact_is_lost_with_an_end_from_there_or_the_last_connection() {
        let contact = Arc::new(Contact::default());
        let connect = || {
            let (ours, theirs) = duplex(16);
            (Watched::new(ours, contact.clone()), theirs)
        };
        let (mut first, mut engine) = connect();
        engine.write_all(b"hello").await.unwrap();
        first.read_exact(&mut [0; 5]).await.unwrap();
        let (second, _open) = connect();
        drop(second);
        assert_eq!(contact.losses(), 0, "one connection was open all the time, and is");
        let (third, _open) = connect();
        drop(engine);
        assert_eq!(first.read(&mut [0; 5]).await.unwrap(), 0);
        assert_eq!(contact.losses(), 1, "the other side has ended it");
        drop(first);
        assert_eq!(contact.losses(), 1);
        drop(third);
        assert_eq!(contact.losses(), 2, "none is open any more");
    }
}
