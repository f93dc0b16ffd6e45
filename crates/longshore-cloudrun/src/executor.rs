//! The executor: the contract, in Cloud Run's terms.

use async_trait::async_trait;
use longshore_core::{
    Allow, Capabilities, Capability, CheckedJob, ContainerExecutor, Error, ErrorKind, ExecutionHandle, ExecutionHost,
    ExecutionStatus, ExecutorContext, ExecutorType, Harvest, Health, HostFacts, HostName, LaunchIdempotency,
    LaunchRequest, LaunchSearch, LogPage, LogQuery, OwnedExecution, Owner, Plan, Result, StopRequest, Termination,
    Timestamp, Usage,
};
use longshore_http::Traffic;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    cleanup,
    client::Api,
    config::CloudRunConfig,
    credentials::authority,
    health,
    launch::Launch,
    logs::{Log, Logs},
    mapping::{
        identity::{HANDLE_VERSION, Metadata},
        job::Frozen,
    },
    notes::Notes,
    owned, plan,
    status::{Named, Statuses},
    stop,
};

/// Runs jobs as Cloud Run Jobs of one project and region.
#[derive(Debug)]
pub struct CloudRunExecutor {
    executor_type: ExecutorType,
    host: HostName,
    capabilities: Capabilities,
    config: CloudRunConfig,
    allow: Allow,
    context: ExecutorContext,
    api: Arc<Api>,
    notes: Notes,
    statuses: Statuses,
    logs: Logs,
    facts: Mutex<Option<Arc<HostFacts>>>,
}

impl CloudRunExecutor {
    /// The executor of a host. Talks to nobody yet.
    ///
    /// # Errors
    /// `Invalid` when the region is missing, or an endpoint is none.
    pub fn new(host: &ExecutionHost, config: CloudRunConfig, context: &ExecutorContext) -> Result<Self> {
        let region = config.region(host)?;
        let authority = authority(&config.credentials, &context.secrets);
        let api = Arc::new(Api::new(&config, &region, &authority, &context.clock)?);
        let notes = Notes::new(&context.state_dir.join("cloudrun").join(host.name.as_str()));
        Ok(Self {
            executor_type: host.executor_type.clone(),
            host: host.name.clone(),
            capabilities: capabilities(),
            allow: host.allow.clone(),
            statuses: Statuses::new(Arc::clone(&api), Arc::clone(&context.clock), notes.clone()),
            logs: Logs::new(Arc::clone(&api), Arc::clone(&context.clock), config.log_settle.0),
            config,
            context: context.clone(),
            api,
            notes,
            facts: Mutex::default(),
        })
    }

    /// What went over the wire so far: to the Admin API, and to Cloud Logging.
    #[must_use]
    pub fn traffic(&self) -> (Traffic, Traffic) {
        self.api.traffic()
    }

    fn named(&self, handle: &ExecutionHandle) -> Result<Named> {
        handle.check_owner(&self.executor_type, &self.host, HANDLE_VERSION)?;
        let named = Named::of(handle)?;
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if named.execution.is_empty() || !named.execution.chars().all(is_plain) {
            let message = format!("{:?} is no name of an execution", named.execution);
            return Err(Error::new(ErrorKind::Invalid, message).with_context("token", handle.token));
        }
        Ok(named)
    }

    fn launch<'a>(&'a self, request: &'a LaunchRequest) -> Launch<'a> {
        Launch {
            api: &self.api,
            clock: self.context.clock.as_ref(),
            executor_type: &self.executor_type,
            host: &self.host,
            request,
            log_cap: self.config.log_cap,
        }
    }

    async fn harvest(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        let named = self.named(handle)?;
        let termination = match self.statuses.of(&named).await? {
            ExecutionStatus::Terminated(termination) => termination,
            ExecutionStatus::NotFound => {
                return Err(Error::new(ErrorKind::NotFound, "Cloud Run has no such execution"));
            }
            _ => {
                let message = "the execution still runs; wait for its end or stop it first";
                return Err(Error::new(ErrorKind::StillRunning, message));
            }
        };
        let log = Log { named: &named, metadata: Metadata::of_handle(handle)? };
        let end = termination.finished_at.unwrap_or(Timestamp::MIN);
        let summary = self.logs.summary(&log, end).await?;
        let usage = Usage::of_wall_time(termination.run_time().unwrap_or_default());
        Ok(Harvest::new(termination, summary, usage))
    }

