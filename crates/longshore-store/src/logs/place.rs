//! Where chunks lie: an object store, and in it a folder for each token.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use longshore_core::{Error, ErrorKind, LaunchToken, Result};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use std::{fmt, io, path::PathBuf, sync::Arc};

use super::{
    errors::{self, Redaction},
    folder,
    reference::ChunkName,
};

/// An object store's address, without anything secret.
#[derive(Clone)]
pub(super) struct Place {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    address: String,
    /// Set where the store is a folder of this machine.
    folder: Option<Arc<PathBuf>>,
    redaction: Redaction,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// What is at the end of a name, so that no folder holds the logs of all jobs.
pub(super) fn shard(token: LaunchToken) -> String {
    let id = token.job().as_uuid().simple().to_string();
    id[id.len() - 2..].to_owned()
}

impl Place {
    pub(super) fn new(store: Arc<dyn ObjectStore>, prefix: Path, address: String, redaction: Redaction) -> Self {
        Self { store, prefix, address, folder: None, redaction }
    }

    /// The same, being this folder of the machine.
    pub(super) fn in_folder(mut self, folder: PathBuf) -> Self {
        self.folder = Some(Arc::new(folder));
        self
    }

    fn folder_of(&self, token: LaunchToken) -> Path {
        self.prefix.clone().join(shard(token)).join(token.to_string())
    }

    /// Writes a chunk; where there is one of that name, it is the same.
    pub(super) async fn put(&self, token: LaunchToken, name: ChunkName, bytes: Bytes) -> Result<()> {
        let path = self.folder_of(token).join(name.to_string());
        let put = self.store.put(&path, bytes.into()).await;
        put.map(drop).map_err(|error| self.unwritten("a chunk of the log can't be written", error))
    }

    /// Called when the last chunk of a log is written: sees to it that the folders that lead to it are on disk.
    pub(super) async fn settle(&self, token: LaunchToken) -> Result<()> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        self.blocking("a folder of the log store can't be synced", move || folder::settle(&folder, token)).await
    }

    /// Reads a chunk, if it has at most `longest` bytes; `None` if it is longer than anything that was written.
    pub(super) async fn get(&self, token: LaunchToken, name: ChunkName, longest: u64) -> Result<Option<Bytes>> {
        let path = self.folder_of(token).join(name.to_string());
        let read = async {
            let found = self.store.get(&path).await?;
            if found.meta.size > longest { Ok(None) } else { found.bytes().await.map(Some) }
        };
        read.await.map_err(|error| self.error("a chunk of the log can't be read", error))
    }

    /// The names of a token's chunks, in no order.
    pub(super) async fn names(&self, token: LaunchToken) -> Result<Vec<ChunkName>> {
        let found = self.store.list(Some(&self.folder_of(token)));
        let name = |path: &Path| path.filename().and_then(|name| name.parse::<ChunkName>().ok());
        let names = found.try_filter_map(|found| async move { Ok(name(&found.location)) });
        names.try_collect().await.map_err(|error| self.error("the log store can't be listed", error))
    }

    /// Removes everything of a token but the names to be kept, and returns how much.
    pub(super) async fn clear(&self, token: LaunchToken, keep: Vec<String>) -> Result<u64> {
        const FAILED: &str = "what is left of a log can't be removed";
        let is_kept = move |name: &str| keep.iter().any(|kept| kept == name);
        if let Some(folder) = self.folder.clone() {
            return self.blocking(FAILED, move || folder::clear(&folder, token, is_kept)).await;
        }
        let found = self.store.list(Some(&self.folder_of(token)));
        let doomed = found.try_filter_map(move |found| {
            let kept = found.location.filename().is_some_and(&is_kept);
            async move { Ok((!kept).then_some(found.location)) }
        });
        let removals = self.store.delete_stream(doomed.boxed());
        let count = removals.try_fold(0, |count, _| async move { Ok(count + 1) });
        count.await.map_err(|error| self.error(FAILED, error))
    }

    /// The tokens that anything lies here for, a folder full at a time.
    pub(super) async fn shards(&self) -> Result<Vec<Path>> {
        self.folders(&self.prefix).await
    }

    /// The tokens in one of the [`shards`](Self::shards).
    pub(super) async fn tokens(&self, shard: &Path) -> Result<Vec<LaunchToken>> {
        let folders = self.folders(shard).await?;
        Ok(folders.iter().filter_map(|folder| folder.filename()?.parse().ok()).collect())
    }

    async fn folders(&self, parent: &Path) -> Result<Vec<Path>> {
        let prefix = (!parent.as_ref().is_empty()).then_some(parent);
        let listed = self.store.list_with_delimiter(prefix).await;
        listed.map(|found| found.common_prefixes).map_err(|error| self.error("the log store can't be listed", error))
    }

    /// The same error, saying which store it is about.
    pub(super) fn located(&self, error: Error) -> Error {
        error.with_context("log store", &self.address)
    }

    /// A place that is not there says nothing of the log that was to be written to it.
    fn unwritten(&self, message: &str, error: object_store::Error) -> Error {
        if !matches!(error, object_store::Error::NotFound { .. }) {
            return self.error(message, error);
        }
        let message = format!("{message}, because its place does not exist: make it, and save the log again");
        let why = self.redaction.apply(&longshore_core::chain(&error));
        self.located(Error::new(ErrorKind::Unavailable, message).with_source(why))
    }

    fn error(&self, message: &str, error: object_store::Error) -> Error {
        self.located(errors::of_store(message, error, &self.redaction))
    }

    async fn blocking<T, W>(&self, message: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce() -> io::Result<T> + Send + 'static,
    {
        let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| Err(io::Error::other(ended)));
        done.map_err(|error| self.located(errors::of_disk(message, error)))
    }
}
