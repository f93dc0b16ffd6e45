//! Where a run takes place: on the host that the options describe, or where the configuration sends the job.

use longshore::store::JobStore;
use longshore::{
    Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, ExecutorContext, ExecutorRegistry, Owner,
    Result, StopLevel,
    clock::since,
    route::{RejectionKind, RouteDecision, RouteOutcome, StageKind, Target, Verdict},
};
use std::{error::Error as StdError, sync::Arc, time::Duration};

use crate::{
    choice::{Choice, EMBEDDED},
    commands::own_variable,
    console::Console,
    host::beside,
    machine::Machine,
    routing::{self, Routing},
    signals::Asked,
};

/// The operation in which a host is chosen without a configuration.
pub(crate) const CHOOSE: &str = "choose_host";

/// How long an engine that nobody has named may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a full or ill host is asked again, when it does not say when.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a run may take place.
#[derive(Debug)]
pub(crate) enum Place {
    /// On the host that the options describe; and why, where people would expect another one.
    Typed { host: Box<Chosen>, why: Option<String>, clock: Arc<dyn Clock> },
    /// On the engine, and where none answers on the embedded executor.
    EngineOrEmbedded { engine: Box<Chosen>, embedded: Box<Chosen>, clock: Arc<dyn Clock> },
    /// Where the configuration sends the job.
    Routed { routing: Box<Routing>, bound: Option<Target>, clock: Arc<dyn Clock> },
}

/// Where a run takes place.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) host: ExecutionHost,
    pub(crate) executor: Arc<dyn ContainerExecutor>,
}

impl Chosen {
    fn new(host: ExecutionHost, registry: &ExecutorRegistry, context: &ExecutorContext) -> Result<Box<Self>> {
        let executor = routing::executor(&host, registry, context)?;
        Ok(Box::new(Self { host, executor }))
    }

    /// Asks the host what it is, unless it has just been asked.
    async fn discovered(&self) -> Result<Self> {
        if self.executor.facts().is_none() {
            self.executor.discover().await?;
        }
        Ok(self.clone())
    }
}

impl Place {
    /// On the host that the options describe, of the kind that was chosen to be asked first.
    ///
    /// # Errors
    /// When an executor can't be made of it.
    pub(crate) fn of_host(
        choice: Choice<'_>,
        host: ExecutionHost,
        registry: &ExecutorRegistry,
        context: &ExecutorContext,
        machine: &Machine,
    ) -> Result<Self> {
        let clock = Arc::clone(&context.clock);
        match choice {
            Choice::Only(_, why) => Ok(Self::Typed { host: Chosen::new(host, registry, context)?, why, clock }),
            Choice::EngineOrEmbedded => {
                let embedded = Chosen::new(beside(&host, EMBEDDED, &own_variable, machine)?, registry, context)?;
                Ok(Self::EngineOrEmbedded { engine: Chosen::new(host, registry, context)?, embedded, clock })
            }
        }
    }

    /// The host that is known before anything is asked.
    pub(crate) fn typed(&self) -> Option<&ExecutionHost> {
        match self {
            Self::Typed { host, .. } => Some(&host.host),
            Self::EngineOrEmbedded { .. } | Self::Routed { .. } => None,
        }
    }

    /// Learns whose jobs count, and where people pause hosts.
    ///
    /// # Errors
    /// `Capacity` when the only host is paused; as the database answers.
    pub(crate) async fn heed(&mut self, owner: &Owner, store: Option<Arc<dyn JobStore>>) -> Result<()> {
        let typed = match (&mut *self, &store) {
            (Self::Routed { routing, .. }, _) => {
                routing.heeding(owner.clone(), store);
                return Ok(());
            }
            (_, None) => return Ok(()),
            (Self::Typed { host, .. }, Some(store)) => (host, store),
            (Self::EngineOrEmbedded { engine, .. }, Some(store)) => (engine, store),
        };
        let (host, store) = typed;
        let pauses = store.pauses().await?;
        let Some(pause) = routing::pause_of(&pauses, &host.host.name) else { return Ok(()) };
        let message = format!("{} is paused {}; nothing was started", host.host.name, routing::in_words(pause));
        Err(Error::new(ErrorKind::Capacity, message).with_operation("heed_pauses"))
    }

    fn clock(&self) -> &dyn Clock {
        match self {
            Self::Typed { clock, .. } | Self::EngineOrEmbedded { clock, .. } | Self::Routed { clock, .. } => {
                clock.as_ref()
            }
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
            Self::Typed { host, why, .. } => {
                why.iter().for_each(|why| console.notice(&format!("runs on {}: {why}", host.host.name)));
                host.discovered().await
            }
            Self::EngineOrEmbedded { engine, embedded, clock } => {
                let Err(silence) = answer(engine, clock.as_ref()).await else { return engine.discovered().await };
                let chosen = embedded.discovered().await.map_err(|error| neither(&silence, error))?;
                console.notice(&format!("runs on {}: {}", chosen.host.name, in_words(&silence)));
                Ok(chosen)
            }
            Self::Routed { routing, bound, clock } => {
                routed(routing, bound.as_ref(), clock.as_ref(), job, console, dry_run).await
            }
        }
    }
}

/// What the engine says of itself, where it does so soon enough for somebody who may not even know of engines.
async fn answer(engine: &Chosen, clock: &dyn Clock) -> Result<()> {
    tokio::select! {
        answer = engine.executor.discover() => answer.map(drop),
        () = clock.sleep(PATIENCE) => Err(Error::new(ErrorKind::Timeout, format!("nothing within {PATIENCE:?}"))),
    }
}

/// The engine's silence in a few words: where none answers, and the innermost reason.
fn in_words(silence: &Error) -> String {
    let engine = silence.context().iter().find(|(name, _)| *name == "engine");
    let place = engine.map(|(_, engine)| format!(" at {engine}")).unwrap_or_default();
    let mut reason = silence.message().to_owned();
    let mut source = silence.source();
    while let Some(inner) = source {
        reason = inner.to_string();
        source = inner.source();
    }
    format!("no Docker Engine answers{place} ({reason})")
}

fn neither(silence: &Error, error: Error) -> Error {
    let message = format!("{}, and the embedded executor can't run jobs here either", in_words(silence));
    Error::new(ErrorKind::Unavailable, message).with_operation(CHOOSE).with_source(error)
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

#[cfg(test)]
#[cfg(feature = "mock")]
mod tests;
