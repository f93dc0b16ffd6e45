//! Launching one attempt, once, whatever answers are lost.

use std::time::Duration;

use super::patience::Patience;
use crate::{Advice, Clock, ContainerExecutor, ErrorKind, ExecutionHandle, LaunchRequest, LaunchSearch, Result};

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
/// When it was not launched. Refusals that may pass (the provider can't be reached, too many requests) are
/// asked again until the request's deadline.
pub async fn launch_once(
    executor: &dyn ContainerExecutor,
    request: &LaunchRequest,
    clock: &dyn Clock,
    patience: &Patience,
) -> Result<Launched> {
    let mut pause = patience.first_pause;
    loop {
        let error = match executor.launch_job(request).await {
            Ok(handle) => return Ok(Launched::Started(handle)),
            Err(error) => error,
        };
        if error.advice() == Advice::LookUpFirst {
            match patience.retry(clock, None, || executor.find_launch(request)).await? {
                LaunchSearch::Found(handle) => return Ok(Launched::Started(handle)),
                LaunchSearch::Unprovable { reason } => return Ok(Launched::Unprovable { reason }),
                LaunchSearch::Absent => {}
            }
        } else if !passes(error.kind()) {
            return Err(error);
        }
        if request.check_deadline(clock).is_err() {
            return Err(error);
        }
        clock.sleep(pause_after(error.advice(), pause)).await;
        pause = (pause * 2).min(patience.longest_pause);
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
