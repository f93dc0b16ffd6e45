//! Where a run takes place: on the host that the options describe, or where the configuration sends the job.

use longshore::{
    Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, Result, StopLevel,
    clock::since,
    route::{RejectionKind, RouteDecision, RouteOutcome, StageKind, Target, Verdict},
};
use std::{sync::Arc, time::Duration};

use crate::{console::Console, routing::Routing, signals::Asked};

/// How often a full or ill host is asked again, when it does not say when.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a run may take place.
#[derive(Debug)]
pub(crate) enum Place {
    /// On the host that the options describe.
    Typed { host: Box<ExecutionHost>, executor: Arc<dyn ContainerExecutor>, clock: Arc<dyn Clock> },
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

    fn clock(&self) -> &dyn Clock {
        match self {
            Self::Typed { clock, .. } | Self::Routed { clock, .. } => clock.as_ref(),
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
        let limit = job.template.start_timeout;
        // An engine that does not answer is the most usual fault, and the moment at which people press Ctrl-C.
        tokio::select! {
            chosen = self.chosen(job, console, dry_run) => chosen,
            () = self.clock().sleep(limit.unwrap_or(Duration::MAX)) => {
                let limit = limit.unwrap_or_default();
                let why = console.decision().and_then(|decision| decision.error());
                let why = why.map(|error| format!(": {}", error.message())).unwrap_or_default();
                let message = format!("no host took the job within the start timeout of {limit:?}{why}");
                Err(Error::new(ErrorKind::Timeout, message).with_operation("route_job"))
            }
            _ = asked.switch.reached(StopLevel::Graceful) => {
                Err(Error::new(ErrorKind::Cancelled, "stopped before the launch; nothing was started"))
            }
        }
    }

    async fn chosen(&self, job: &ContainerJob, console: &Console, dry_run: bool) -> Result<Chosen> {
        match self {
            Self::Typed { host, executor, .. } => {
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
    loop {
        routing.look(bound).await;
        let route = routing.route(job, bound);
        console.decided(&route.decision);
        if let (Some(host), Some(executor)) = (routing.host(&route), route.executor) {
            tell(&route.decision, console);
            return Ok(Chosen { host, executor });
        }
        let error = refusal(&route.decision);
        let RouteOutcome::NotNow { reason, ask_again_at } = &route.decision.outcome else { return Err(error) };
        if dry_run || !is_worth_waiting(&route.decision) {
            return Err(error);
        }
        let words = if reason.starts_with("waits") { reason } else { error.message() };
        if told.as_deref() != Some(words) {
            console.notice(&format!("not now: {words}"));
            told = Some(words.to_owned());
        }
        let now = clock.now();
        clock.sleep(ask_again_at.map_or(AGAIN, |at| since(at, now).clamp(AGAIN / 20, AGAIN))).await;
    }
}

/// Whether somebody at a terminal would wait: for room, or for a host that has said when. A host that does not answer at
/// all is a fault to be told at once.
fn is_worth_waiting(decision: &RouteDecision) -> bool {
    let waits = |kind: RejectionKind| kind.is_temporary() && kind != RejectionKind::Unreachable;
    decision.rejections().any(|(_, rejection)| waits(rejection.kind))
}

fn refusal(decision: &RouteDecision) -> Error {
    decision.error().unwrap_or_else(|| Error::new(ErrorKind::Unexpected, "no host was chosen, and nothing says why"))
}

fn tell(decision: &RouteDecision, console: &Console) {
    if let RouteOutcome::Chosen { host, executor, reason, .. } = &decision.outcome {
        console.notice(&format!("runs on {host} ({executor}): {reason}"));
    }
    // Why it is not where it would usually be.
    let stages = decision.stages.split_last().map(|(_, earlier)| earlier).unwrap_or_default();
    for candidate in stages.iter().flat_map(|stage| &stage.candidates) {
        if let Verdict::Rejected(rejection) = &candidate.verdict
            && rejection.kind.is_temporary()
        {
            console.notice(&format!("passed over {}: {}", candidate.host, rejection.why));
        }
    }
    let unmet =
        decision.stages.iter().filter(|stage| stage.kind == StageKind::Preferred && stage.candidates.is_empty());
    unmet.for_each(|stage| console.notice(&stage.reason));
    for note in &decision.rule_notes {
        console.notice(&format!("rule {} did not apply: {}", note.rule, note.why));
    }
    decision.notices.iter().for_each(|notice| console.notice(notice));
}
