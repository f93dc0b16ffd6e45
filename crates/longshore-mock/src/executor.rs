//! The executor: the contract, in the simulation's terms.

use async_trait::async_trait;
use longshore_core::{
    Capabilities, Capability, CheckedJob, ContainerExecutor, Error, ErrorKind, EventStream, ExecutionHandle,
    ExecutionHost, ExecutionStatus, ExecutorContext, ExecutorType, Harvest, HostFacts, HostName, LaunchRequest,
    LaunchSearch, LogPage, LogQuery, OwnedExecution, Owner, Plan, Progress, Result, Signal, StopRequest, Termination,
    clock::later,
};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    behaviour::Behaviour,
    config::MockConfig,
    events,
    execution::{Execution, Stage},
    handles::{self, Reference},
    launch::{Launch, Launched, lost},
    logs::Keeping,
    plan, prepare,
    provider::MockProvider,
    search, secrets,
};

/// Runs jobs in memory, as their scripts and its configuration say.
#[derive(Debug)]
pub struct MockExecutor {
    executor_type: ExecutorType,
    host: HostName,
    image_folders: BTreeSet<PathBuf>,
    provider: MockProvider,
    context: ExecutorContext,
    facts: Mutex<Option<Arc<HostFacts>>>,
}

impl MockExecutor {
    /// The executor of a host, on a provider of its own that has nothing yet, by the context's clock.
    #[must_use]
    pub fn new(host: &ExecutionHost, config: MockConfig, context: &ExecutorContext) -> Self {
        Self::attach(host, &MockProvider::new(config, Arc::clone(&context.clock)), context)
    }

    /// The executor of a host on a provider that is there: what a restarted program has.
    #[must_use]
    pub fn attach(host: &ExecutionHost, provider: &MockProvider, context: &ExecutorContext) -> Self {
        Self {
            executor_type: host.executor_type.clone(),
            host: host.name.clone(),
            image_folders: host.allow.image_folders.clone(),
            provider: provider.clone(),
            context: context.clone(),
            facts: Mutex::default(),
        }
    }

    /// The provider that it is attached to.
    #[must_use]
    pub const fn provider(&self) -> &MockProvider {
        &self.provider
    }

    fn behaviour(&self, request: &LaunchRequest) -> Result<Behaviour> {
        let config = self.provider.world().config();
        Behaviour::of_launch(request, &config.rules, &config.jobs)
    }

    fn handle(&self, token: longshore_core::LaunchToken, launched: &Launched) -> ExecutionHandle {
        handles::write(&self.executor_type, &self.host, token, &launched.id, launched.created_at)
    }

    fn read(&self, handle: &ExecutionHandle) -> Result<Reference> {
        handle.check_owner(&self.executor_type, &self.host, handles::VERSION)?;
        handles::read(handle)
    }

    async fn sleep(&self, duration: Duration) {
        if !duration.is_zero() {
            self.provider.world().clock().sleep(duration).await;
        }
    }

    /// Asks about an execution that must be there.
    fn ask<T>(
        &self,
        reference: &Reference,
        ask: impl FnOnce(&mut Execution, jiff::Timestamp) -> Result<T>,
    ) -> Result<T> {
        self.provider.world().view(|state, now| match state.find(reference, now) {
            Some(execution) => ask(execution, now),
            None => Err(not_found(reference)),
        })
    }

    /// Looks until the look finds an answer, or says when to look again.
    async fn wait_for<T>(&self, mut look: impl FnMut() -> Result<Looked<T>>) -> Result<T> {
        let mut changes = self.provider.world().changes();
        loop {
            // Whatever changes from here on wakes the wait below.
            changes.mark_unchanged();
            self.provider.check_contact()?;
            match look()? {
                Looked::Answer(answer) => return Ok(answer),
                Looked::Again(at) => self.provider.world().wait(at, &mut changes).await,
            }
        }
    }

