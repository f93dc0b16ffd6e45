//! What a case does with an execution, each in one word.

use longshore_core::{
    Capability, Cause, ContainerExecutor, ErrorKind, ExecutionHandle, ExecutionStatus, Harvest, JobTemplate,
    LogCompleteness, LogQuery, LogSummary, Signal, StopRequest, Termination,
};

use super::{
    case::{Case, Execution},
    failure::{CaseResult, Halt, holds, refused, same, same_bytes},
    log::{Log, Reader},
};

/// All that is to be known of an execution that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) execution: Execution,
    pub(crate) log: Log,
    pub(crate) harvest: Harvest,
}

impl Finished {
    pub(crate) fn termination(&self) -> &Termination {
        &self.harvest.termination
    }

    /// Requires that the program ended by itself with the given code, beyond doubt.
    #[track_caller]
    pub(crate) fn exited(&self, code: i32) -> CaseResult {
        exited(self.termination(), code)?;
        same("the evidence for an ordinary exit is complete", self.termination().evidence.complete, true)
    }
}

/// Requires that the program ended by itself with the given code.
#[track_caller]
pub(crate) fn exited(termination: &Termination, code: i32) -> CaseResult {
    same("the cause of the end", termination.cause, Cause::Exited { code })?;
    same("the exit code", termination.exit_code, Some(code))
}

/// Requires that the end is told as a death by the signal, beyond doubt; or, by an executor that does not claim to
/// tell the two apart, as the exit code that a shell gives it, with the evidence marked incomplete.
#[track_caller]
pub(crate) fn died_of(case: &Case, termination: &Termination, signal: Signal) -> CaseResult {
    let code = 128 + i32::from(signal.number());
    if termination.cause == (Cause::Signalled { signal }) {
        same("the evidence for a death by signal is complete", termination.evidence.complete, true)?;
        let code_fits = termination.exit_code.is_none_or(|found| found == code);
        return holds(code_fits, format!("the exit code is {code} or absent, not {:?}", termination.exit_code));
    }
    exited(termination, code)?;
    let told_apart = case.has(Capability::SignalEvidence);
    same("whether a death by signal is told as an exit beyond doubt", termination.evidence.complete, false)?;
    same("whether it is told as an exit where signals are told apart", told_apart, false)
}

impl Case {
    pub(crate) async fn status(&self, execution: &Execution) -> CaseResult<ExecutionStatus> {
        Ok(self.executor.check_status(&execution.handle).await?)
    }

    /// Waits for the end.
    pub(crate) async fn end(&self, execution: &Execution) -> CaseResult<Termination> {
        self.end_on(self.executor.as_ref(), &execution.handle).await
    }

    /// Waits for the end as the given instance sees it.
    pub(crate) async fn end_on(
        &self,
        executor: &dyn ContainerExecutor,
        handle: &ExecutionHandle,
    ) -> CaseResult<Termination> {
        self.until("the execution ends", async || match executor.check_status(handle).await? {
            ExecutionStatus::Terminated(termination) => Ok(Some(termination)),
            ExecutionStatus::NotFound => Err(Halt::broken("an execution that was launched is reported as not found")),
            _ => Ok(None),
        })
        .await
    }

    /// Requires that the execution has not ended.
    pub(crate) async fn still_live(&self, execution: &Execution) -> CaseResult {
        let status = self.status(execution).await?;
        holds(status.is_live(), format!("the execution still runs, unharmed; found: {status:?}"))
    }

    /// Waits until the program has written the text.
    pub(crate) async fn says(&self, execution: &Execution, text: &str) -> CaseResult {
        let mut reader = Reader::of(&execution.handle);
        self.until(&format!("the log shows {text:?}"), async || {
            reader.read(self.executor.as_ref()).await?;
            Ok(reader.log.contains(text.as_bytes()).then_some(()))
        })
        .await
    }

    /// Reads the log to its end.
    pub(crate) async fn log(&self, execution: &Execution) -> CaseResult<Log> {
        self.log_on(self.executor.as_ref(), &execution.handle).await
    }

    /// Reads the log to its end from the given instance.
    pub(crate) async fn log_on(&self, executor: &dyn ContainerExecutor, handle: &ExecutionHandle) -> CaseResult<Log> {
        self.rest_on(executor, Reader::of(handle)).await
    }

