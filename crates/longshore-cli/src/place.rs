//! Where a run takes place: on the host that the options describe, or where the configuration sends the job.

use longshore::{
    Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, Result, StopLevel,
    route::{RouteDecision, RouteOutcome, Target},
};
use std::{sync::Arc, time::Duration};

use crate::{console::Console, routing::Routing, signals::Asked};

/// How often a full or ill host is asked again, when it does not say when.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a run may take place.
#[derive(Debug)]
pub(crate) enum Place {
    /// On the host that the options describe.
    Typed { host: Box<ExecutionHost>, executor: Arc<dyn ContainerExecutor> },
    /// Where the configuration sends the job.
    Routed { routing: Box<Routing>, bound: Option<Target>, clock: Arc<dyn Clock> },
}

/// Where a run takes place.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) host: ExecutionHost,
    pub(crate) executor: Arc<dyn ContainerExecutor>,
}

impl Place {
    /// The host that is known before anything is asked.
    pub(crate) fn typed(&self) -> Option<&ExecutionHost> {
        match self {
            Self::Typed { host, .. } => Some(host),
            Self::Routed { .. } => None,
        }
    }

    /// Asks the host, or the router, and waits for room where the decision is to wait; in a dry run nothing is waited
    /// for.
    ///
    /// # Errors
    /// When the host can't be reached, no host ever takes the job, or somebody stops the run.
    pub(crate) async fn choose(
        &self,
        job: &ContainerJob,
        console: &Console,
        asked: &Asked,
        dry_run: bool,
    ) -> Result<Chosen> {
        // An engine that does not answer is the most usual fault, and the moment at which people press Ctrl-C.
        tokio::select! {
            chosen = self.chosen(job, console, dry_run) => chosen,
            _ = asked.switch.reached(StopLevel::Graceful) => {
                Err(Error::new(ErrorKind::Cancelled, "stopped before the launch; nothing was started"))
            }
        }
    }

    async fn chosen(&self, job: &ContainerJob, console: &Console, dry_run: bool) -> Result<Chosen> {
        match self {
            Self::Typed { host, executor } => {
                executor.discover().await?;
                Ok(Chosen { host: ExecutionHost::clone(host), executor: Arc::clone(executor) })
            }
            Self::Routed { routing, bound, clock } => {
                routed(routing, bound.as_ref(), clock.as_ref(), job, console, dry_run).await
            }
        }
    }
}

async fn routed(
    routing: &Routing,
    bound: Option<&Target>,
    clock: &dyn Clock,
    job: &ContainerJob,
    console: &Console,
    dry_run: bool,
) -> Result<Chosen> {
    let mut told = None;
    routing.look(bound).await;
    loop {
        let route = routing.route(job, bound);
        console.decided(&route.decision);
        if let (Some(host), Some(executor)) = (routing.host(&route), route.executor) {
            tell(&route.decision, console);
            return Ok(Chosen { host, executor });
        }
        let RouteOutcome::NotNow { reason, ask_again_at } = &route.decision.outcome else {
            return Err(never(&route.decision));
        };
        if dry_run {
            return Err(never(&route.decision));
        }
        if told.as_ref() != Some(reason) {
            console.notice(&format!("not now: {reason}"));
            told = Some(reason.clone());
        }
        let now = clock.now();
        let wait = ask_again_at.map_or(AGAIN, |at| longshore::clock::since(at, now).clamp(AGAIN / 20, AGAIN));
        clock.sleep(wait).await;
        routing.look(bound).await;
    }
}

fn never(decision: &RouteDecision) -> Error {
    decision.error().unwrap_or_else(|| Error::new(ErrorKind::Unexpected, "no host was chosen, and nothing says why"))
}

fn tell(decision: &RouteDecision, console: &Console) {
    if let RouteOutcome::Chosen { host, executor, reason, .. } = &decision.outcome {
        console.notice(&format!("runs on {host} ({executor}): {reason}"));
    }
    for note in &decision.rule_notes {
        console.notice(&format!("rule {} did not apply: {}", note.rule, note.why));
    }
    decision.notices.iter().for_each(|notice| console.notice(notice));
}
