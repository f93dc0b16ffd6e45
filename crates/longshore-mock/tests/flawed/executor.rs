//! The contract, flawed.

use async_trait::async_trait;
use futures::StreamExt;
use longshore_core::{
    Advice, Capabilities, Cause, CheckedJob, ContainerExecutor, Error, ErrorKind, EventStream, Evidence,
    ExecutionHandle, ExecutionStatus, ExecutorType, Harvest, Health, HostFacts, HostName, LaunchRequest, LaunchSearch,
    LaunchToken, LogPage, LogQuery, OwnedExecution, Owner, Plan, Progress, Result, StopReason, StopRequest,
    Termination,
};
use std::{sync::Arc, time::Duration};

use super::{
    Flaw, Flawed,
    lies::{forget_limits, secret_of, too_early},
    locked,
};

const AT_ONCE: StopRequest = StopRequest::new(StopReason::Cancelled, Duration::ZERO);

impl Flawed {
    async fn launch(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        let mut request = request.clone();
        match self.flaw {
            Flaw::Hangs => std::future::pending().await,
            Flaw::LaunchesTwins => {
                let mut twin = request.clone();
                twin.token = LaunchToken::new(request.token.job(), request.token.attempt() + 100);
                self.inner.launch_job(&twin).await?;
            }
            Flaw::RunsAgain => self.forget_the_former(&request).await?,
            Flaw::GrantsLimitsOnPaper => forget_limits(&mut request.plan.template.resources),
            Flaw::IgnoresTheDeadline => request.deadline = jiff::Timestamp::MAX,
            Flaw::TracesSecrets => tracing::trace!(secrets = ?secret_of(&request), "launching"),
            _ => {}
        }
        self.inner.launch_job(&request).await
    }

