//! Following a log to its end.

use std::{future::Future, time::Duration};

use super::{
    Runner,
    observer::{RunEvent, RunObserver},
    patience::Patience,
};
use crate::{Clock, ContainerExecutor, ExecutionHandle, LogCompleteness, LogCursor, LogPage, LogQuery, Result};

/// How long one question for more waits at the executor.
const WAIT: Duration = Duration::from_secs(20);
/// The pause between questions to an executor that can't wait.
const POLL: Duration = Duration::from_millis(500);

/// Follows the log from the cursor, or from its beginning, to its end, and gives every page with records to
/// `take`, together with the cursor from which to go on after it.
///
/// Cancel-safe between pages: go on from the last cursor that `take` was given.
///
/// # Errors
/// What `take` returns ends the following; so does losing contact for longer than the patience.
pub async fn follow_logs<T, F>(
    executor: &dyn ContainerExecutor,
    handle: &ExecutionHandle,
    from: Option<LogCursor>,
    clock: &dyn Clock,
    patience: &Patience,
    mut take: T,
) -> Result<LogCompleteness>
where
    T: FnMut(LogPage) -> F,
    F: Future<Output = Result<()>>,
{
    let mut cursor = from;
    loop {
        let query = cursor.take().map_or_else(LogQuery::from_start, LogQuery::after).waiting(WAIT);
        let asked_at = clock.now();
        let page = patience.retry(clock, None, || executor.get_logs(handle, &query)).await?;
        let answered_at_once = crate::clock::since(clock.now(), asked_at) < POLL;
        let (next, ended) = (page.next.clone(), page.ended.clone());
        if !page.records.is_empty() {
            take(page).await?;
        } else if answered_at_once && ended.is_none() {
            clock.sleep(POLL).await;
        }
        if let Some(completeness) = ended {
            return Ok(completeness);
        }
        cursor = Some(next);
    }
}

impl Runner {
    /// Gives the log to the observer, to its end.
    pub(super) async fn deliver_logs(
        &self,
        handle: &ExecutionHandle,
        observer: &dyn RunObserver,
    ) -> Result<LogCompleteness> {
        let deliver = |page: LogPage| async move { observer.observe(RunEvent::Logs(&page.records)).await };
        follow_logs(self.executor.as_ref(), handle, None, self.clock.as_ref(), &self.patience, deliver).await
    }
}