    fn status_of(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        let reference = self.read(handle)?;
        let world = self.provider.world();
        Ok(world.view(|state, now| match state.find(&reference, now) {
            Some(execution) => execution.status(now, world.capabilities()),
            None => ExecutionStatus::NotFound,
        }))
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        self.provider.call("launch_job").await?;
        let world = self.provider.world();
        let behaviour = self.behaviour(request)?;
        let half = behaviour.launch.unwrap_or_default() / 2;
        self.sleep(half).await;
        let delivered = secrets::deliver(&request.plan.template, world, self.context.secrets.as_ref()).await?;
        self.provider.check_contact()?;
        request.check_deadline(self.context.clock.as_ref())?;
        let loss = self.provider.next_loss();
        let launch = Launch { config: world.config(), request, behaviour: &behaviour, delivered, loss };
        let launched = world.change(|state, now| {
            state.refresh_all(now);
            launch.run(state, now)
        })?;
        self.sleep(half).await;
        if launched.is_answer_lost || !self.provider.is_reachable() {
            return Err(lost());
        }
        Ok(self.handle(request.token, &launched))
    }

    async fn stop(&self, reference: &Reference, stop: &StopRequest) -> Result<Termination> {
        let world = self.provider.world();
        let has_grace = world.capabilities().has(Capability::StopGrace);
        let stop = StopRequest::new(stop.reason, if has_grace { stop.grace } else { Duration::ZERO });
        world.change(|state, now| {
            state.change(reference, now, |execution| {
                if execution.stage(now) < Stage::Ended {
                    let signal = execution.request.plan.template.stop_signal.unwrap_or(Signal::TERM);
                    execution.stop(&stop, signal, now);
                }
            });
        });
        self.wait_for(|| {
            self.ask(reference, |execution, now| match execution.status(now, world.capabilities()) {
                ExecutionStatus::Terminated(termination) => Ok(Looked::Answer(termination)),
                _ => Ok(Looked::Again(execution.next_change())),
            })
        })
        .await
    }

    async fn logs(&self, reference: &Reference, query: &LogQuery) -> Result<LogPage> {
        let world = self.provider.world();
        let keeping = Keeping::of(world.capabilities());
        if self.ask(reference, |execution, _| execution.is_cut_at(query))? {
            let message = "the connection was cut in the middle of the log; go on from the cursor";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let until = later(world.view(|_, now| now), query.wait);
        self.wait_for(|| {
            self.ask(reference, |execution, now| {
                let look = execution.page(query, now, keeping)?;
                if !look.page.records.is_empty() || look.page.ended.is_some() || now >= until {
                    return Ok(Looked::Answer(look.page));
                }
                Ok(Looked::Again(Some(look.again_at.map_or(until, |at| at.min(until)))))
            })
        })
        .await
    }

    async fn harvest(&self, reference: &Reference) -> Result<Harvest> {
        let world = self.provider.world();
        self.wait_for(|| {
            self.ask(reference, |execution, now| match execution.settled_at() {
                Some(at) if at > now => Ok(Looked::Again(Some(at))),
                _ => execution
                    .harvest(world.capabilities())
                    .map(Looked::Answer)
                    .ok_or_else(|| still_running("wait for its end or stop it first")),
            })
        })
        .await
    }
}

/// What a look finds.
enum Looked<T> {
    Answer(T),
    /// Nothing before this time, or before something changes.
    Again(Option<jiff::Timestamp>),
}

fn not_found(reference: &Reference) -> Error {
    let error = Error::new(ErrorKind::NotFound, "the mock provider has no such execution");
    error.with_context("execution", &reference.id).with_context("token", reference.token)
}

fn still_running(way_out: &str) -> Error {
    Error::new(ErrorKind::StillRunning, format!("the execution has not ended; {way_out}"))
}

/// Names the operation in its errors.
trait During<T> {
    fn during(self, operation: &'static str) -> Result<T>;
}

impl<T> During<T> for Result<T> {
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|error| error.with_operation(operation))
    }
}

#[async_trait]
impl ContainerExecutor for MockExecutor {
    fn executor_type(&self) -> &ExecutorType {
        &self.executor_type
    }

    fn host(&self) -> &HostName {
        &self.host
    }

    fn capabilities(&self) -> &Capabilities {
        self.provider.world().capabilities()
    }

