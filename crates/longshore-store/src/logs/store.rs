//! The log store, as its users see it.

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use longshore_core::{ByteSize, ContainerExecutor, ExecutionHandle, LaunchToken, LogCursor, LogPage, LogQuery, Result};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex},
};

use super::{
    open,
    place::Place,
    read::{LogPosition, Reader, Recent},
    reference::{LogReference, StoredLog},
    save::{self, SavedLog},
};

/// Keeps the logs of executions that have ended: a folder of this machine, or a bucket that many machines share. Clones are the
/// same store.
///
/// # Order
/// [`save`](Self::save) → the reference is stored with the attempt → [`keep_only`](Self::keep_only) → the execution is cleaned
/// up → [`read`](Self::read) → [`remove`](Self::remove) when the job is purged. From time to time [`tokens`](Self::tokens) and
/// [`keep_only`](Self::keep_only) for what programs that died have left.
///
/// # Rules for every method
/// - Each installation has a place of its own: a sweep takes what it does not know for a leftover.
/// - Nothing that a program does after it was fenced off harms a log: saves that differ have different names, and only
///   `keep_only` and `remove` remove, which are called by whoever has stored the reference or removed it.
/// - Dropping a future is safe; calling again finishes what it began.
/// - Requests to a cloud are sent again a few times within seconds; any longer patience is the caller's.
///
#[doc = include_str!("format.md")]
#[derive(Clone)]
pub struct LogStore {
    place: Place,
    recent: Arc<Mutex<Recent>>,
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogStore").field(&self.place).finish()
    }
}

impl LogStore {
    /// A folder of this machine, made with what leads to it where it does not exist. What is saved is on disk, chunks and
    /// folders both, before [`save`](Self::save) returns. A folder that is made here can be entered by this user alone.
    ///
    /// # Errors
    /// `PermissionDenied`, `Capacity` or `Unavailable`, naming the folder.
    pub fn local(folder: impl AsRef<Path>) -> Result<Self> {
        open::local(folder.as_ref()).map(Self::at)
    }

