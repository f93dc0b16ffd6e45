//! What a flawed executor makes of the truth.

use longshore_core::{
    Cause, CheckedJob, ContainerJob, Error, ErrorKind, Evidence, ExecutionHandle, ExecutionStatus, Harvest, JobId,
    LaunchRequest, LaunchToken, LogCompleteness, LogPage, LogQuery, LogStream, LogSummary, OwnedExecution, Plan,
    Resources, Result, SecretReference, Signal, Termination, Timestamp, Usage,
};

use super::{Flaw, Flawed, locked};

impl Flawed {
    pub(super) fn planned(&self, job: &CheckedJob<'_>) -> Result<Plan> {
        let mut changed = ContainerJob::new(job.template().clone(), Timestamp::UNIX_EPOCH);
        match self.flaw {
            Flaw::IgnoresOptions => changed.template.executor_options.clear(),
            Flaw::ForgetsVariables => changed.template.env.clear(),
            Flaw::SplitsArguments => {
                let split = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
                changed.template.args = changed.template.args.iter().map(split).collect();
            }
            Flaw::FindsAnyImage if changed.template.image.local().is_some() => {
                changed.template.image = "longshore.test/probe:1".parse()?;
            }
            Flaw::ReadsWhatOthersWrote => {
                let reads = |text: &String| text.starts_with("read /written");
                changed
                    .template
                    .args
                    .iter_mut()
                    .filter(|text| reads(text))
                    .for_each(|text| *text = "exit 0".to_owned());
            }
            _ => {}
        }
        let mut plan = self.inner.plan(&CheckedJob::new(&changed, self.inner.as_ref())?)?;
        let mut plans = locked(&self.plans);
        *plans += 1;
        match self.flaw {
            Flaw::PlansOnAWhim => plan.notice(format!("this is plan number {plans}")),
            Flaw::DropsDemands => plan.grants.clear(),
            Flaw::DropsLimitsInSilence => {
                forget_limits(&mut plan.template.resources);
                let limits = plan.grants.iter_mut().filter(|grant| grant.field.starts_with("resources."));
                limits.for_each(|grant| grant.granted = None);
            }
            Flaw::SendsLimitsThatItDrops => plan.drop_demand("resources.pids", "it can't be held to it"),
            _ => {}
        }
        Ok(plan)
    }

    /// An end, as it is told.
    pub(super) fn retell(&self, mut end: Termination) -> Termination {
        let is_137 = end.exit_code == Some(137);
        match (self.flaw, end.cause) {
            (Flaw::GuessesAtMemory, _) if is_137 => end.cause = Cause::OutOfMemory,
            (Flaw::TakesEverySignalForItsOwn, Cause::Signalled { .. }) => end.cause = Cause::Cancelled,
            (Flaw::TakesEveryExitForASignal, Cause::Exited { code: 137 }) => {
                end.cause = Cause::Signalled { signal: Signal::KILL };
            }
            _ => {}
        }
        end
    }

    /// The first answers that would show its end, of many in a batch, show it running.
    pub(super) fn hold_back(&self, handle: &ExecutionHandle, answer: &mut Result<ExecutionStatus>) {
        let Ok(ExecutionStatus::Terminated(end)) = answer else { return };
        let mut ends = locked(&self.ends);
        ends.push((handle.token, end.clone()));
        if ends.iter().filter(|(token, _)| *token == handle.token).count() <= 500 {
            *answer = Ok(ExecutionStatus::Running { started_at: None });
        }
    }

    pub(super) fn told(&self, handle: &ExecutionHandle, status: ExecutionStatus) -> Result<ExecutionStatus> {
        if self.is(Flaw::KnowsOnlyItsOwn) && !locked(&self.launched).contains(&handle.token) {
            return Ok(ExecutionStatus::NotFound);
        }
        let ExecutionStatus::Terminated(end) = status else { return Ok(status) };
        if self.is(Flaw::FailsWithItsJobs) && end.exit_code != Some(0) {
            return Err(Error::new(ErrorKind::Unexpected, "the container failed"));
        }
        let mut ends = locked(&self.ends);
        let is_known = ends.iter().any(|(token, _)| *token == handle.token);
        ends.push((handle.token, end.clone()));
        if self.is(Flaw::GoesBack) && is_known && ends.len() == 2 {
            return Ok(ExecutionStatus::Running { started_at: None });
        }
        Ok(ExecutionStatus::Terminated(self.retell(end)))
    }

