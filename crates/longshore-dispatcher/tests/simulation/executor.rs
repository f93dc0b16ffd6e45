//! A place as one process reaches it: late, over a connection that loses calls and answers, or not at all.

use futures::{FutureExt, StreamExt, stream};
use longshore_core::{
    Advice, Capabilities, CheckedJob, ContainerExecutor, Error, ErrorKind, EventStream, ExecutionEvent,
    ExecutionHandle, ExecutionStatus, ExecutorContext, ExecutorType, Harvest, Health, HostFacts, HostName,
    LaunchIdempotency, LaunchRequest, LaunchSearch, LaunchToken, LogPage, LogQuery, OwnedExecution, Owner, Plan,
    Progress, Result, StopReason, StopRequest, Termination, async_trait,
};
use longshore_mock::MockExecutor;
use longshore_store::JobStore;
use std::{fmt::Write as _, sync::Arc, time::Duration};

use crate::{
    keeper,
    life::{Life, unavailable},
    limits,
    world::{Place, World},
};

#[derive(Debug)]
pub(crate) struct Remote {
    life: Arc<Life>,
    inner: Arc<MockExecutor>,
    /// Which of the places it is.
    at: usize,
}

/// What becomes of a launch that is sent.
#[derive(Debug, Clone, Copy)]
enum Sent {
    /// It arrives after so long, and is answered.
    Answered(Duration),
    /// It arrives, and its answer is lost.
    Unanswered(Duration),
    /// It is lost, and nobody can tell.
    Lost,
    /// It is refused before it is sent.
    Unsent,
    /// It arrives twice, the second time after so long, and its answer is lost.
    Twice(Duration),
}

impl Remote {
    pub(crate) fn new(life: &Arc<Life>, at: usize) -> Self {
        let place = &life.world.places[at];
        let context = ExecutorContext::new("unused").with_clock(Arc::clone(life) as _);
        let inner = Arc::new(MockExecutor::attach(&place.host, &place.provider, &context));
        Self { life: Arc::clone(life), inner, at }
    }

    fn world(&self) -> &Arc<World> {
        &self.life.world
    }

    fn place(&self) -> &Place {
        &self.world().places[self.at]
    }

    fn reach(&self) -> Result<()> {
        self.life.reach_places()?;
        if self.place().is_out() { Err(unavailable("the place is out")) } else { Ok(()) }
    }

    /// Whether the call or the answer is lost, and how long either takes.
    fn fate(&self) -> (bool, bool, Duration, Duration) {
        let world = self.world();
        if world.is_calm() {
            return (false, false, Duration::ZERO, Duration::ZERO);
        }
        let faults = &world.script.faults;
        let mut dice = world.dice();
        let (unsent, unanswered) = (dice.chance(faults.place), dice.chance(faults.place));
        (unsent, unanswered, dice.skewed(faults.place_latency), dice.skewed(faults.place_latency))
    }

    /// Asks the place, as far as the wire lets it.
    async fn ask<T>(&self, operation: &str, effect: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.life.step(operation).await;
        let (unsent, unanswered, before, after) = self.fate();
        self.life.tell(|line| {
            let lost = if unsent {
                " unsent"
            } else if unanswered {
                " unanswered"
            } else {
                ""
            };
            let _ = write!(line, "{}.{operation}{lost}", self.host());
        });
        pause(before).await;
        self.reach()?;
        if unsent {
            return Err(unavailable("the call was lost"));
        }
        let answer = effect.await;
        pause(after).await;
        self.life.step(operation).await;
        self.reach()?;
        if unanswered { Err(unavailable("the answer was lost")) } else { answer }
    }

