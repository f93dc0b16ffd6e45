//! The executor: the contract, in terms of folders and processes.

use async_trait::async_trait;
use longshore_core::{
    Advice, Capabilities, Capability, CheckedJob, Clock, ContainerExecutor, Error, ErrorKind, ExecutionHandle,
    ExecutionHost, ExecutionStatus, ExecutorContext, ExecutorType, Harvest, HostFacts, HostName, LaunchIdempotency,
    LaunchRequest, LaunchSearch, LaunchToken, LogPage, LogQuery, OwnedExecution, Owner, Plan, Progress, Result,
    StopRequest, Termination, Usage, clock::since,
};
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    config::{Frozen, ProgramsConfig, ProgramsOptions},
    folder::{Folder, Stage, unavailable},
    logs::{DEFAULT_CAP, Log},
    supervisor,
};

/// The version of the handles. They hold nothing but the token, which is the name of the folder.
const VERSION: u32 = 1;
/// How long a start, or the end of what was killed, may take to be seen.
const CONFIRM: Duration = Duration::from_secs(30);
/// How long to wait between two looks at a folder.
const LOOK: Duration = Duration::from_millis(10);

/// Runs jobs as programs of this machine.
#[derive(Debug)]
pub struct ProgramsExecutor {
    executor_type: ExecutorType,
    host: HostName,
    capabilities: Capabilities,
    config: ProgramsConfig,
    clock: Arc<dyn Clock>,
    root: PathBuf,
    facts: Mutex<Option<Arc<HostFacts>>>,
}

impl ProgramsExecutor {
    /// The executor of a host.
    #[must_use]
    pub fn new(host: &ExecutionHost, config: ProgramsConfig, context: &ExecutorContext) -> Self {
        use Capability as C;
        // What is not named here, core refuses before it comes to us: networks, mounts, limits, users, secrets.
        let supported = [
            C::RegistryImages,
            C::PullNever,
            C::Command,
            C::Environment,
            C::Labels,
            C::StopSignal,
            C::StopGrace,
            C::Stop,
            C::SeparateStreams,
            C::BinaryLogs,
            C::ListOwned,
        ];
        Self {
            executor_type: host.executor_type.clone(),
            host: host.name.clone(),
            capabilities: Capabilities::new(LaunchIdempotency::ByKey, supported),
            config,
            clock: context.clock.clone(),
            root: context.state_dir.join("programs").join(host.name.as_str()),
            facts: Mutex::default(),
        }
    }

    fn handle(&self, token: LaunchToken) -> ExecutionHandle {
        let (executor_type, host) = (self.executor_type.clone(), self.host.clone());
        ExecutionHandle::new(executor_type, host, token, VERSION, token.to_string(), serde_json::Value::Null)
    }

