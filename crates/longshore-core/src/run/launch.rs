//! Launching one attempt, once, whatever answers are lost.

use std::time::Duration;

use super::{
    observer::{RunEvent, RunObserver},
    patience::Patience,
    stop::{StopLevel, StopSwitch},
    stopped_before_launch,
};
use crate::{Advice, Clock, ContainerExecutor, Error, ErrorKind, ExecutionHandle, LaunchRequest, LaunchSearch, Result};

/// What became of a launch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Launched {
    /// The execution exists.
    Started(ExecutionHandle),
    /// It may or may not exist, and the provider can't say. It must not be launched again.
    Unprovable {
        /// Why it can't be proven.
        reason: String,
    },
}

/// Launches the attempt, once: an answer that was lost is looked up before anything is sent again, and what
/// can't be looked up is not sent again.
///
/// Cancellation: a dropped call may leave the execution launched; calling again finds it.
///
/// # Errors
/// With the advice `LookUpFirst` when it may have been launched and can't be looked up now; otherwise it was not launched.
/// Refusals that may pass (the provider can't be reached, too many requests) are asked again until the request's deadline.
pub async fn launch_once(
    executor: &dyn ContainerExecutor,
    request: &LaunchRequest,
    clock: &dyn Clock,
    patience: &Patience,
) -> Result<Launched> {
    Launching { executor, request, clock, patience, observer: None, stop: &StopSwitch::new() }.run().await
}

/// A launch under way, and who is told of it and may end it.
pub(super) struct Launching<'a> {
    pub(super) executor: &'a dyn ContainerExecutor,
    pub(super) request: &'a LaunchRequest,
    pub(super) clock: &'a dyn Clock,
    pub(super) patience: &'a Patience,
    pub(super) observer: Option<&'a dyn RunObserver>,
    pub(super) stop: &'a StopSwitch,
}

impl Launching<'_> {
    /// Launches. A launch that has been sent is always waited for; a stop ends only the asking again.
    pub(super) async fn run(&self) -> Result<Launched> {
        let mut pause = self.patience.first_pause;
        loop {
            if self.stop.level() >= StopLevel::Graceful {
                return Err(stopped_before_launch("launch_job"));
            }
            let error = match self.executor.launch_job(self.request).await {
                Ok(handle) => return Ok(Launched::Started(handle)),
                Err(error) => error,
            };
            if error.advice() == Advice::LookUpFirst {
                match self.look_up(&error).await? {
                    LaunchSearch::Found(handle) => return Ok(Launched::Started(handle)),
                    LaunchSearch::Unprovable { reason } => return Ok(Launched::Unprovable { reason }),
                    LaunchSearch::Absent => {}
                }
            } else if !passes(error.kind()) {
                return Err(error);
            }
            if self.request.check_deadline(self.clock).is_err() {
                return Err(error);
            }
            self.wait(&error, pause).await?;
            pause = (pause * 2).min(self.patience.longest_pause);
        }
    }

    /// Looks until there is an answer; without one the launch may still have happened, as its error says.
    async fn look_up(&self, error: &Error) -> Result<LaunchSearch> {
        tokio::select! {
            biased;
            found = self.patience.retry(self.clock, self.observer, || self.executor.find_launch(self.request)) => {
                found.map_err(|unanswered| error.repeated().with_source(unanswered))
            }
            _ = self.stop.reached(StopLevel::Graceful) => Err(error.repeated()),
        }
    }

    async fn wait(&self, error: &Error, pause: Duration) -> Result<()> {
        if let Some(observer) = self.observer {
            let _ = observer.observe(RunEvent::LostContact(error)).await;
        }
        tokio::select! {
            biased;
            () = self.clock.sleep(pause_after(error.advice(), pause)) => Ok(()),
            _ = self.stop.reached(StopLevel::Graceful) => Err(stopped_before_launch("launch_job")),
        }
    }
}

/// True for a refusal of which nothing was sent, or nothing taken, and which may pass by itself soon.
const fn passes(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited)
}

fn pause_after(advice: Advice, usual: Duration) -> Duration {
    match advice {
        Advice::After(pause) => pause.max(usual),
        _ => usual,
    }
}
