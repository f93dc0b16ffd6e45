//! The executor: the contract, in the engine's terms.

use async_trait::async_trait;
use futures::future::join_all;
use jiff::Timestamp;
use longshore_core::{
    Allow, Capabilities, Capability, CheckedJob, ContainerExecutor, Error, ErrorKind, EventStream, ExecutionHandle,
    ExecutionHost, ExecutionStatus, ExecutorContext, ExecutorType, Harvest, Health, HostFacts, HostName,
    LaunchIdempotency, LaunchRequest, LaunchSearch, LogPage, LogQuery, OwnedExecution, Owner, Plan, Progress, Result,
    Signal, StopRequest, Termination,
    clock::{later, since},
    find_logins,
};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    client::{Engine, SharedEngine},
    config::DockerConfig,
    events::Events,
    execution::{Execution, Known, file_name},
    health,
    identity::{self, EngineId},
    image,
    launch::Launch,
    locks::TokenLocks,
    logs::{is_attended, remove_files},
    mapping::{
        answers::{Container, Listed, Status},
        facts,
        labels::{self, HANDLE_VERSION, Identity, Metadata},
        state::{self, Attendance, Circumstances, Stage, Told},
    },
    memory::Memory,
    notes::{NotesFile, Sample},
    plan, stop,
    transport::Endpoint,
};

/// How long a harvest waits for the end of a log whose container has ended.
const LOG_DRAIN: Duration = Duration::from_secs(60);

/// How many executions at most are each looked at rather than listed, and how many are looked at at one time.
const FEW: usize = 4;

/// How long an engine may take to look after a container before it is made to again.
const WAKE: Duration = Duration::from_secs(60);

/// Runs jobs as containers of one Docker Engine, or of Podman's service.
#[derive(Debug)]
pub struct DockerExecutor {
    executor_type: ExecutorType,
    host: HostName,
    capabilities: Capabilities,
    config: DockerConfig,
    allow: Allow,
    context: ExecutorContext,
    folder: PathBuf,
    engine: SharedEngine,
    events: Events,
    facts: Mutex<Option<Arc<HostFacts>>>,
    executions: Mutex<HashMap<String, Arc<Execution>>>,
    launches: TokenLocks,
    /// The containers that the engine was made to look after, and when.
    woken: Mutex<HashMap<String, Timestamp>>,
}

impl DockerExecutor {
    /// The executor of a host. Talks to nobody yet.
    ///
    /// # Errors
    /// `Invalid` when the engine's address or its certificates are.
    pub fn new(host: &ExecutionHost, config: DockerConfig, context: &ExecutorContext) -> Result<Self> {
        let engine = Arc::new(Engine::new(Endpoint::from_config(&config)?));
        Ok(Self {
            executor_type: host.executor_type.clone(),
            host: host.name.clone(),
            capabilities: capabilities(&config),
            folder: context.state_dir.join("docker").join(host.name.as_str()),
            events: Events::new(engine.clone(), host.name.clone(), context.clock.clone()),
            engine,
            config,
            allow: host.allow.clone(),
            context: context.clone(),
            facts: Mutex::default(),
            executions: Mutex::default(),
            launches: TokenLocks::default(),
            woken: Mutex::default(),
        })
    }

    async fn check(&self, handle: &ExecutionHandle) -> Result<()> {
        handle.check_owner(&self.executor_type, &self.host, HANDLE_VERSION)?;
        self.engine.recognize(self.launched_on(handle).as_ref()).await
    }

    /// The engine that has the execution, where the handle says so.
    fn launched_on(&self, handle: &ExecutionHandle) -> Option<EngineId> {
        self.metadata(handle).engine
    }

    /// That an engine has no such container is an answer only of the engine that the execution is on.
    async fn confirmed(&self, handle: &ExecutionHandle, error: Error) -> Error {
        if error.kind() != ErrorKind::NotFound {
            return error;
        }
        self.engine.confirm(self.launched_on(handle).as_ref()).await.err().unwrap_or(error)
    }

    fn launch<'a>(&'a self, request: &'a LaunchRequest) -> Launch<'a> {
        Launch {
            engine: &self.engine,
            clock: self.context.clock.as_ref(),
            secrets: self.context.secrets.as_ref(),
            request,
        }
    }