    async fn remove(&self, handle: &ExecutionHandle) -> Result<()> {
        let named = self.named(handle)?;
        cleanup::cleanup(&self.api, &self.statuses, self.context.clock.as_ref(), &self.host, &named).await?;
        self.statuses.forget(&named);
        self.logs.forget(&named);
        self.notes.forget(named.token);
        Ok(())
    }

    /// What a trial of a launch is made of.
    fn frozen(&self) -> Frozen {
        Frozen {
            project: self.api.project.clone(),
            region: self.api.region.clone(),
            timeout_seconds: self.config.max_run_time.0.as_secs(),
            service_account: self.config.service_account.clone(),
            vpc: self.config.vpc.clone(),
            execution_environment: self.config.execution_environment,
            accelerator: None,
        }
    }
}

fn capabilities() -> Capabilities {
    use Capability as C;
    Capabilities::new(
        LaunchIdempotency::ByKey,
        [
            C::RegistryImages,
            C::PullAlways,
            C::Platform,
            C::Entrypoint,
            C::Command,
            C::Environment,
            C::SecretFiles,
            C::SecretVariables,
            C::WorkingDirectory,
            C::NetworkPrivate,
            C::Volumes,
            C::Tmpfs,
            C::Labels,
            C::MemoryLimit,
            C::CpuLimit,
            C::Gpu,
            C::PlatformProfile,
            C::Stop,
            C::OutOfMemoryEvidence,
            C::SeparateStreams,
            C::LogTimestamps,
            C::ListOwned,
        ],
    )
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
impl ContainerExecutor for CloudRunExecutor {
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
        let facts = health::discover(&self.api, self.context.clock.now()).await.during("discover")?;
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&facts));
        Ok(facts)
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        let facts = self.facts().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "nothing has been discovered of this host yet; discover first")
                .with_operation("plan")
        })?;
        plan::plan(job, self, (&self.config, &self.api.region), &self.allow, &facts).during("plan")
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let launched = self.launch(request).run().await;
        launched.during("launch_job").map_err(|error| error.with_context("token", request.token))
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        self.launch(request).find().await.during("find_launch")
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        let named = self.named(handle).during("check_status")?;
        self.statuses.of(&named).await.during("check_status")
    }

    /// One list for all.
    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        let named: Vec<Result<Named>> = handles.iter().map(|handle| self.named(handle)).collect();
        let good: Vec<Named> = named.iter().filter_map(|named| named.as_ref().ok()).cloned().collect();
        let mut answers = self.statuses.of_all(&good).await.into_iter();
        let answer = |named: Result<Named>| match named {
            Ok(_) => answers.next().unwrap_or_else(|| Err(Error::new(ErrorKind::Unexpected, "an answer is missing"))),
            Err(error) => Err(error),
        };
        named.into_iter().map(answer).map(|answer| answer.during("check_statuses")).collect()
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        let named = self.named(handle).during("stop_job")?;
        let clock = self.context.clock.as_ref();
        stop::stop(&self.api, &self.statuses, &self.notes, clock, &named, stop).await.during("stop_job")
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        let named = self.named(handle).during("get_logs")?;
        let log = Log { named: &named, metadata: Metadata::of_handle(handle).during("get_logs")? };
        self.logs.page(&log, &self.statuses, query).await.during("get_logs")
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        self.harvest(handle).await.during("harvest_job")
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        self.remove(handle).await.during("cleanup")
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        owned::list(&self.api, &self.executor_type, &self.host, owner).await.during("list_owned")
    }

    async fn collect(&self, owner: &Owner) -> Result<u64> {
        cleanup::collect(&self.api, self.context.clock.as_ref(), &self.host, owner).await.during("collect")
    }

    async fn check_health(&self) -> Result<Health> {
        self.discover().await?;
        health::look(&self.api, &self.frozen(), self.context.clock.now()).await.during("check_health")
    }
}
