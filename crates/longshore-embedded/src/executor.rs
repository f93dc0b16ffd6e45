//! The executor: the contract, in terms of folders and supervisors.

use async_trait::async_trait;
use longshore_core::{
    Allow, Capabilities, Capability, CheckedJob, ContainerExecutor, Error, ErrorKind, EventStream, ExecutionHandle,
    ExecutionHost, ExecutionStatus, ExecutorContext, ExecutorType, Harvest, Health, HostFacts, HostName,
    LaunchIdempotency, LaunchRequest, LaunchSearch, LogPage, LogQuery, OwnedExecution, Owner, Plan, Progress,
    RegistryLogins, Result, StopRequest, Termination,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::{
    allowed,
    config::EmbeddedConfig,
    events,
    execution::{Execution, HANDLE_VERSION, Metadata},
    facts, health,
    helper::Helpers,
    image::{ImageStore, StoreOptions, Wanted},
    launch::{self, Launch},
    plan,
    state::{Home, Stage},
    sweep, unpacker,
    watch::Watcher,
};

/// Runs jobs as containers of this machine, without a daemon.
#[derive(Debug)]
pub struct EmbeddedExecutor {
    executor_type: ExecutorType,
    host: HostName,
    capabilities: Capabilities,
    config: EmbeddedConfig,
    allow: Allow,
    context: ExecutorContext,
    home: Home,
    helpers: Helpers,
    images: ImageStore,
    watcher: OnceLock<Watcher>,
    facts: Mutex<Option<Arc<HostFacts>>>,
}

impl EmbeddedExecutor {
    /// The executor of a host. Touches nothing yet.
    #[must_use]
    pub fn new(host: &ExecutionHost, config: EmbeddedConfig, context: &ExecutorContext) -> Self {
        let folder = config.state_dir.clone().unwrap_or_else(|| context.state_dir.join("embedded"));
        // Supervisors work in the machine's root.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let (home, helpers) = (Home::new(folder), Helpers::new(config.supervisor.clone()));
        let store = StoreOptions { unpacker: unpacker::unpacker(&helpers), limit: Some(config.image_cache) };
        Self {
            executor_type: host.executor_type.clone(),
            host: host.name.clone(),
            capabilities: capabilities(helpers.identity.users()),
            allow: host.allow.clone(),
            context: context.clone(),
            images: ImageStore::open(home.images(), store),
            home,
            helpers,
            config,
            watcher: OnceLock::new(),
            facts: Mutex::default(),
        }
    }

    fn check(&self, handle: &ExecutionHandle) -> Result<()> {
        handle.check_owner(&self.executor_type, &self.host, HANDLE_VERSION)?;
        self.home.find()?;
        self.home.check_is(Metadata::of(handle).runtime.as_ref())
    }

    /// That the folder does not hold an execution is an answer only if it is still that execution's own.
    fn confirmed(&self, handle: &ExecutionHandle, error: Error) -> Error {
        match error.kind() {
            ErrorKind::NotFound => self.check(handle).err().unwrap_or(error),
            _ => error,
        }
    }

    fn watcher(&self) -> Result<&Watcher> {
        if let Some(watcher) = self.watcher.get() {
            return Ok(watcher);
        }
        let new = Watcher::new().map_err(|error| {
            let message = "changes can't be watched for; raise fs.inotify.max_user_instances";
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        Ok(self.watcher.get_or_init(|| new))
    }

    fn launch<'a>(&'a self, request: &'a LaunchRequest) -> Result<Launch<'a>> {
        self.home.find()?;
        self.home.check_is(plan::frozen(&request.plan)?.runtime.as_ref())?;
        Ok(Launch {
            home: &self.home,
            helpers: &self.helpers,
            watcher: self.watcher()?,
            clock: self.context.clock.as_ref(),
            secrets: self.context.secrets.as_ref(),
            images: &self.images,
            allow: &self.allow,
            request,
            runtime: self.home.id()?,
        })
    }

    fn execution<'a>(&'a self, handle: &'a ExecutionHandle) -> Result<Execution<'a>> {
        self.check(handle)?;
        Ok(Execution {
            home: &self.home,
            watcher: self.watcher()?,
            helpers: &self.helpers,
            clock: self.context.clock.as_ref(),
            handle,
        })
    }
}

/// What a host can do whose containers have so many users: with one alone, everybody is root.
fn capabilities(users: u32) -> Capabilities {
    use Capability as C;
    let all = Capabilities::new(
        LaunchIdempotency::ByKey,
        [
            C::RegistryImages,
            C::DockerArchives,
            C::OciArchives,
            C::OciLayouts,
            C::RootFolders,
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
            C::BindMounts,
            C::Tmpfs,
            C::Labels,
            C::MemoryLimit,
            C::CpuLimit,
            C::PidsLimit,
            C::StopSignal,
            C::StopGrace,
            C::HardenedProfile,
            C::Stop,
            C::SignalEvidence,
            C::OutOfMemoryEvidence,
            C::SeparateStreams,
            C::LogTimestamps,
            C::BinaryLogs,
            C::Events,
            C::ListOwned,
        ],
    );
    if users == 1 { all.without(C::User).without(C::HardenedProfile) } else { all }
}

#[async_trait]
impl ContainerExecutor for EmbeddedExecutor {
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
        let now = self.context.clock.now();
        let found = facts::discover(&self.config, &self.helpers, &self.home, now).await;
        let found = Arc::new(found.map_err(|error| error.with_operation("discover"))?);
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        let facts = self.facts().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "nothing has been discovered of this host yet; discover first")
                .with_operation("plan")
        })?;
        plan::host(&self.config, &self.allow, &facts, &self.helpers).plan(job, self)
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        let template = &request.plan.template;
        let prepared = async {
            self.home.open()?;
            allowed::check_paths(template, &self.allow)?;
            let logins = RegistryLogins::new(
                template.registry_credentials.as_ref(),
                self.context.secrets.as_ref(),
                self.config.docker_config.as_deref(),
            );
            let wanted = Wanted {
                source: &template.image,
                policy: template.pull_policy,
                platform: template.platform.as_ref(),
                logins: Some(logins),
            };
            self.images.prepare(&wanted, &progress).await.map(drop)
        };
        prepared.await.map_err(|error| error.with_operation("prepare"))
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let launched = async { self.launch(request)?.run().await };
        launched.await.map_err(|error| error.with_operation("launch_job"))
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        let found = async {
            let found = self.launch(request)?.find().await?;
            if found == LaunchSearch::Absent {
                // It proves something only if the folder is still the one that was asked for.
                self.launch(request)?;
            }
            Ok(found)
        };
        found.await.map_err(|error: Error| error.with_operation("find_launch"))
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        let asked = async {
            let status = self.execution(handle)?.status().await?;
            if status == ExecutionStatus::NotFound {
                self.check(handle)?;
            }
            Ok(status)
        };
        asked.await.map_err(|error: Error| error.with_operation("check_status"))
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        let asked = async { self.execution(handle)?.stop(stop).await };
        asked.await.map_err(|error| self.confirmed(handle, error).with_operation("stop_job"))
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        let asked = async { self.execution(handle)?.logs(query).await };
        asked.await.map_err(|error| self.confirmed(handle, error).with_operation("get_logs"))
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        let asked = async { self.execution(handle)?.harvest().await };
        asked.await.map_err(|error| self.confirmed(handle, error).with_operation("harvest_job"))
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        let removed = async {
            self.execution(handle)?.cleanup().await?;
            // What is not in the folder of another runtime has not been removed.
            self.check(handle)
        };
        removed.await.map_err(|error| error.with_operation("cleanup"))
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        self.home.find()?;
        let listed = sweep::owned(&self.home, owner, &self.host).await;
        let runtime = self.home.id().map_err(|error| error.with_operation("list_owned"))?;
        let handle = |token| launch::handle(self.executor_type.clone(), self.host.clone(), token, &runtime);
        let listed = listed.map_err(|error| self.home.unusable(error).with_operation("list_owned"))?;
        let is_live = |stage: &Stage| matches!(stage, Stage::Running(_) | Stage::Launching);
        Ok(listed
            .into_iter()
            .map(|(launched, stage)| OwnedExecution::new(handle(launched.token), launched.created_at, is_live(&stage)))
            .collect())
    }

    /// Removes what a killed program has left half made or half removed, and images beyond the cache's limit that no
    /// container uses. Returns how many of the former there were.
    async fn collect(&self, owner: &Owner) -> Result<u64> {
        self.home.find()?;
        self.images.collect().await?;
        let swept = sweep::remains(&self.home, owner, &self.host, &self.helpers).await;
        swept.map_err(|error| self.home.unusable(error).with_operation("collect"))
    }

    async fn check_health(&self) -> Result<Health> {
        let facts = self.discover().await?;
        Ok(health::findings(&facts, &self.helpers, &self.home, self.config.docker_config.as_deref()).await)
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        self.home.find()?;
        events::listen(&self.home, &self.host, owner, self.watcher()?)
            .map_err(|error| self.home.unusable(error).with_operation("events"))
    }
}