    /// The container of a handle, or `None` when the engine has no such one.
    async fn container(&self, handle: &ExecutionHandle) -> Result<Option<Container>> {
        match self.engine.inspect(&handle.external_execution_id).await {
            Ok(container) => Ok(Some(container)),
            Err(error) => match self.confirmed(handle, error).await {
                error if error.kind() == ErrorKind::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    fn executions(&self) -> MutexGuard<'_, HashMap<String, Arc<Execution>>> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this program holds of the execution; begins to follow it when it does not yet.
    fn execution(&self, handle: &ExecutionHandle) -> Arc<Execution> {
        self.followed(handle, Known::Nothing)
    }

    fn followed(&self, handle: &ExecutionHandle, known: Known) -> Arc<Execution> {
        let follow = || {
            let metadata = self.metadata(handle);
            Arc::new(Execution::follow(&self.engine, handle, &metadata, &self.folder, &self.context.clock, known))
        };
        self.executions().entry(handle.external_execution_id.clone()).or_insert_with(follow).clone()
    }

    /// Handles of version 1 have no metadata: they are of the host's defaults.
    fn metadata(&self, handle: &ExecutionHandle) -> Metadata {
        let defaults = || Metadata {
            log_cap: self.config.log_cap,
            log_driver: self.config.log_driver.clone().unwrap_or_else(|| "local".to_owned()),
            engine: None,
        };
        serde_json::from_value(handle.executor_metadata.clone()).unwrap_or_else(|_| defaults())
    }

    fn notes(&self, handle: &ExecutionHandle) -> NotesFile {
        NotesFile::new(&self.folder, &file_name(handle))
    }

    /// How a container that does not live any more has ended.
    async fn termination(&self, handle: &ExecutionHandle, container: &Container) -> Result<Termination> {
        let stop = self.notes(handle).read().stop;
        let told = if stop.is_none() && state::needs_evidence(container) { self.told(container).await } else { None };
        let is_doubtful = state::may_be_made_up(container) && stop.is_none_or(|stop| !stop.confirmed);
        let attendance = if is_doubtful { self.attendance(handle, container).await? } else { Attendance::Shown };
        Ok(state::termination(container, &Circumstances { stop, told: told.unwrap_or_default(), attendance }))
    }

    /// Whether the engine saw how the container ended. It is asked only where this program has not been with it from the start
    /// to the end.
    async fn attendance(&self, handle: &ExecutionHandle, container: &Container) -> Result<Attendance> {
        if self.engine.is_podman() || is_attended(&self.folder, &file_name(handle)) {
            return Ok(Attendance::Shown);
        }
        let followed = self.executions().get(&handle.external_execution_id).cloned();
        if let Some(execution) = followed
            && execution.logs.is_unbroken().await
        {
            return Ok(Attendance::Shown);
        }
        Ok(Memory::of(&self.engine, &container.id).await?.of_the_end(container))
    }

    /// What the engine's events tell of an end; it forgets soon, and then there is no evidence.
    async fn told(&self, container: &Container) -> Option<Told> {
        let since = state::time(&container.state.started_at)?;
        let until = later(state::time(&container.state.finished_at)?, Duration::from_secs(2));
        let events = self.engine.past_events(Some(&container.id), Some(since), until);
        let events = tokio::time::timeout(Duration::from_secs(10), events).await.ok()?.ok()?;
        Some(state::told(&events))
    }

    /// Makes the engine look after a container that it calls running and knows no start nor process of: a signal that finds
    /// nobody makes it ask its runtime, and tell of the end some ten seconds later (measured on Engine 20.10). Not again
    /// meanwhile, because it would then ask a runtime that has already told.
    async fn wake(&self, container: &Container) {
        if !container.state.has_no_start() || !matches!(self.engine.has_process(&container.id).await, Ok(false)) {
            return;
        }
        if self.begins_to_wake(&container.id) {
            let woken = self.engine.kill(&container.id, Signal::CONT).await;
            tracing::info!(
                container = container.id,
                ?woken,
                "the engine is made to look after a container without a process"
            );
        }
    }

    /// Whether it is time to; if so, it is noted.
    fn begins_to_wake(&self, id: &str) -> bool {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.context.clock.now();
        woken.retain(|_, at| since(now, *at) < WAKE);
        let is_due = !woken.contains_key(id);
        woken.entry(id.to_owned()).or_insert(now);
        is_due
    }

    async fn status(&self, handle: &ExecutionHandle, container: &Container) -> Result<ExecutionStatus> {
        Ok(match state::live_status(container) {
            Some(status) => status,
            None => ExecutionStatus::Terminated(self.termination(handle, container).await?),
        })
    }

    /// The status by a list of all containers, which tells of those that run; any other is looked at.
    async fn status_in(&self, list: &List<'_>, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        handle.check_owner(&self.executor_type, &self.host, HANDLE_VERSION)?;
        if let Some(theirs) = self.in_question(&list.containers, handle) {
            let Some(now) = &list.engine else { return self.check_status(handle).await };
            let now = now.as_ref().map_err(Error::repeated)?;
            identity::compare(&theirs, now.as_ref(), &self.engine.address())?;
        }
        let Some(summary) = list.containers.get(handle.external_execution_id.as_str()) else {
            return Ok(ExecutionStatus::NotFound);
        };
        match listed_status(summary) {
            Some(status) => Ok(status),
            None => self.check_status(handle).await,
        }
    }

    /// Asks once who has answered, where one of the handles is not in the list, or is of another engine than the last.
    async fn answering(
        &self,
        containers: &HashMap<&str, &Listed>,
        handles: &[ExecutionHandle],
    ) -> Option<Result<Option<EngineId>>> {
        let is_open = handles.iter().any(|handle| self.in_question(containers, handle).is_some());
        if is_open { Some(self.engine.id_now().await) } else { None }
    }

    /// The engine of a handle, where it must be compared with the one that has listed the containers.
    fn in_question(&self, containers: &HashMap<&str, &Listed>, handle: &ExecutionHandle) -> Option<EngineId> {
        let is_listed = containers.contains_key(handle.external_execution_id.as_str());
        self.launched_on(handle).filter(|engine| !is_listed || !self.engine.was_last(Some(engine)))
    }

    fn not_found(handle: &ExecutionHandle, operation: &'static str) -> Error {
        Error::new(ErrorKind::NotFound, "the engine has no such container")
            .with_operation(operation)
            .with_context("container", &handle.external_execution_id)
    }
}

/// All containers at one time.
struct List<'a> {
    containers: HashMap<&'a str, &'a Listed>,
    /// Whose they are, where that had to be asked.
    engine: Option<Result<Option<EngineId>>>,
}

fn capabilities(config: &DockerConfig) -> Capabilities {
    use Capability as C;
    let always = [
        C::RegistryImages,
        C::PullAlways,
        C::PullNever,
        C::RegistryCredentials,
        C::Platform,
        C::Entrypoint,
        C::Command,
        C::Environment,
        C::SecretFiles,
        C::SecretVariables,
        C::WorkingDirectory,
        C::User,
        C::NetworkNone,
        C::NetworkPrivate,
        C::NetworkHost,
        C::NetworkNamed,
        C::NetworkAliases,
        C::BindMounts,
        C::Volumes,
        C::Tmpfs,
        C::Labels,
        C::MemoryLimit,
        C::CpuLimit,
        C::Gpu,
        C::PidsLimit,
        C::StopSignal,
        C::StopGrace,
        C::HardenedProfile,
        C::PlatformProfile,
        C::Stop,
        C::OutOfMemoryEvidence,
        C::SeparateStreams,
        C::LogTimestamps,
        C::Events,
        C::ListOwned,
    ];
    let exact = config.log_driver.as_deref().is_none_or(facts::keeps_every_byte);
    Capabilities::new(LaunchIdempotency::ByKey, always.into_iter().chain(exact.then_some(C::BinaryLogs)))
}

/// What a list tells of a running container; `None` for one that must be looked at.
fn listed_status(summary: &Listed) -> Option<ExecutionStatus> {
    (summary.state == Status::Alive && !summary.has_no_start()).then_some(ExecutionStatus::Running { started_at: None })
}

#[async_trait]
impl ContainerExecutor for DockerExecutor {
    fn executor_type(&self) -> &ExecutorType {
        &self.executor_type
    }

    fn host(&self) -> &HostName {
        &self.host
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn facts(&self) -> Option<Arc<HostFacts>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn discover(&self) -> Result<Arc<HostFacts>> {
        let version = self.engine.version().await?;
        let info = self.engine.info().await?;
        let found =
            Arc::new(facts::from_engine(&info, &version, self.engine.last_id().as_ref(), self.context.clock.now()));
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        let facts = self.facts().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "nothing has been discovered of this host yet; discover first")
                .with_operation("plan")
        })?;
        plan::plan(job, self, &self.config, &self.allow, &facts, self.engine.last_id())
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        let secrets = self.context.secrets.as_ref();
        image::prepare(&self.engine, &request.plan.template, secrets, self.config.docker_config.as_deref(), &progress)
            .await
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let _one_at_a_time = self.launches.lock(request.token).await;
        let launched = self.launch(request).run().await.map_err(|error| error.with_operation("launch_job"))?;
        self.followed(&launched.handle, if launched.just_started { Known::JustStarted } else { Known::Started });
        Ok(launched.handle)
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        self.launch(request).find().await.map_err(|error| error.with_operation("find_launch"))
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        self.check(handle).await?;
        let Some(container) = self.container(handle).await? else { return Ok(ExecutionStatus::NotFound) };
        self.wake(&container).await;
        self.status(handle, &container).await
    }