    fn facts(&self) -> Option<Arc<HostFacts>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn discover(&self) -> Result<Arc<HostFacts>> {
        self.provider.call("discover").await.during("discover")?;
        let world = self.provider.world();
        let facts = HostFacts::builder()
            .discovered_at(world.view(|_, now| now))
            .engine(concat!("longshore-mock ", env!("CARGO_PKG_VERSION")))
            .platforms(world.config().platforms.clone())
            .cpu(world.config().cpu)
            .memory(world.config().memory)
            .build();
        let facts = Arc::new(facts);
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&facts));
        Ok(facts)
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        let facts = self.facts().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "nothing has been discovered of this host yet; discover first")
                .with_operation("plan")
        })?;
        plan::plan(job, self, self.provider.world().config(), &self.image_folders, &facts)
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        self.provider.call("prepare").await.during("prepare")?;
        let behaviour = self.behaviour(request)?;
        let secrets = self.context.secrets.as_ref();
        prepare::prepare(&self.provider, &request.plan.template, &behaviour, secrets, &progress).await.during("prepare")
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let launched = self.launch(request).await;
        launched.during("launch_job").map_err(|error| error.with_context("token", request.token))
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        self.provider.call("find_launch").await.during("find_launch")?;
        let behaviour = self.behaviour(request)?;
        let world = self.provider.world();
        let found = world.view(|state, now| search::search(state, request, &behaviour, world.config().launch, now));
        Ok(match found.during("find_launch")? {
            search::Found::Launched(launched) => LaunchSearch::Found(self.handle(request.token, &launched)),
            search::Found::Nothing => LaunchSearch::Absent,
            search::Found::NoProof(reason) => LaunchSearch::Unprovable { reason: reason.to_owned() },
        })
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        self.provider.call("check_status").await.during("check_status")?;
        self.status_of(handle).during("check_status")
    }

    /// One question for all.
    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        match self.provider.call("check_statuses").await.during("check_statuses") {
            Ok(()) => handles.iter().map(|handle| self.status_of(handle).during("check_statuses")).collect(),
            Err(error) => handles.iter().map(|_| Err(error.repeated())).collect(),
        }
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        if !self.capabilities().has(Capability::Stop) {
            return Err(Error::unsupported("stop_job", &self.executor_type));
        }
        let reference = self.read(handle).during("stop_job")?;
        self.provider.call("stop_job").await.during("stop_job")?;
        self.stop(&reference, stop).await.during("stop_job")
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        let reference = self.read(handle).during("get_logs")?;
        self.provider.call("get_logs").await.during("get_logs")?;
        self.logs(&reference, query).await.during("get_logs")
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        let reference = self.read(handle).during("harvest_job")?;
        self.provider.call("harvest_job").await.during("harvest_job")?;
        self.harvest(&reference).await.during("harvest_job")
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        let reference = self.read(handle).during("cleanup")?;
        self.provider.call("cleanup").await.during("cleanup")?;
        self.provider.world().change(|state, now| match state.find(&reference, now).map(|it| it.stage(now)) {
            None => Ok(()),
            Some(Stage::Ended) => {
                state.remove(&reference, now);
                Ok(())
            }
            Some(_) => Err(still_running("stop it first")).during("cleanup"),
        })
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        if !self.capabilities().has(Capability::ListOwned) {
            return Err(Error::unsupported("list_owned", &self.executor_type));
        }
        self.provider.call("list_owned").await.during("list_owned")?;
        Ok(self.provider.world().view(|state, now| {
            state.refresh_all(now);
            let owned = state.executions().filter(|execution| execution.request.owner == *owner);
            let listed = owned.map(|execution| {
                let (token, created_at) = (execution.request.token, execution.script.created_at);
                let handle = handles::write(&self.executor_type, &self.host, token, &execution.id, created_at);
                OwnedExecution::new(handle, created_at, execution.stage(now) < Stage::Ended)
            });
            listed.collect()
        }))
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        if !self.capabilities().has(Capability::Events) {
            return Err(Error::unsupported("events", &self.executor_type));
        }
        Ok(events::listen(&self.provider, owner))
    }
}