    fn sent(&self, request: &LaunchRequest) -> Sent {
        let world = self.world();
        if world.is_calm() {
            return Sent::Answered(Duration::ZERO);
        }
        let faults = &world.script.faults;
        // Whatever was sent in time takes effect within the margin.
        let margin = u64::try_from(world.script.settings.margin.as_millis()).unwrap() - 5_000;
        // What knows no twins, or forgets them, is not sent twice. Nor is it late where it is forgotten: its name would be
        // free again by then for a twin that was launched after a look.
        let by_effort = self.capabilities().launch == LaunchIdempotency::BestEffort;
        let forgotten = world.script.is_forgotten(self.host(), request.token.job());
        let (once, latest) = (by_effort || forgotten, if forgotten { 1 } else { margin });
        let mut dice = world.dice();
        let usual = dice.skewed(faults.place_latency);
        if !dice.chance(faults.launch) {
            return Sent::Answered(usual);
        }
        match dice.below(8) {
            0 => Sent::Unsent,
            1 => Sent::Lost,
            2 | 3 => Sent::Unanswered(usual),
            4 => Sent::Unanswered(dice.millis(1, latest)),
            5 | 6 if !once => Sent::Twice(dice.millis(1, margin)),
            _ => Sent::Answered(dice.millis(1, latest)),
        }
    }

    /// Puts a launch on its way; it arrives whatever becomes of its sender.
    async fn deliver(&self, request: &LaunchRequest, after: Duration) -> Result<ExecutionHandle> {
        let (world, at, request) = (Arc::clone(self.world()), self.at, request.clone());
        let arrival = tokio::spawn(async move {
            pause(after).await;
            arrive(&world, at, &request).await
        });
        arrival.await.unwrap()
    }

    async fn send(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        self.reach()?;
        request.check_deadline(self.life.as_ref())?;
        let sent = self.sent(request);
        self.life.tell(|line| {
            let token = request.token;
            let _ = write!(line, "{} LAUNCHES {} #{} {sent:?}", self.host(), World::name(token.job()), token.attempt());
        });
        match sent {
            Sent::Unsent => Err(unavailable("connection refused")),
            Sent::Lost => Err(ambiguous()),
            Sent::Unanswered(after) if after > Duration::from_secs(3) => {
                tokio::select! {
                    biased;
                    _ = self.deliver(request, after) => {}
                    () = tokio::time::sleep(Duration::from_secs(3)) => {}
                }
                Err(ambiguous())
            }
            Sent::Unanswered(after) => {
                let _ = self.deliver(request, after).await;
                Err(ambiguous())
            }
            Sent::Twice(later) => {
                let now = Box::pin(self.deliver(request, Duration::ZERO));
                let again = Box::pin(self.deliver(request, later));
                // Polled once, it is on its way.
                let _ = again.now_or_never();
                let _ = now.await;
                Err(ambiguous())
            }
            Sent::Answered(after) => self.deliver(request, after).await,
        }
    }
}

fn ambiguous() -> Error {
    unavailable("the launch was not answered").with_advice(Advice::LookUpFirst)
}