    /// A handle, as it is taken.
    pub(super) fn taken(&self, handle: &ExecutionHandle) -> Result<ExecutionHandle> {
        let mut handle = handle.clone();
        match self.flaw {
            Flaw::TakesForeignHandles => handle.host = self.inner.host().clone(),
            Flaw::TakesNewerHandles => handle.version = handle.version.min(2),
            Flaw::ForgetsOlderHandles if handle.version < 2 => {
                return Err(Error::new(ErrorKind::Invalid, "the handle is too old"));
            }
            _ => {}
        }
        Ok(handle)
    }

    pub(super) fn asked(&self, query: &LogQuery) -> LogQuery {
        let mut query = query.clone();
        match self.flaw {
            Flaw::ForgetsItsCursors => query.cursor = None,
            Flaw::IgnoresThePageSize => query.max_bytes = 1 << 20,
            _ => {}
        }
        query
    }

    /// A page of a log, as it is shown.
    pub(super) fn shown(&self, mut page: LogPage) -> LogPage {
        match (self.flaw, page.ended.is_some()) {
            (Flaw::DropsTheLastLine, true) => drop(page.records.pop()),
            (Flaw::CutsOffInSilence, true) => page.ended = Some(LogCompleteness::Complete),
            (Flaw::NeverEndsItsLogs, true) => page.ended = None,
            _ => {}
        }
        for record in &mut page.records {
            match self.flaw {
                Flaw::StripsLineBreaks => {
                    let kept: Vec<u8> = record.bytes.iter().copied().filter(|byte| *byte != b'\n').collect();
                    record.bytes = kept.into();
                }
                Flaw::MixesTheStreams => record.stream = LogStream::Stdout,
                Flaw::ReplacesBytes => {
                    record.bytes = String::from_utf8_lossy(&record.bytes).into_owned().into_bytes().into();
                }
                _ => {}
            }
        }
        page.records.retain(|record| !record.bytes.is_empty());
        page
    }

    /// The harvest's summary of the log, which agrees with what is shown of it.
    pub(super) async fn summary(&self, handle: &ExecutionHandle) -> Result<LogSummary> {
        let mut lengths = [0_u64; 2];
        let mut query = LogQuery::from_start();
        loop {
            let page = self.inner.get_logs(handle, &query).await?;
            let truth = page.ended.clone();
            query = LogQuery::after(page.next.clone());
            let shown = self.shown(page);
            for record in &shown.records {
                lengths[record.stream as usize] += record.bytes.len() as u64;
            }
            if let Some(completeness) = truth {
                return Ok(LogSummary::new(shown.ended.unwrap_or(completeness), lengths[0], lengths[1]));
            }
        }
    }

    /// What is listed, truly or not.
    pub(super) fn listed(&self, mut owned: Vec<OwnedExecution>) -> Vec<OwnedExecution> {
        let mut add = |token| {
            let handle = self.made_up(token);
            owned.push(OwnedExecution::new(handle, jiff::Timestamp::UNIX_EPOCH, false));
        };
        match self.flaw {
            Flaw::ShowsOthersThings => add(LaunchToken::new(JobId::new(jiff::Timestamp::UNIX_EPOCH), 1)),
            Flaw::LeavesFailedStarts => locked(&self.launched).iter().copied().for_each(add),
            Flaw::KnowsOnlyItsOwn => owned.retain(|listed| locked(&self.launched).contains(&listed.handle.token)),
            _ => {}
        }
        owned
    }

    pub(super) fn made_up(&self, token: LaunchToken) -> ExecutionHandle {
        let (kind, host) = (self.inner.executor_type().clone(), self.inner.host().clone());
        ExecutionHandle::new(kind, host, token, 1, "made up", serde_json::Value::Null)
    }
}

/// Nobody is held to anything.
pub(super) const fn forget_limits(limits: &mut Resources) {
    (limits.memory, limits.cpu, limits.pids) = (None, None, None);
}

/// The harvest of what has not ended.
pub(super) fn too_early() -> Harvest {
    let logs = LogSummary::new(LogCompleteness::Complete, 0, 0);
    Harvest::new(Termination::new(Cause::Unknown, Evidence::incomplete()), logs, Usage::default())
}

/// The secret itself, read from where the job's author keeps it.
pub(super) fn secret_of(request: &LaunchRequest) -> Option<String> {
    match &request.plan.template.secrets.first()?.reference {
        SecretReference::File(path) => std::fs::read_to_string(path).ok(),
        _ => None,
    }
}
