//! What a case has in its hands: an executor of its own, an owner of its own, and words to say what happens.

use jiff::Timestamp;
use longshore_core::{
    Capability, CheckedJob, Clock, ContainerExecutor, ContainerJob, ExecutionHandle, JobId, JobTemplate, LaunchRequest,
    LaunchToken, Owner, Patience, Plan, Progress, Result, Runner, StopReason, StopRequest, clock::later,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    Harness,
    failure::{CaseResult, Halt},
};

/// One launched execution.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) request: LaunchRequest,
    pub(crate) handle: ExecutionHandle,
}

impl Execution {
    pub(crate) fn token(&self) -> LaunchToken {
        self.request.token
    }
}

/// What a case has made, so that all of it can be swept away afterwards.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) owners: Vec<Owner>,
    /// The first attempts of jobs that a runner launches by itself.
    pub(crate) tokens: BTreeSet<LaunchToken>,
    pub(crate) requests: BTreeMap<LaunchToken, LaunchRequest>,
    pub(crate) handles: BTreeMap<LaunchToken, ExecutionHandle>,
}

/// The context of one running case.
pub(crate) struct Case {
    pub(crate) harness: Box<dyn Harness>,
    pub(crate) executor: Arc<dyn ContainerExecutor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) owner: Owner,
    made: Mutex<Made>,
}

impl Case {
    pub(crate) async fn new(harness: Box<dyn Harness>) -> CaseResult<Self> {
        let executor = harness.executor().await?;
        executor.discover().await?;
        let clock = harness.clock();
        let owner = new_owner(clock.now())?;
        let made = Mutex::new(Made { owners: vec![owner.clone()], ..Made::default() });
        Ok(Self { harness, executor, clock, owner, made })
    }

    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.executor.capabilities().has(capability)
    }

    /// How long anything that must happen may take.
    pub(crate) fn limit(&self) -> Duration {
        self.paced(60_000)
    }

    /// So many milliseconds at the pace of the place.
    pub(crate) fn paced(&self, millis: u64) -> Duration {
        Duration::from_millis(millis) * self.harness.pace()
    }

    /// The probe's instruction to sleep for so many milliseconds at the pace of the place.
    pub(crate) fn sleep(&self, millis: u64) -> String {
        format!("sleep {}ms", self.paced(millis).as_millis())
    }

    /// The probe's instruction to run on: for ever where it can be stopped, long enough where it can't.
    pub(crate) fn keep_running(&self) -> String {
        if self.has(Capability::Stop) { "forever".to_owned() } else { self.sleep(20_000) }
    }

    /// A restarted program's executor: a fresh instance that has discovered the host.
    pub(crate) async fn restarted(&self) -> CaseResult<Arc<dyn ContainerExecutor>> {
        let executor = self.harness.executor().await?;
        executor.discover().await?;
        Ok(executor)
    }

    /// One more owner, swept as the first.
    pub(crate) fn another_owner(&self) -> CaseResult<Owner> {
        let owner = new_owner(self.clock.now())?;
        self.made().owners.push(owner.clone());
        Ok(owner)
    }

    /// The probe's template with the given instructions.
    pub(crate) fn template<S: Into<String>>(&self, script: impl IntoIterator<Item = S>) -> JobTemplate {
        let mut template = self.harness.probe();
        template.args.extend(script.into_iter().map(Into::into));
        template
    }

    pub(crate) fn job(&self, template: JobTemplate) -> ContainerJob {
        ContainerJob::new(template, self.clock.now())
    }

    /// What the executor plans for the template.
    pub(crate) fn plan(&self, template: JobTemplate) -> Result<Plan> {
        let job = self.job(template);
        self.executor.plan(&CheckedJob::new(&job, self.executor.as_ref())?)
    }

    /// A request for the first attempt at the template.
    pub(crate) fn request(&self, template: JobTemplate) -> Result<LaunchRequest> {
        let job = self.job(template);
        let plan = self.executor.plan(&CheckedJob::new(&job, self.executor.as_ref())?)?;
        let request = LaunchRequest::new(&job, 1, plan, self.owner.clone(), self.clock.now(), self.paced(300_000));
        self.will_launch(&request);
        Ok(request)
    }

    /// A request for the script of the probe.
    pub(crate) fn request_for<S: Into<String>>(&self, script: impl IntoIterator<Item = S>) -> Result<LaunchRequest> {
        self.request(self.template(script))
    }

    /// Makes sure that whatever comes of the request is swept.
    pub(crate) fn will_launch(&self, request: &LaunchRequest) {
        self.made().requests.insert(request.token, request.clone());
    }

    /// A job for a runner, whose first attempt will be the case's own.
    pub(crate) fn job_to_run(&self, template: JobTemplate) -> ContainerJob {
        let job = self.job(template);
        self.made().tokens.insert(LaunchToken::new(job.id, 1));
        job
    }

    /// Prepares and launches the request on the given instance.
    pub(crate) async fn launch_on(
        &self,
        executor: &dyn ContainerExecutor,
        request: &LaunchRequest,
    ) -> Result<ExecutionHandle> {
        self.will_launch(request);
        executor.prepare(request, Progress::ignored()).await?;
        let handle = executor.launch_job(request).await?;
        self.made().handles.insert(request.token, handle.clone());
        Ok(handle)
    }

    pub(crate) async fn launch_request(&self, request: LaunchRequest) -> Result<Execution> {
        let handle = self.launch_on(self.executor.as_ref(), &request).await?;
        Ok(Execution { request, handle })
    }

    pub(crate) async fn launch_template(&self, template: JobTemplate) -> Result<Execution> {
        self.launch_request(self.request(template)?).await
    }

    /// Plans, prepares and launches the script of the probe.
    pub(crate) async fn launch<S: Into<String>>(&self, script: impl IntoIterator<Item = S>) -> Result<Execution> {
        self.launch_template(self.template(script)).await
    }

    /// A stop because somebody asked, with so many milliseconds of grace at the pace of the place.
    pub(crate) fn cancel_within(&self, millis: u64) -> StopRequest {
        StopRequest::new(StopReason::Cancelled, self.paced(millis))
    }

    /// A runner on the case's own executor, owner and clock.
    pub(crate) fn runner(&self) -> Runner {
        self.runner_on(Arc::clone(&self.executor))
    }

    pub(crate) fn runner_on(&self, executor: Arc<dyn ContainerExecutor>) -> Runner {
        Runner::new(executor)
            .owned_by(self.owner.clone())
            .with_clock(Arc::clone(&self.clock))
            .with_patience(self.patience())
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience::of(self.limit())
    }

    /// Asks again and again until there is an answer, and fails when there is none in time.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut ask: impl AsyncFnMut() -> CaseResult<Option<T>>,
    ) -> CaseResult<T> {
        let deadline = later(self.clock.now(), self.limit());
        let mut pause = self.paced(10);
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            if self.clock.now() >= deadline {
                return Err(Halt::broken(format!("not within {:?}: {what}", self.limit())));
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(self.paced(500));
        }
    }

    pub(crate) fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_owner(now: Timestamp) -> CaseResult<Owner> {
    Ok(Owner::new(format!("kit-{}", JobId::new(now).as_uuid().simple()))?)
}
