//! What a person sees of a run: the job's output as it is, Longshore's own words, the progress of a pull.

use async_trait::async_trait;
use longshore::{
    Cause, Error, ErrorKind, ExecutionHandle, ExecutionHost, LaunchToken, LogCompleteness, Plan, Result, RunEvent,
    RunObserver, StopReason, Termination, route::RouteDecision,
};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::{output::Output, progress::Progress, text::clean};

/// The observer of a run.
#[derive(Debug)]
pub(crate) struct Console {
    output: Output,
    progress: Progress,
    quiet: bool,
    expected: OnceLock<LaunchToken>,
    launched: OnceLock<ExecutionHandle>,
    host: OnceLock<ExecutionHost>,
    decision: Mutex<Option<RouteDecision>>,
}

impl Console {
    /// Shows a run on our own stdout and stderr.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let (output, progress) = (Output::start(json), Progress::new(quiet));
        Self {
            output,
            progress,
            quiet,
            expected: OnceLock::new(),
            launched: OnceLock::new(),
            host: OnceLock::new(),
            decision: Mutex::new(None),
        }
    }

    /// Is told on which host the job runs, once that is known.
    pub(crate) fn placed(&self, host: &ExecutionHost) {
        let _ = self.host.set(host.clone());
    }

    /// The kind of executor on which the job runs, once that is known.
    pub(crate) fn executor(&self) -> Option<&str> {
        self.host.get().map(|host| host.executor_type.as_str())
    }

    /// The address of the host on which the job runs, where it has one.
    pub(crate) fn address(&self) -> Option<&str> {
        self.host.get().and_then(|host| host.executor_config.get("host")?.as_str())
    }

    /// Is told what the router has decided.
    pub(crate) fn decided(&self, decision: &RouteDecision) {
        *self.decision.lock().unwrap_or_else(PoisonError::into_inner) = Some(decision.clone());
    }

    /// What the router has decided last.
    pub(crate) fn decision(&self) -> Option<RouteDecision> {
        self.decision.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Is told what is about to be launched.
    pub(crate) fn expect(&self, token: LaunchToken) {
        let _ = self.expected.set(token);
    }

    /// What is or was to be launched, once that is known.
    pub(crate) fn expected(&self) -> Option<LaunchToken> {
        self.expected.get().copied()
    }

    /// What has been launched, if it has.
    pub(crate) fn launched(&self) -> Option<&ExecutionHandle> {
        self.launched.get()
    }

    /// Says something that is worth knowing, unless only errors are wanted.
    pub(crate) fn notice(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Says what went wrong.
    pub(crate) fn say(&self, text: &str) {
        self.progress.clear();
        self.output.line(format!("longshore: {}", clean(text)));
    }

    /// Shows lines that are harmless already.
    pub(crate) fn lines(&self, text: String) {
        self.progress.clear();
        self.output.line(text);
    }

    /// Says what can be done about it.
    pub(crate) fn hint(&self, text: &str) {
        self.output.line(format!("hint: {}", clean(text)));
    }

    /// Prints a result to stdout.
    ///
    /// # Errors
    /// When stdout can't be written to.
    pub(crate) async fn result(&self, text: String) -> std::io::Result<()> {
        self.progress.clear();
        self.output.result(text).await
    }

    /// Waits until everything is written; in haste, not for long.
    pub(crate) async fn close(self, in_haste: bool) {
        self.progress.clear();
        self.output.close(in_haste).await;
    }
}

#[async_trait]
impl RunObserver for Console {
    async fn observe(&self, event: RunEvent<'_>) -> Result<()> {
        match event {
            RunEvent::Logs(records) => {
                let written = self.output.logs(records).await.map_err(undelivered);
                if written.is_err() {
                    self.notice("the output can't be passed on any more; the job goes on, and Ctrl-C stops it");
                }
                return written;
            }
            RunEvent::Preparing(report) => self.progress.report(report),
            RunEvent::Launched(handle) => {
                self.progress.clear();
                let _ = self.launched.set(handle.clone());
            }
            RunEvent::Planned(plan) => of_plan(plan).iter().for_each(|notice| self.notice(notice)),
            event => {
                if let Some(notice) = of_event(&event) {
                    self.notice(&notice);
                }
            }
        }
        Ok(())
    }
}

fn undelivered(error: std::io::Error) -> Error {
    let what =
        if error.kind() == std::io::ErrorKind::BrokenPipe { "nobody reads it any more" } else { "it can't be written" };
    Error::new(ErrorKind::Unexpected, what).with_source(error)
}

/// What a plan does otherwise than asked, and what it wants to be known.
pub(crate) fn of_plan(plan: &Plan) -> Vec<String> {
    let changed = plan.grants.iter().filter(|grant| grant.asked.is_some() && grant.asked != grant.granted);
    let changes = changed.map(|grant| {
        let asked = grant.asked.as_deref().unwrap_or_default();
        let granted = grant.granted.as_deref().unwrap_or("nothing");
        let reason = grant.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{}: {asked} was asked for and {granted} is granted{reason}", grant.field)
    });
    changes.chain(plan.notices.iter().cloned()).collect()
}

fn of_event(event: &RunEvent<'_>) -> Option<String> {
    match event {
        RunEvent::LostContact(error) => Some(format!(
            "the host can't be reached ({}); the job goes on there, and Longshore goes on asking",
            error.chain()
        )),
        RunEvent::ContactRestored => Some("the host answers again".to_owned()),
        RunEvent::Stopping(StopReason::TimedOut) => {
            Some("the job has reached its time limit and is being stopped".to_owned())
        }
        _ => None,
    }
}

/// What is worth knowing of an end beyond the exit code.
pub(crate) fn of_end(termination: &Termination) -> Option<String> {
    let said = termination.evidence.provider_message.as_ref().map(|words| format!(" ({words})")).unwrap_or_default();
    match termination.cause {
        Cause::Exited { code: 137 } if !termination.evidence.complete => Some(format!(
            "the job exited with 137, and nothing tells whether it was killed or chose that code itself{said}"
        )),
        Cause::Exited { .. } => None,
        Cause::Signalled { signal } => Some(format!("the job was ended by {signal}{said}")),
        Cause::OutOfMemory => Some(format!("the job was killed for want of memory{said}; give it more with --memory")),
        Cause::TimedOut => Some(format!("the job was stopped at its time limit{said}")),
        Cause::Cancelled => Some(format!("the job was stopped{said}")),
        cause => Some(format!("the job did not end by itself: {cause}{said}")),
    }
}

/// What is worth knowing of a log that is not all there.
pub(crate) fn of_log(completeness: &LogCompleteness) -> Option<String> {
    match completeness {
        LogCompleteness::Complete => None,
        LogCompleteness::Truncated { .. } => Some(format!("the output is {completeness}; raise it with --log-cap")),
        LogCompleteness::Missing { .. } => Some(format!("the output is {completeness}")),
        _ => Some(format!("the output {completeness}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore::{ByteSize, Evidence, Signal};

    #[test]
    fn an_end_is_explained_where_the_exit_code_is_not_enough() {
        let said = || Evidence::incomplete().with_message(Some("oom-kill".to_owned()));
        let cases = [
            (Cause::Exited { code: 1 }, None),
            (Cause::Exited { code: 137 }, Some("nothing tells")),
            (Cause::Signalled { signal: Signal::KILL }, Some("ended by SIGKILL (oom-kill)")),
            (Cause::OutOfMemory, Some("--memory")),
            (Cause::TimedOut, Some("time limit")),
            (Cause::Preempted, Some("preempted (oom-kill)")),
        ];
        for (cause, expected) in cases {
            let told = of_end(&Termination::new(cause, said()));
            assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
            assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()), "{cause}");
        }
        assert_eq!(of_end(&Termination::new(Cause::Exited { code: 137 }, Evidence::complete())), None);
    }

    #[test]
    fn a_log_that_lacks_something_says_so() {
        assert_eq!(of_log(&LogCompleteness::Complete), None);
        let truncated = of_log(&LogCompleteness::Truncated { cap: ByteSize::from_mib(1) }).unwrap();
        assert_eq!(truncated, "the output is cut off at its cap of 1MiB; raise it with --log-cap");
        let lossy = of_log(&LogCompleteness::Lossy { reason: "rotated".to_owned() }).unwrap();
        assert_eq!(lossy, "the output may lack bytes: rotated");
        let missing = of_log(&LogCompleteness::Missing { reason: "removed".to_owned() }).unwrap();
        assert_eq!(missing, "the output is incomplete: removed");
    }
}
