//! What is convenient for callers, built once on top of the contract: run to completion, wait, follow logs.

mod follow;
mod launch;
mod observer;
mod outcome;
mod patience;
mod stop;
mod wait;

use std::{sync::Arc, time::Duration};

use crate::{
    CheckedJob, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHandle, ExecutionHost, Harvest,
    HostName, LaunchRequest, LogCompleteness, Owner, Plan, Progress, Result, SystemClock,
};

pub use follow::follow_logs;
pub use launch::{Launched, launch_once};
pub use observer::{CapturedLogs, RunEvent, RunObserver};
pub use outcome::{Cleanup, LogDelivery, RunOutcome};
pub use patience::Patience;
pub use stop::{StopLevel, StopSwitch};
pub use wait::wait;

/// How long a stopped job may take to end by itself, unless it says otherwise; the field's usual value.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Runs a job to completion on the executor with everything at its default, and returns what became of it
/// together with its output.
///
/// Cancellation: a dropped run leaves the container as it is; [`ContainerExecutor::list_owned`] finds it.
///
/// # Errors
/// When the job could not be planned or launched. What the job itself does is an outcome, never an error.
pub async fn run(executor: Arc<dyn ContainerExecutor>, job: &ContainerJob) -> Result<(RunOutcome, CapturedLogs)> {
    let captured = CapturedLogs::default();
    let outcome = Runner::new(executor).run(job, &captured).await?;
    Ok((outcome, captured))
}

/// How long a log may go on after the end of its job.
const LOG_DRAIN: Duration = Duration::from_secs(60);
/// How long, when the job is lost and its log most likely with it.
const LOST_LOG_DRAIN: Duration = Duration::from_secs(2);

fn stopped_before_launch(operation: &'static str) -> Error {
    Error::new(ErrorKind::Cancelled, "stopped before the launch; nothing was started").with_operation(operation)
}

/// Runs jobs to completion on one executor.
#[derive(Debug, Clone)]
#[must_use]
pub struct Runner {
    pub(crate) executor: Arc<dyn ContainerExecutor>,
    pub(crate) clock: Arc<dyn Clock>,
    place: Option<ExecutionHost>,
    owner: Option<Owner>,
    pub(crate) patience: Patience,
    time_to_send: Duration,
    attempt: u32,
    keep: bool,
    pub(crate) stop: StopSwitch,
}

impl Runner {
    /// A runner with everything at its default: owner `local`, patient for as long as it takes, cleaning up.
    pub fn new(executor: Arc<dyn ContainerExecutor>) -> Self {
        Self {
            executor,
            clock: Arc::new(SystemClock),
            place: None,
            owner: None,
            patience: Patience::default(),
            time_to_send: Duration::from_secs(3600),
            attempt: 1,
            keep: false,
            stop: StopSwitch::new(),
        }
    }

    /// The host that the executor serves, for jobs that ask for a place.
    pub fn on(mut self, host: ExecutionHost) -> Self {
        self.place = Some(host);
        self
    }