async fn pause(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// A launch arrives at its place.
async fn arrive(world: &Arc<World>, at: usize, request: &LaunchRequest) -> Result<ExecutionHandle> {
    let place = &world.places[at];
    let token = request.token;
    let launched = place.gate.launch_job(request).await;
    world.tell(|line| {
        let host = &place.host.name;
        let _ = write!(line, "{host} ARRIVES {} #{} ", World::name(token.job()), token.attempt());
        match &launched {
            Ok(handle) => line.push_str(&handle.external_execution_id),
            Err(error) => line.push_str(&error.chain()),
        }
    });
    if launched.is_ok() {
        check_alone(world, token).await;
    }
    launched
}

/// A started attempt is alone: it was started once, and no other of its job runs.
async fn check_alone(world: &World, token: LaunchToken) {
    let launches = world.launches(&token);
    if launches > 1 {
        world.broken("an attempt starts at most once", format!("{token} was started {launches} times"));
    }
    let owned: Vec<_> = world.places.iter().flat_map(Place::owned).filter(|owned| owned.live).collect();
    let is_live = |token: LaunchToken| owned.iter().any(|owned| owned.handle.token == token);
    let of_job = owned.iter().filter(|owned| owned.handle.token.job() == token.job());
    let other = of_job.map(|owned| owned.handle.token).find(|other| *other != token);
    if let Some(other) = other
        && is_live(token)
    {
        world.broken("no two attempts of a job at once", format!("{token} was started while {other} is alive"));
    }
    let Ok(held) = world.store.attempt(token).await else { return };
    let Some(outcome) = held.attempt.outcome else { return };
    if is_live(token) && outcome.status != longshore_core::JobStatus::Lost {
        let how = format!("{token} is alive, and was declared to have ended: {}", outcome.reason);
        world.broken("what was declared to have ended does not begin", how);
    }
}

/// Just before an execution is removed: its outcome and log must be stored, and its end is taken down as the truth.
async fn before_removal(world: &World, place: &Place, handle: &ExecutionHandle) {
    let status = place.observer.check_status(handle).now_or_never();
    let Some(Ok(ExecutionStatus::Terminated(end))) = status else { return };
    let mut log = None;
    while log.is_none() {
        match keeper::read(&place.observer, handle).now_or_never() {
            // Connections that are cut go on where they were.
            Some(Err(error)) if error.kind() == ErrorKind::Unavailable => {}
            Some(read) => log = Some(read.ok()),
            None => log = Some(None),
        }
    }
    world.ledger().removed(handle, end, log.flatten());
    if let Ok(held) = world.store.attempt(handle.token).await
        && held.attempt.outcome.is_none()
    {
        let how = format!("{} is removed before its outcome is stored", handle.token);
        world.broken("logs and outcomes are kept before anything is removed", how);
    }
}

/// Events after the wire had its way with them.
fn heard(life: Arc<Life>, at: usize, events: EventStream) -> EventStream {
    stream::unfold((life, events), move |(life, mut events)| async move {
        loop {
            let event = events.next().await?;
            life.gate().await;
            let world = &life.world;
            if life.reach_places().is_err() || world.places[at].is_out() {
                return None;
            }
            let lost = !world.is_calm() && world.dice().chance(world.script.faults.events);
            if !lost || event == ExecutionEvent::Gap {
                return Some((event, (life, events)));
            }
        }
    })
    .boxed()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerExecutor for Remote {
    fn executor_type(&self) -> &ExecutorType {
        self.inner.executor_type()
    }

    fn host(&self) -> &HostName {
        self.inner.host()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn facts(&self) -> Option<Arc<HostFacts>> {
        self.inner.facts()
    }

    async fn discover(&self) -> Result<Arc<HostFacts>> {
        self.ask("discover", self.inner.discover()).await
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        self.inner.plan(job)
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        self.ask("prepare", self.inner.prepare(request, progress)).await
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        self.life.hesitate().await;
        let sent = self.send(request).await;
        self.life.step("launched").await;
        sent
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        let found = self.ask("find", self.inner.find_launch(request)).await;
        if let Ok(LaunchSearch::Unprovable { .. }) = found {
            self.world().ledger().excuse(request.token, "its place can't prove anything");
        }
        found
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        self.ask("status", self.inner.check_status(handle)).await
    }

    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        let asked = self.ask("statuses", async { Ok(self.inner.check_statuses(handles).await) });
        match asked.await {
            Ok(answers) => answers,
            Err(error) => handles.iter().map(|_| Err(error.repeated())).collect(),
        }
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        if stop.reason == StopReason::TimedOut {
            limits::check_stop(self.world(), self.place(), handle).await;
        }
        self.ask("stop", self.inner.stop_job(handle, stop)).await
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        self.ask("logs", self.inner.get_logs(handle, query)).await
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        self.ask("harvest", self.inner.harvest_job(handle)).await
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        self.ask("cleanup", async {
            before_removal(self.world(), self.place(), handle).await;
            self.inner.cleanup(handle).await
        })
        .await
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        self.ask("list", self.inner.list_owned(owner)).await
    }

    async fn collect(&self, owner: &Owner) -> Result<u64> {
        self.ask("collect", self.inner.collect(owner)).await
    }

    async fn check_health(&self) -> Result<Health> {
        self.ask("health", self.inner.check_health()).await
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        let events = self.ask("events", self.inner.events(owner)).await?;
        Ok(heard(Arc::clone(&self.life), self.at, events))
    }
}
