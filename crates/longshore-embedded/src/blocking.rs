//! What blocks a thread, where it blocks nobody.

use std::io;

/// Does the work on a thread that may be blocked. Not cancel-safe: what was begun is done.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