    /// In memory, for tests and simulations; forgotten with its last clone.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::at(open::memory())
    }

    /// The place of this address: `file:///FOLDER`, or with the features `s3`, `gcs` and `azure` of this crate
    /// `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` and `az://CONTAINER/PREFIX`. Nothing is asked of a cloud yet.
    ///
    /// The options are those of the crate `object_store` for that cloud, such as `aws_region` and `aws_endpoint`, credentials
    /// among them; without credentials those of the machine's role are used. The environment is not read. Their values are
    /// shown nowhere.
    ///
    /// # Errors
    /// `Invalid` for an address or an option that is none, naming it; `Unsupported` when this program was built without the
    /// feature, naming it; for a folder as [`local`](Self::local).
    pub fn open(url: &str, options: &BTreeMap<String, SecretString>) -> Result<Self> {
        open::url(url, options).map(Self::at)
    }

    /// The place of this address, with the options that are among these variables of an environment: of `AWS_…`,
    /// `GOOGLE_…` or `AZURE_…` those that are options of the address's cloud, such as `AWS_ACCESS_KEY_ID`,
    /// `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS` or `AZURE_STORAGE_ACCOUNT_NAME`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_variables(url: &str, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        Self::open(url, &open::options_among(url, variables))
    }

    fn at(place: Place) -> Self {
        Self { place, recent: Arc::default() }
    }

    fn reader(&self) -> Reader<'_> {
        Reader { place: &self.place, recent: &self.recent }
    }

    /// Saves the whole log of an execution that has ended and was harvested, up to so many bytes of the program's output. What
    /// lies beyond the cap is read and counted, not kept.
    ///
    /// - Nothing is removed, neither here nor at the executor.
    /// - May be repeated, after an error, a crash, and by another program at the same time: the same log gives the same
    ///   reference, and nothing more in the store.
    /// - A record that is empty is left out, and one of more than 1 MiB divided; the bytes stay the same.
    /// - Uses about 4 MiB of memory beside the executor's pages, and 32 bytes for each MiB of the log.
    ///
    /// # Errors
    /// What the executor answers. `Unavailable` also when it does not say that the log has ended. `Capacity` when the store is
    /// full, `PermissionDenied`, `Unauthenticated` or `Unavailable` when it can't be written to: the log is still the
    /// executor's, and saving it again is safe.
    pub async fn save(
        &self,
        executor: &dyn ContainerExecutor,
        handle: &ExecutionHandle,
        cap: ByteSize,
    ) -> Result<SavedLog> {
        save::save(&self.place, executor, handle, cap).await.map_err(|error| error.with_operation("save log"))
    }

    /// Reads a page: as the executor's [`get_logs`](ContainerExecutor::get_logs), with cursors of its own. It does not wait;
    /// the log has ended.
    ///
    /// - One chunk is read for a page, and one more for the first; a page ends with its chunk.
    ///
    /// # Errors
    /// For a chunk that is missing `NotFound`, for one that is not what was written `Unexpected`, naming it and what can't be
    /// shown of the log: go on behind it with [`skip`](Self::skip). `Invalid` for a cursor that is not this log's and for a
    /// reference that is none; `Unavailable` and the like when the store can't be reached.
    pub async fn read(&self, reference: &LogReference, query: &LogQuery) -> Result<LogPage> {
        self.reader().page(reference, query).await.map_err(|error| error.with_operation("read log"))
    }

    /// The cursor of a place in a log.
    ///
    /// # Errors
    /// As [`read`](Self::read), for the chunks that tell where the place is.
    pub async fn seek(&self, reference: &LogReference, position: LogPosition) -> Result<LogCursor> {
        self.reader().seek(reference, position).await.map_err(|error| error.with_operation("read log"))
    }

    /// Where to go on behind a part of the log that can't be read, from the cursor with which reading it failed; none when
    /// nothing follows.
    ///
    /// # Errors
    /// As [`read`](Self::read), when the store can't be reached.
    pub async fn skip(&self, reference: &LogReference, unreadable: &LogCursor) -> Result<Option<LogCursor>> {
        self.reader().skip(reference, unreadable).await.map_err(|error| error.with_operation("read log"))
    }

    /// Removes everything that was saved for the attempt; what is gone is fine. A log that is kept with its attempt has nothing
    /// here.
    ///
    /// # Errors
    /// `Invalid` for a reference that is none; as the store can be reached.
    pub async fn remove(&self, reference: &LogReference) -> Result<()> {
        let LogReference::Stored { name, .. } = reference else { return Ok(()) };
        let log = StoredLog::parse(name)?;
        self.keep_only(log.token, None).await.map(drop)
    }

    /// Removes what was saved for an attempt and is not the log with this reference: what programs that died, or that were
    /// fenced off, have left. Call it only when the reference is stored with the attempt, or, with none, when the attempt has
    /// ended without a log or is not there any more. Returns how many chunks and half-written files it removed.
    ///
    /// # Errors
    /// `Invalid` for a reference that is none or that is another attempt's. When the log's last chunk can't be read, nothing is
    /// removed, and the error is that of [`read`](Self::read).
    pub async fn keep_only(&self, token: LaunchToken, reference: Option<&LogReference>) -> Result<u64> {
        let kept = match reference {
            Some(LogReference::Stored { name, .. }) => self.reader().names(token, StoredLog::parse(name)?).await,
            _ => Ok(Vec::new()),
        };
        let kept = kept.map_err(|error| error.with_operation("remove log"))?;
        self.place.clear(token, kept).await.map_err(|error| error.with_operation("remove log"))
    }

    /// The attempts that anything is stored for, in no order.
    ///
    /// # Errors
    /// As the store can be reached; the stream ends with its first error.
    #[must_use]
    pub fn tokens(&self) -> BoxStream<'_, Result<LaunchToken>> {
        let shards = stream::once(self.place.shards()).map_ok(|shards| stream::iter(shards.into_iter().map(Ok)));
        let tokens = shards.try_flatten().and_then(move |shard| async move { self.place.tokens(&shard).await });
        tokens.map_ok(|tokens| stream::iter(tokens.into_iter().map(Ok))).try_flatten().boxed()
    }
}