    /// The installation that owns what is created.
    pub fn owned_by(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// The clock to use in place of the system's.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long to go on asking a provider that can't be reached.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// How long after the plan a launch may still be sent, image pull included.
    pub fn with_time_to_send(mut self, time_to_send: Duration) -> Self {
        self.time_to_send = time_to_send;
        self
    }

    /// Leaves the finished container where it is.
    pub fn keeping(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// A switch with which the run can be stopped from elsewhere.
    pub fn stopped_by(mut self, stop: StopSwitch) -> Self {
        self.stop = stop;
        self
    }

    /// Says what the executor would do for the job, and launches nothing.
    ///
    /// # Errors
    /// As [`ContainerExecutor::discover`] and [`ContainerExecutor::plan`].
    pub async fn plan(&self, job: &ContainerJob) -> Result<Plan> {
        if self.executor.facts().is_none() {
            self.executor.discover().await?;
        }
        let template = job.resolved_template();
        let checked = match &self.place {
            Some(host) => CheckedJob::placed(&template, self.executor.as_ref(), host)?,
            None => CheckedJob::new(job, self.executor.as_ref())?,
        };
        self.executor.plan(&checked)
    }

    /// Runs the job to completion: plan, prepare, launch, follow, wait, harvest, cleanup.
    ///
    /// A stop before the launch starts nothing; one after it ends the execution, whose end is then the outcome.
    /// The container is removed only when its log has reached the observer. Cancellation: a dropped run leaves
    /// the container as it is.
    ///
    /// # Errors
    /// When the job could not be planned or launched (`Cancelled` when it was stopped before that), or when contact was
    /// lost for longer than the runner is patient; a host that can't be reached to begin with is not waited for. What the job itself does is an outcome, never an error.
    pub async fn run(&self, job: &ContainerJob, observer: &dyn RunObserver) -> Result<RunOutcome> {
        let plan = tokio::select! {
            biased;
            _ = self.stop.reached(StopLevel::Graceful) => return Err(stopped_before_launch("plan")),
            plan = self.plan(job) => plan?,
        };
        observer.observe(RunEvent::Planned(&plan)).await?;
        let started_waiting = self.clock.now();
        let time_to_send = plan.template.start_timeout.map_or(self.time_to_send, |limit| limit.min(self.time_to_send));
        let request = LaunchRequest::new(job, self.attempt, plan, self.owner()?, started_waiting, time_to_send);
        self.prepare(&request, observer).await?;
        let launching = launch::Launching {
            executor: self.executor.as_ref(),
            request: &request,
            clock: self.clock.as_ref(),
            patience: &self.patience,
            observer: Some(observer),
            stop: &self.stop,
        };
        let handle = match launching.run().await? {
            Launched::Started(handle) => handle,
            Launched::Unprovable { reason } => return Ok(RunOutcome::lost(request, None, reason)),
        };
        observer.observe(RunEvent::Launched(&handle)).await?;
        let (harvest, logs) = self.see_through(&request, &handle, observer).await?;
        let outcome = RunOutcome::of_harvest(request, handle, harvest, logs);
        Ok(self.clean_up(outcome).await)
    }

    /// Follows the log and waits for the end, then gives the log a little time to end too.
    async fn see_through(
        &self,
        request: &LaunchRequest,
        handle: &ExecutionHandle,
        observer: &dyn RunObserver,
    ) -> Result<(Option<Harvest>, Result<LogCompleteness>)> {
        let mut following = std::pin::pin!(self.deliver_logs(handle, observer));
        let mut waiting = std::pin::pin!(self.finish(request, handle, observer));
        let (logs, harvest) = tokio::select! {
            logs = &mut following => (Some(logs), waiting.await?),
            harvest = &mut waiting => (None, harvest?),
        };
        if let Some(logs) = logs {
            return Ok((harvest, logs));
        }
        let drain = if harvest.is_some() { LOG_DRAIN } else { LOST_LOG_DRAIN };
        let logs = tokio::select! {
            logs = following => logs,
            () = self.clock.sleep(drain) => Err(Error::new(ErrorKind::Timeout, format!("the log did not end within {drain:?} after its job"))),
        };
        Ok((harvest, logs))
    }

    /// The host on which this runner runs.
    #[must_use]
    pub fn host(&self) -> &HostName {
        self.executor.host()
    }

    fn owner(&self) -> Result<Owner> {
        match &self.owner {
            Some(owner) => Ok(owner.clone()),
            None => Ok(Owner::new("local")?),
        }
    }

    async fn prepare(&self, request: &LaunchRequest, observer: &dyn RunObserver) -> Result<()> {
        let (progress, mut reports) = Progress::channel();
        let preparing = self.executor.prepare(request, progress);
        let watching = async {
            while let Some(report) = reports.recv().await {
                let _ = observer.observe(RunEvent::Preparing(&report)).await;
            }
            std::future::pending::<()>().await;
        };
        let limit = request.plan.template.start_timeout.unwrap_or(Duration::MAX);
        let not_ready = |why: String| Err(Error::new(ErrorKind::Timeout, why).with_operation("prepare"));
        tokio::select! {
            biased;
            _ = self.stop.reached(StopLevel::Graceful) => Err(stopped_before_launch("prepare")),
            prepared = preparing => prepared,
            () = watching => Ok(()),
            () = self.clock.sleep(limit) => not_ready(format!("not ready within the start timeout of {limit:?}; raise start_timeout")),
        }
    }

    async fn clean_up(&self, mut outcome: RunOutcome) -> RunOutcome {
        let Some(handle) = outcome.handle.clone() else { return outcome };
        outcome.cleanup = match (&outcome.logs, self.keep) {
            (_, true) => Cleanup::Kept { reason: "asked to keep it".to_owned() },
            (LogDelivery::Failed(error), _) => {
                Cleanup::Kept { reason: format!("its log could not be delivered: {}", error.chain()) }
            }
            (LogDelivery::Delivered(_), _) => {
                let cleaned =
                    self.patience.brief().retry(self.clock.as_ref(), None, || self.executor.cleanup(&handle)).await;
                cleaned.map_or_else(Cleanup::Failed, |()| Cleanup::Removed)
            }
        };
        outcome
    }
}
