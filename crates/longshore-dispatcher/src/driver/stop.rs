//! Stopping an execution: asked for as often as it takes, done only when its end is confirmed.

use longshore_core::{
    Cause, DEFAULT_GRACE, ErrorKind, Evidence, ExecutionHandle, ExecutionStatus, Result, StopReason, StopRequest,
    Termination,
};
use tokio::sync::watch;

use super::{Driver, Leave, Silence, Step};
use crate::{scene::planted, watcher::Sight};

/// What became of a stop.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The execution has ended.
    Ended(Termination),
    /// Its provider has no such execution.
    Vanished,
    /// Its executor can't stop anything.
    CanNot,
    /// Its provider has not answered for too long.
    TooSilent(String),
}

impl Driver {
    pub(super) async fn stop(
        &mut self,
        handle: &ExecutionHandle,
        reason: StopReason,
        sight: &watch::Receiver<Sight>,
    ) -> Step<Stopped> {
        if self.can_not_stop() {
            return Ok(Stopped::CanNot);
        }
        let grace = self.held.attempt.request.plan.template.stop_grace.unwrap_or(DEFAULT_GRACE);
        let request = StopRequest::new(reason, grace);
        if planted!(self.scene, SettlesWhenStopped) {
            return Ok(Stopped::Ended(Termination::new(reason.into(), Evidence::complete())));
        }
        loop {
            let error = match self.ask_to_stop(handle, &request).await? {
                Ok(end) => return Ok(Stopped::Ended(end)),
                Err(error) => error,
            };
            if let Sight::Status(ExecutionStatus::Terminated(end)) = &*sight.borrow() {
                return Ok(Stopped::Ended(end.clone()));
            }
            match error.kind() {
                ErrorKind::NotFound => return Ok(Stopped::Vanished),
                ErrorKind::Unsupported => return Ok(Stopped::CanNot),
                _ if planted!(self.scene, BelievesItsStop) => {
                    return Ok(Stopped::Ended(Termination::new(Cause::Cancelled, Evidence::complete())));
                }
                _ => {}
            }
            if self.bear_silence(&error).await? == Silence::TooLong {
                return Ok(Stopped::TooSilent(format!("it could not be stopped for too long: {}", error.chain())));
            }
        }
    }

    /// Asks once; a session that drains leaves the stop to others.
    async fn ask_to_stop(&self, handle: &ExecutionHandle, request: &StopRequest) -> Step<Result<Termination>> {
        let executor = match self.executor() {
            Ok(executor) => executor,
            Err(error) => return Ok(Err(error)),
        };
        tokio::select! {
            biased;
            () = self.scene.drained() => Err(Leave::Gone),
            stopped = executor.stop_job(handle, request) => Ok(stopped),
        }
    }
}