    /// Works on the folder of an execution, on a thread that may wait for the disk.
    async fn at<T: Send + 'static>(
        &self,
        token: LaunchToken,
        work: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = Folder::new(&self.root, token);
        blocking(move || work(&folder)).await
    }

    /// The folder of a handle that is ours.
    async fn of<T: Send + 'static>(
        &self,
        handle: &ExecutionHandle,
        work: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        handle.check_owner(&self.executor_type, &self.host, VERSION)?;
        self.at(handle.token, work).await
    }

    /// How far the launch of a request has come, as soon as that is certain. One by somebody else is a conflict.
    async fn settled(&self, request: &LaunchRequest) -> Result<Stage> {
        let began = self.clock.now();
        loop {
            match self.at(request.token, Folder::stage).await? {
                Stage::Starting if since(self.clock.now(), began) < CONFIRM => self.clock.sleep(LOOK).await,
                Stage::Starting => {
                    let message = format!("the program is still being started after {CONFIRM:?}");
                    return Err(Error::new(ErrorKind::Timeout, message).with_advice(Advice::LookUpFirst));
                }
                stage @ (Stage::Running { .. } | Stage::Ended(_)) => {
                    let theirs = self.at(request.token, Folder::request).await?.owner;
                    let conflict = || format!("the token {} was launched by another owner", request.token);
                    let ours = theirs == request.owner;
                    return if ours { Ok(stage) } else { Err(Error::new(ErrorKind::Conflict, conflict())) };
                }
                stage => return Ok(stage),
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.unwrap_or_else(|died| Err(Error::new(ErrorKind::Unexpected, "the work was broken off").with_source(died)))
}

/// Makes the folder for everybody's executions, which nobody else may read: what jobs are told and what they write is
/// theirs. Then looks at what else must be there, and at the kernel's version.
fn look_around(root: &Path) -> Result<String> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(unavailable)?;
    match supervisor::TOOLS.into_iter().find(|tool| !Path::new(tool).exists()) {
        Some(tool) => Err(Error::new(ErrorKind::Unavailable, format!("{tool} is missing; install util-linux"))),
        None => fs::read_to_string("/proc/sys/kernel/osrelease").map_err(unavailable),
    }
}

#[async_trait]
impl ContainerExecutor for ProgramsExecutor {
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
        let root = self.root.clone();
        let kernel = blocking(move || look_around(&root)).await?;
        let engine = format!("processes of Linux {}", kernel.trim());
        let found = Arc::new(HostFacts::builder().discovered_at(self.clock.now()).engine(engine).build());
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        if self.facts().is_none() {
            return Err(Error::new(ErrorKind::Unavailable, "nothing has been discovered yet; discover first"));
        }
        let template = job.template();
        ProgramsOptions::from_value(template.executor_options.get(&self.executor_type))?;
        template.stop_signal.map(supervisor::named).transpose()?;
        let mut plan = Plan::granting(job, self, self.config.freeze(&template.image));
        if template.log_cap.is_none() {
            plan.template.log_cap = Some(DEFAULT_CAP);
            plan.adjust("log_cap", DEFAULT_CAP, "the executor's default");
        }
        plan.adjust("network", "host", "programs have this machine's own network");
        plan.adjust("security", "no new privileges", "programs are ordinary processes of this machine, not isolated");
        plan.notice("the program can do on this machine whatever the user who runs Longshore can");
        Ok(plan)
    }

    async fn prepare(&self, request: &LaunchRequest, _: Progress) -> Result<()> {
        Frozen::program(request).map(drop)
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let program = Frozen::program(request)?;
        loop {
            match self.settled(request).await? {
                Stage::Running { .. } | Stage::Ended(_) => return Ok(self.handle(request.token)),
                Stage::FailedStart(words) => {
                    self.at(request.token, Folder::remove).await?;
                    let message = format!("the program could not be started: {words}");
                    return Err(Error::new(ErrorKind::StartFailed, message).with_operation("launch_job"));
                }
                Stage::Absent | Stage::Starting => {}
            }
            let (request, program, clock) = (request.clone(), program.clone(), self.clock.clone());
            self.at(request.token, move |folder| {
                supervisor::check(&program)?;
                folder.start(&request, &program, clock.as_ref())
            })
            .await?;
        }
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        Ok(match self.settled(request).await? {
            Stage::Running { .. } | Stage::Ended(_) => LaunchSearch::Found(self.handle(request.token)),
            _ => LaunchSearch::Absent,
        })
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        Ok(match self.of(handle, Folder::stage).await? {
            Stage::Starting => ExecutionStatus::Pending,
            Stage::Running { since, .. } => ExecutionStatus::Running { started_at: Some(since) },
            Stage::Ended(termination) => ExecutionStatus::Terminated(termination),
            Stage::Absent | Stage::FailedStart(_) => ExecutionStatus::NotFound,
        })
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        let StopRequest { reason, grace, .. } = *stop;
        let began = self.clock.now();
        let mut asked = false;
        loop {
            let passed = since(self.clock.now(), began);
            match self.of(handle, Folder::found).await? {
                Stage::Ended(termination) => return Ok(termination),
                Stage::Running { process, .. } if passed >= grace || !asked => {
                    self.of(handle, move |folder| folder.stop(process, reason, passed >= grace)).await?;
                    asked = true;
                }
                _ => {}
            }
            if passed > grace.saturating_add(CONFIRM) {
                let message = format!("the program is still there {CONFIRM:?} after its grace");
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            self.clock.sleep(LOOK).await;
        }
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        let began = self.clock.now();
        loop {
            let asked = query.clone();
            let page = self.of(handle, move |folder| Log::of(folder, &folder.found()?)?.page(&asked)).await?;
            let news = !page.records.is_empty() || page.ended.is_some();
            if news || since(self.clock.now(), began) >= query.wait {
                return Ok(page);
            }
            self.clock.sleep(LOOK).await;
        }
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        let harvested = self.of(handle, |folder| match folder.found()? {
            Stage::Ended(termination) => {
                let logs = Log::of(folder, &Stage::Ended(termination.clone()))?.summary()?;
                let usage = Usage::of_wall_time(termination.run_time().unwrap_or_default());
                Ok(Harvest::new(termination, logs, usage))
            }
            _ => Err(Error::new(ErrorKind::StillRunning, "the program still runs; wait for its end or stop it")),
        });
        harvested.await
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        self.of(handle, Folder::remove).await
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        let (root, owner) = (self.root.clone(), owner.clone());
        let found = blocking(move || {
            let names = fs::read_dir(&root).map_err(unavailable)?.flatten().map(|entry| entry.file_name());
            let tokens = names.filter_map(|name| name.to_str()?.parse::<LaunchToken>().ok());
            let folders = tokens.map(|token| Folder::new(&root, token));
            // Whose request can't be read has never run, or was removed just now.
            let owned =
                folders.filter_map(|folder| Some((folder.request().ok().filter(|it| it.owner == owner)?, folder)));
            owned.map(|(request, folder)| Ok((request, folder.stage()?))).collect::<Result<Vec<_>>>()
        });
        let owned = found.await?.into_iter().map(|(request, stage)| {
            let live = matches!(stage, Stage::Starting | Stage::Running { .. });
            OwnedExecution::new(self.handle(request.token), request.created_at, live)
        });
        Ok(owned.collect())
    }
}