    async fn forget_the_former(&self, request: &LaunchRequest) -> Result<()> {
        if let LaunchSearch::Found(former) = self.inner.find_launch(request).await?
            && !self.inner.check_status(&former).await?.is_live()
        {
            self.inner.cleanup(&former).await?;
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerExecutor for Flawed {
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
        self.inner.discover().await
    }

    fn plan(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        match self.planned(job) {
            Err(error) if error.kind() == ErrorKind::Unavailable && self.is(Flaw::PlansBlindly) => {
                let settings = longshore_core::HostSettings::new(1, serde_json::Value::Null);
                Ok(Plan::granting(job, self, settings))
            }
            planned => planned,
        }
    }

    async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()> {
        locked(&self.launched).insert(request.token);
        if self.is(Flaw::LosesLocalImages) && request.plan.template.image.local().is_some() {
            return Err(Error::new(ErrorKind::ImageUnavailable, "there is no such image"));
        }
        self.inner.prepare(request, progress).await
    }

    async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle> {
        match self.launch(request).await {
            Ok(mut handle) => {
                if let (Flaw::WritesSecretsDown, Some(metadata)) = (self.flaw, handle.executor_metadata.as_object_mut())
                {
                    metadata.insert("secret".to_owned(), secret_of(request).into());
                }
                Ok(handle)
            }
            Err(error) if error.advice() == Advice::LookUpFirst && self.is(Flaw::CallsLostLaunchesFailed) => {
                Err(error.with_advice(Advice::Permanent))
            }
            Err(error) if error.kind() == ErrorKind::Conflict && self.is(Flaw::AdoptsFromOthers) => {
                Ok(self.made_up(request.token))
            }
            refused => refused,
        }
    }

    async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch> {
        match self.inner.find_launch(request).await {
            Ok(_) if self.is(Flaw::DeniesItsLaunches) => Ok(LaunchSearch::Absent),
            Err(error) if error.is_lost_contact() && self.is(Flaw::TakesSilenceForAbsence) => Ok(LaunchSearch::Absent),
            found => found,
        }
    }

    async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus> {
        match self.inner.check_status(&self.taken(handle)?).await {
            Ok(status) => self.told(handle, status),
            Err(error) if error.is_lost_contact() && self.is(Flaw::TakesSilenceForAbsence) => {
                Ok(ExecutionStatus::NotFound)
            }
            Err(error) => Err(error),
        }
    }

    async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>> {
        let taken: Vec<_> =
            handles.iter().map(|handle| self.taken(handle).unwrap_or_else(|_| handle.clone())).collect();
        let mut answers = self.inner.check_statuses(&taken).await;
        let is_spoilt = self.is(Flaw::FailsTheWholeBatch) && answers.iter().any(Result::is_err);
        match self.flaw {
            Flaw::ShufflesTheBatch => answers.reverse(),
            Flaw::ListsEndsLate => {
                handles.iter().zip(&mut answers).for_each(|(handle, answer)| self.hold_back(handle, answer));
            }
            _ if is_spoilt => answers.fill_with(|| Err(Error::new(ErrorKind::Invalid, "a bad handle"))),
            _ => {}
        }
        answers
    }

    async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination> {
        let handle = self.taken(handle)?;
        if self.is(Flaw::StopsOnPaper) && self.inner.check_status(&handle).await?.is_live() && !stop.grace.is_zero() {
            return Ok(Termination::new(Cause::from(stop.reason), Evidence::complete()));
        }
        let _waiting = match self.flaw {
            Flaw::StopsOneByOne => Some(self.stopping.lock().await),
            _ => None,
        };
        let grace = if self.is(Flaw::GivesNoGrace) { Duration::ZERO } else { stop.grace };
        let mut end = self.inner.stop_job(&handle, &StopRequest::new(stop.reason, grace)).await?;
        if self.is(Flaw::RewritesTheEnd) {
            end.cause = Cause::from(stop.reason);
        }
        Ok(self.retell(end))
    }

    async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        let handle = self.taken(handle)?;
        match self.inner.get_logs(&handle, &self.asked(query)).await {
            Err(error) if error.kind() == ErrorKind::Invalid && self.is(Flaw::TakesAnyCursor) => {
                self.inner.get_logs(&handle, &LogQuery::from_start()).await
            }
            page => Ok(self.shown(page?)),
        }
    }

    async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest> {
        assert!(!self.is(Flaw::Panics), "no harvest today");
        let handle = self.taken(handle)?;
        match self.inner.harvest_job(&handle).await {
            Ok(mut harvest) => {
                harvest.termination = self.retell(harvest.termination);
                harvest.logs = self.summary(&handle).await?;
                Ok(harvest)
            }
            Err(error) if error.kind() == ErrorKind::StillRunning && self.is(Flaw::HarvestsTooEarly) => Ok(too_early()),
            Err(error) => Err(error),
        }
    }

    async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()> {
        let handle = self.taken(handle)?;
        let status = self.inner.check_status(&handle).await?;
        match self.flaw {
            Flaw::NeverCleansUp => return Ok(()),
            Flaw::RefusesTheSecondCleanup if status == ExecutionStatus::NotFound => {
                return Err(Error::new(ErrorKind::NotFound, "there is nothing to clean up"));
            }
            Flaw::CleansUpWhatRuns if status.is_live() => drop(self.inner.stop_job(&handle, &AT_ONCE).await?),
            _ => {}
        }
        self.inner.cleanup(&handle).await
    }

    async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>> {
        Ok(self.listed(self.inner.list_owned(owner).await?))
    }

    async fn collect(&self, owner: &Owner) -> Result<u64> {
        self.inner.collect(owner).await
    }

    async fn check_health(&self) -> Result<Health> {
        self.inner.check_health().await
    }

    async fn events(&self, owner: &Owner) -> Result<EventStream> {
        let events = self.inner.events(owner).await?;
        if self.is(Flaw::EndsItsEvents) {
            return Ok(events.take(0).boxed());
        }
        Ok(events)
    }
}