    /// One list for all; only those that have ended are then looked at one by one, once. A few are looked at at once, which
    /// costs the same however many containers there are.
    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        if handles.len() <= FEW {
            return join_all(handles.iter().map(|handle| self.check_status(handle))).await;
        }
        let listed = match self.engine.list(labels::TOKEN).await {
            Ok(listed) => listed,
            Err(error) => return handles.iter().map(|_| Err(error.repeated())).collect(),
        };
        let containers: HashMap<&str, &Listed> = listed.iter().map(|summary| (summary.id.as_str(), summary)).collect();
        // After the list, for it decides what is not in it.
        let engine = self.answering(&containers, handles).await;
        let list = List { containers, engine };
        let mut answers = Vec::with_capacity(handles.len());
        for few in handles.chunks(FEW) {
            answers.extend(join_all(few.iter().map(|handle| self.status_in(&list, handle))).await);
        }
        answers
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        self.check(handle).await?;
        let id = &handle.external_execution_id;
        let stopped = stop::stop(&self.engine, id, &self.notes(handle), stop, self.context.clock.as_ref()).await;
        let container = match stopped {
            Ok(container) => container,
            Err(error) => return Err(self.confirmed(handle, error).await.with_operation("stop_job")),
        };
        self.termination(handle, &container).await.map_err(|error| error.with_operation("stop_job"))
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        self.check(handle).await?;
        let page = self.execution(handle).logs.page(query).await;
        if page.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            self.forget(handle);
        }
        page.map_err(|error| error.with_operation("get_logs"))
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        self.check(handle).await?;
        let container = self.container(handle).await?.ok_or_else(|| Self::not_found(handle, "harvest_job"))?;
        if state::live_status(&container).is_some() {
            let message = "the container still runs; wait for its end or stop it first";
            return Err(Error::new(ErrorKind::StillRunning, message).with_operation("harvest_job"));
        }
        let execution = self.execution(handle);
        let logs = execution.logs.summary(LOG_DRAIN).await.map_err(|error| error.with_operation("harvest_job"))?;
        let termination = self.termination(handle, &container).await;
        let termination = termination.map_err(|error| error.with_operation("harvest_job"))?;
        let usage = Sample::usage(execution.notes.read().sample, termination.run_time().unwrap_or_default());
        Ok(Harvest::new(termination, logs, usage))
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        self.check(handle).await?;
        match self.engine.remove(&handle.external_execution_id).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => return self.refused_cleanup(handle, error).await,
            Err(error) => match self.confirmed(handle, error).await {
                error if error.kind() == ErrorKind::NotFound => {}
                error => return Err(error.with_operation("cleanup")),
            },
        }
        self.forget(handle);
        Ok(())
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        let listed = self.engine.list(&format!("{}={owner}", labels::OWNER)).await?;
        Ok(listed.iter().filter_map(|summary| self.owned(summary)).collect())
    }

    async fn check_health(&self) -> Result<Health> {
        let facts = self.discover().await?;
        let mut findings = health::of_facts(&facts, &self.engine.address());
        findings.push(find_logins(self.config.docker_config.as_deref()).await);
        findings.push(health::of_state(&self.folder).await);
        Ok(Health::new(findings))
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        Ok(self.events.listen(owner.clone()).await)
    }
}

