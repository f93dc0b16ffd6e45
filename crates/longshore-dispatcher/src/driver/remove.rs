//! From the stored outcome to the last trace removed.

use longshore_core::{
    ContainerExecutor, Error, ErrorKind, ExecutionHandle, ExecutionStatus, JobStatus, LaunchSearch, Result, StopReason,
    StopRequest,
};
use longshore_store::What;
use std::time::Duration;

use super::{Driver, Leave, Step};
use crate::scene::planted;

/// How long something that was given up may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

impl Driver {
    /// Removes what the attempt left at its provider. It is not hurried: until a former holder can launch no more, the name
    /// stays taken.
    pub(super) async fn remove(&mut self) -> Step {
        if planted!(self.scene, KeepsTheRefused) && self.held.attempt.handle.is_none() {
            return Err(Leave::Gone);
        }
        if planted!(self.scene, ForgetsToCleanUp) {
            return self.record(What::Closed).await;
        }
        if !planted!(self.scene, CleansUpTooEarly) {
            self.wait_for_quiet().await?;
        }
        loop {
            let error = match self.clear_all().await {
                Ok(None) => return self.record(What::Closed).await,
                Ok(Some(note)) => {
                    self.record(What::Noted(note)).await?;
                    return self.record(What::Closed).await;
                }
                Err(error) => error,
            };
            self.scene.trouble(
                &self.host().clone(),
                &error,
                "what is left of an attempt can't be removed yet; trying again",
            );
            if self.pause == super::LONGEST_PAUSE {
                self.seat.is_stuck();
            }
            tokio::select! {
                biased;
                () = self.scene.drained() => return Err(Leave::Gone),
                () = self.scene.clock().sleep(self.pause) => {}
            }
            self.pause = (self.pause * 2).min(super::LONGEST_PAUSE);
        }
    }

    /// Removes what dead dispatchers and failed attempts to save have left of its log, and what is left of it at its provider.
    async fn clear_all(&self) -> Result<Option<String>> {
        if self.untidy {
            let log = self.held.attempt.outcome.as_ref().and_then(|outcome| outcome.log.as_ref());
            self.scene.parts.logs.keep_only(self.token(), log).await?;
        }
        self.clear().await
    }

    /// Makes sure that nothing of it runs or lies anywhere, and says what was found that nobody expected.
    async fn clear(&self) -> Result<Option<String>> {
        let executor = self.executor()?;
        let handle = match &self.held.attempt.handle {
            Some(handle) => handle.clone(),
            None => match executor.find_launch(&self.held.attempt.request).await? {
                LaunchSearch::Found(handle) => handle,
                LaunchSearch::Unprovable { reason } => match self.listed(executor.as_ref()).await? {
                    Some(handle) => handle,
                    None => return Ok(Some(format!("nothing can be found of it: {reason}"))),
                },
                _ => return Ok(None),
            },
        };
        let note = if self.is_of_unknown_end() { self.evidence(&handle).await? } else { None };
        match executor.cleanup(&handle).await {
            Err(error) if error.kind() == ErrorKind::StillRunning => {
                self.put_down(&handle).await?;
                executor.cleanup(&handle).await.map(|()| note)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(note),
            cleaned => cleaned.map(|()| note),
        }
    }

    /// Looks for it among all that is ours on its host, where its launch can't be looked up.
    async fn listed(&self, executor: &dyn ContainerExecutor) -> Result<Option<ExecutionHandle>> {
        match executor.list_owned(&self.held.attempt.request.owner).await {
            Ok(owned) => Ok(owned.into_iter().map(|owned| owned.handle).find(|handle| handle.token == self.token())),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether its end was stored without being known.
    fn is_of_unknown_end(&self) -> bool {
        let outcome = self.held.attempt.outcome.as_ref();
        outcome.is_none_or(|outcome| outcome.status == JobStatus::Lost || outcome.termination.is_none())
    }

    /// Something of it is there after all: it is stopped and harvested as evidence, and never revived.
    async fn evidence(&self, handle: &ExecutionHandle) -> Result<Option<String>> {
        let executor = self.executor()?;
        match executor.check_status(handle).await? {
            ExecutionStatus::NotFound => Ok(None),
            ExecutionStatus::Terminated(end) => Ok(Some(format!("it was found later: {}", end.cause))),
            // There may be nothing to stop yet, as with a container that was made and never started.
            ExecutionStatus::Pending => Ok(Some("it was found later, not started".to_owned())),
            _ => {
                let end = self.put_down(handle).await?;
                Ok(Some(format!("it was found running later, and stopped: {end}")))
            }
        }
    }

    async fn put_down(&self, handle: &ExecutionHandle) -> Result<String> {
        let stop = StopRequest::new(StopReason::Cancelled, GRACE);
        match self.executor()?.stop_job(handle, &stop).await {
            Ok(end) => Ok(end.cause.to_string()),
            Err(error) if error.kind() == ErrorKind::Unsupported => Err(still_running(handle)),
            Err(error) => Err(error),
        }
    }
}

fn still_running(handle: &ExecutionHandle) -> Error {
    let message = format!("{} still runs and can't be stopped", handle.external_execution_id);
    Error::new(ErrorKind::StillRunning, message)
}