    /// Reads on to the end of the log from the given instance.
    pub(crate) async fn rest_on(&self, executor: &dyn ContainerExecutor, mut reader: Reader) -> CaseResult<Log> {
        let mut read = 0;
        loop {
            let before = read;
            let ended = self
                .until("the log goes on or ends", async || {
                    reader.read(executor).await?;
                    let ended = reader.ended.is_some();
                    Ok((ended || reader.log.len() > before).then_some(ended))
                })
                .await?;
            if ended {
                return Ok(reader.into_log());
            }
            read = reader.log.len();
        }
    }

    /// Requires of the log of what somebody else has removed that nobody waits for more of it: it is not found or,
    /// where the executor still has what it had read, it ends.
    pub(crate) async fn log_is_gone_or_over(&self, handle: &ExecutionHandle) -> CaseResult {
        self.until("the log of what was removed is not found, or ends", async || {
            match self.executor.get_logs(handle, &LogQuery::from_start()).await {
                Ok(page) => Ok(page.ended.map(|_| ())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(())),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Waits for the end, reads the log, harvests, and requires that the three agree.
    pub(crate) async fn finish(&self, execution: Execution) -> CaseResult<Finished> {
        let termination = self.end(&execution).await?;
        let harvest = self.executor.harvest_job(&execution.handle).await?;
        let log = self.log(&execution).await?;
        same("the harvest tells the same end as the status", &harvest.termination, &termination)?;
        let summary = LogSummary::new(log.completeness()?, log.stdout.len() as u64, log.stderr.len() as u64);
        same("the harvest's summary of the log is what the log holds", &harvest.logs, &summary)?;
        Ok(Finished { execution, log, harvest })
    }

    /// Launches the script of the probe and sees it to its end.
    pub(crate) async fn run<S: Into<String>>(&self, script: impl IntoIterator<Item = S>) -> CaseResult<Finished> {
        self.run_template(self.template(script)).await
    }

    /// Launches the template and sees it to its end.
    pub(crate) async fn run_template(&self, template: JobTemplate) -> CaseResult<Finished> {
        let execution = self.launch_template(template).await?;
        self.finish(execution).await
    }

    pub(crate) async fn cleanup(&self, execution: &Execution) -> CaseResult {
        Ok(self.executor.cleanup(&execution.handle).await?)
    }

    /// Ends what still runs: by a kill where it can be stopped, otherwise by waiting.
    pub(crate) async fn end_now(&self, execution: &Execution) -> CaseResult<Termination> {
        if self.has(Capability::Stop) {
            return Ok(self.executor.stop_job(&execution.handle, &self.cancel_within(0)).await?);
        }
        self.end(execution).await
    }

    /// Stops the execution. `None` where the executor can't; then the case has proven that it says so and does no
    /// harm.
    pub(crate) async fn stop(&self, execution: &Execution, stop: &StopRequest) -> CaseResult<Option<Termination>> {
        let answer = self.executor.stop_job(&execution.handle, stop).await;
        if self.has(Capability::Stop) {
            return Ok(Some(answer?));
        }
        refused("a stop that the executor does not declare", answer, &[ErrorKind::Unsupported])?;
        self.still_live(execution).await?;
        Ok(None)
    }

    /// Requires that nothing of the owner's is left of an attempt: neither in a list nor by its token.
    pub(crate) async fn nothing_of(&self, request: &longshore_core::LaunchRequest) -> CaseResult {
        if self.has(Capability::ListOwned) {
            let owned = self.executor.list_owned(&request.owner).await?;
            let left: Vec<_> = owned.iter().filter(|it| it.handle.token == request.token).collect();
            holds(left.is_empty(), format!("nothing is left behind; found: {left:?}"))?;
        }
        self.never_started(self.executor.as_ref(), request).await
    }

    /// Requires that the output is what the program wrote. An executor that keeps lines of text, and not bytes, may give
    /// a last line the break that it lacks.
    #[track_caller]
    pub(crate) fn same_output(&self, what: &str, found: &[u8], expected: &[u8]) -> CaseResult {
        let keeps_lines = !self.has(Capability::BinaryLogs) && !expected.ends_with(b"\n");
        if keeps_lines && found.strip_suffix(b"\n") == Some(expected) {
            return Ok(());
        }
        same_bytes(what, found, expected)
    }

    /// What a complete log is called here: an executor that may change bytes can't call any log complete.
    pub(crate) fn complete(&self, found: &LogCompleteness) -> CaseResult {
        let lossy = matches!(found, LogCompleteness::Lossy { .. }) && !self.has(Capability::BinaryLogs);
        holds(lossy || *found == LogCompleteness::Complete, format!("the log is complete; it is said to be: {found}"))
    }
}
