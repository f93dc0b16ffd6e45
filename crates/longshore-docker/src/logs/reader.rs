//! Reads pages of a log that is being followed.

use longshore_core::{Clock, Error, ErrorKind, LogCompleteness, LogCursor, LogPage, LogQuery, LogSummary, Result};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

use super::{
    follower::{Ending, Following},
    spill,
};

/// How long the engine may take to end the log of a container that has ended.
const END: Duration = Duration::from_secs(2);
/// How long the first question to the engine may take before a reader is told that there is nothing yet.
const ASK: Duration = Duration::from_secs(10);

/// A place to read a followed log from; clones read independently.
#[derive(Debug, Clone)]
pub(crate) struct LogReader {
    container: String,
    following: watch::Receiver<Following>,
    over: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
}

impl LogReader {
    pub(crate) const fn new(
        container: String,
        following: watch::Receiver<Following>,
        over: watch::Sender<bool>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { container, following, over, clock }
    }

    /// Whether the engine is known to have been there from the start to the end of a container that has ended: the log was
    /// followed without a break until the engine ended it.
    pub(crate) async fn is_unbroken(&self) -> bool {
        self.over.send_replace(true);
        let now = self.wait_until(END, |following| following.ended.is_some() || !following.unbroken).await;
        now.ended.is_some() && now.unbroken
    }

    /// A page from the query's cursor on; waits for something new as long as the query says.
    pub(crate) async fn page(&self, query: &LogQuery) -> Result<LogPage> {
        let offset = self.offset(query.cursor.as_ref())?;
        let now = self.settled(offset, query.wait).await;
        if offset < now.extent.end {
            return self.read(&now, offset, query.max_bytes).await;
        }
        match (now.ended, now.trouble) {
            (Some(Ending::NoContainer), _) => Err(self.not_found()),
            (Some(Ending::Log(_)), _) if offset > now.extent.end => Err(self.alien_cursor()),
            (Some(Ending::Log(completeness)), _) => Ok(LogPage::last(Vec::new(), self.cursor(offset), completeness)),
            (None, Some(trouble)) => Err(Error::new(ErrorKind::Unavailable, trouble)),
            (None, None) => Ok(LogPage::open(Vec::new(), self.cursor(offset))),
        }
    }

    /// What the whole log holds, once it has ended, of a container that has.
    pub(crate) async fn summary(&self, patience: Duration) -> Result<LogSummary> {
        self.over.send_replace(true);
        let now = self.wait_until(patience, |following| following.ended.is_some()).await;
        match (now.ended, now.trouble) {
            (Some(Ending::NoContainer), _) => Err(self.not_found()),
            (Some(Ending::Log(completeness)), _) => {
                Ok(LogSummary::new(completeness, now.extent.stdout_bytes, now.extent.stderr_bytes))
            }
            (None, trouble) => {
                let why = trouble.unwrap_or_else(|| "the engine has not ended the log".to_owned());
                Err(Error::new(ErrorKind::Unavailable, why).with_context("container", &self.container))
            }
        }
    }

    /// Waits until there is something at the offset, or an end, or trouble; in any case until the engine has been
    /// asked once.
    async fn settled(&self, offset: u64, wait: Duration) -> Following {
        let known = |following: &Following| {
            offset < following.extent.end || following.ended.is_some() || following.trouble.is_some()
        };
        let asked = |following: &Following| following.asked || known(following);
        self.wait_until(ASK, asked).await;
        self.wait_until(wait, known).await
    }

    async fn wait_until(&self, wait: Duration, done: impl Fn(&Following) -> bool) -> Following {
        let mut following = self.following.clone();
        tokio::select! {
            biased;
            reached = following.wait_for(done) => {
                let _ = reached;
            }
            () = self.clock.sleep(wait) => {}
        }
        self.following.borrow().clone()
    }

    async fn read(&self, now: &Following, offset: u64, max_bytes: usize) -> Result<LogPage> {
        let Some(file) = now.file.clone() else { return Ok(LogPage::open(Vec::new(), self.cursor(offset))) };
        let end = now.extent.end;
        let page = tokio::task::spawn_blocking(move || spill::read(&file, offset, end, max_bytes)).await;
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Unavailable, "the log that is kept on disk can't be read").with_source(error)
        };
        let (records, next) = page
            .map_err(|error| unreadable(error.into()))?
            .map_err(|error| unreadable(error.into()))?
            .ok_or_else(|| self.alien_cursor())?;
        let last: Option<LogCompleteness> = match &now.ended {
            Some(Ending::Log(completeness)) if next == end => Some(completeness.clone()),
            _ => None,
        };
        let cursor = self.cursor(next);
        Ok(match last {
            Some(completeness) => LogPage::last(records, cursor, completeness),
            None => LogPage::open(records, cursor),
        })
    }

    fn cursor(&self, offset: u64) -> LogCursor {
        LogCursor::new(format!("{}:{offset}", self.mark()))
    }

    /// Enough of the container's id to tell this log's cursors from another's.
    fn mark(&self) -> &str {
        self.container.get(..12).unwrap_or(&self.container)
    }

    fn offset(&self, cursor: Option<&LogCursor>) -> Result<u64> {
        let Some(cursor) = cursor else { return Ok(0) };
        let ours = cursor.as_str().split_once(':').filter(|(mark, _)| *mark == self.mark());
        ours.and_then(|(_, offset)| offset.parse().ok()).ok_or_else(|| self.alien_cursor())
    }

    fn alien_cursor(&self) -> Error {
        Error::new(ErrorKind::Invalid, "the cursor is not one of this log; read from the beginning")
            .with_operation("get_logs")
    }

    fn not_found(&self) -> Error {
        Error::new(ErrorKind::NotFound, "the engine has no such container").with_context("container", &self.container)
    }
}