impl DockerExecutor {
    fn owned(&self, summary: &Listed) -> Option<OwnedExecution> {
        let identity = Identity::read(&summary.labels, &self.host)?;
        let created_at = summary.labels.get(labels::CREATED)?.parse().ok()?;
        let handle = identity.handle(&summary.id, &self.executor_type, &self.host);
        Some(OwnedExecution::new(handle, created_at, summary.state == Status::Alive))
    }

    /// The engine says conflict for a container that runs, and for one whose removal is already under way.
    async fn refused_cleanup(&self, handle: &ExecutionHandle, error: Error) -> Result<()> {
        let runs = match self.container(handle).await? {
            Some(container) => matches!(state::stage(&container), Stage::Running { .. }),
            None => return Ok(()),
        };
        if runs {
            let message = "the container still runs; stop it first";
            return Err(Error::new(ErrorKind::StillRunning, message).with_operation("cleanup").with_source(error));
        }
        Err(Error::new(ErrorKind::Unavailable, "the engine is already removing the container")
            .with_operation("cleanup")
            .with_source(error))
    }

    /// Drops what this program holds of the execution, on disk too.
    fn forget(&self, handle: &ExecutionHandle) {
        self.executions().remove(&handle.external_execution_id);
        if let Err(error) = remove_files(&self.folder, &file_name(handle)) {
            tracing::debug!(token = %handle.token, "files of a removed execution are left: {error}");
        }
    }
}
