//! The result of a run for programs: what `--json` prints.

use jiff::Timestamp;
use longshore::{
    Advice, Cause, Cleanup, Error, ErrorKind, Evidence, ExecutionHandle, ExecutorType, HostName, JobId, JobName,
    JobStatus, LaunchToken, LogCompleteness, LogDelivery, RunOutcome, StoredDuration, Usage, route::RouteDecision,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The result of `longshore run --json`: one line on stdout at the end. `longshore schema outcome` prints its JSON
/// Schema. What is not known is left out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RunReport {
    /// Where the job stands. `failed` as well when it was never launched; `lost` when what became of it can't be
    /// told.
    pub status: JobStatus,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The program's own exit code, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The exit code of `longshore run` itself.
    pub longshore_exit_code: u8,
    /// What the cause rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Why it can't be told what became of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// The job's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The job's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<JobName>,
    /// The host that it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The kind of executor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<ExecutorType>,
    /// The attempt; the provider-side name is derived from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<LaunchToken>,
    /// The provider's own id of the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    /// Why it went there, where the router decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteDecision>,
    /// When what happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// What it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What became of its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogReport>,
    /// What became of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<CleanupReport>,
    /// What went wrong, when Longshore or the launch failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
}

/// When what happened.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Timings {
    /// When the launch was requested, by our own clock.
    pub requested_at: Timestamp,
    /// When the job began to run, by the provider's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended, by the provider's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// How long it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_time: Option<StoredDuration>,
}

/// What became of a job's output.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct LogReport {
    /// How much of what the program wrote the log holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completeness: Option<LogCompleteness>,
    /// How many bytes of it are stdout's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_bytes: Option<u64>,
    /// How many bytes of it are stderr's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_bytes: Option<u64>,
    /// True when all that there is of it was passed on.
    pub delivered: bool,
}

/// What became of a container.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CleanupReport {
    /// It is gone.
    Removed,
    /// It is still there.
    Kept {
        /// Why.
        reason: String,
    },
    /// It could not be removed.
    Failed {
        /// Why not.
        reason: String,
    },
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ErrorReport {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// What to do about it, for a program.
    pub advice: Advice,
    /// The message alone.
    pub message: String,
    /// The message with its operation, its context and everything that caused it.
    pub chain: String,
    /// What to do about it, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl RunReport {
    /// A report that only says how it went.
    pub(crate) const fn bare(status: JobStatus, longshore_exit_code: u8) -> Self {
        Self {
            status,
            cause: None,
            exit_code: None,
            longshore_exit_code,
            evidence: None,
            lost: None,
            job: None,
            name: None,
            host: None,
            executor: None,
            token: None,
            external_execution_id: None,
            route: None,
            timings: None,
            usage: None,
            logs: None,
            cleanup: None,
            error: None,
        }
    }

    /// The report of a run that came to its end.
    pub(crate) fn of_outcome(outcome: &RunOutcome, code: u8) -> Self {
        let termination = outcome.termination();
        let plan = &outcome.request.plan;
        Self {
            cause: termination.map(|termination| termination.cause),
            exit_code: outcome.exit_code(),
            evidence: termination.map(|termination| termination.evidence.clone()),
            lost: outcome.lost.clone(),
            job: Some(outcome.request.token.job()),
            name: Some(plan.template.name.clone()),
            host: Some(plan.host.clone()),
            executor: Some(plan.executor_type.clone()),
            token: Some(outcome.request.token),
            external_execution_id: outcome.handle.as_ref().map(|handle| handle.external_execution_id.clone()),
            timings: Some(Timings {
                requested_at: outcome.request.created_at,
                started_at: termination.and_then(|termination| termination.started_at),
                finished_at: termination.and_then(|termination| termination.finished_at),
                run_time: termination.and_then(longshore::Termination::run_time).map(StoredDuration),
            }),
            usage: outcome.harvest.as_ref().map(|harvest| harvest.usage.clone()),
            logs: Some(of_logs(outcome)),
            cleanup: Some(of_cleanup(&outcome.cleanup)),
            ..Self::bare(outcome.status, code)
        }
    }

    /// The same with what was to be launched.
    pub(crate) fn expected(mut self, token: Option<LaunchToken>) -> Self {
        self.job = token.map(|token| token.job());
        self.token = token;
        self
    }

    /// The same with what is known of an execution that could not be taken to its end.
    pub(crate) fn launched(mut self, handle: &ExecutionHandle) -> Self {
        self.job = Some(handle.token.job());
        self.host = Some(handle.host.clone());
        self.executor = Some(handle.executor_type.clone());
        self.token = Some(handle.token);
        self.external_execution_id = Some(handle.external_execution_id.clone());
        self
    }

    /// The same with what the router decided.
    pub(crate) fn routed(mut self, decision: Option<RouteDecision>) -> Self {
        self.route = decision;
        self
    }

    /// The same with an error.
    pub(crate) fn with_error(mut self, error: &Error, hint: Option<String>) -> Self {
        self.error = Some(ErrorReport {
            kind: error.kind(),
            advice: error.advice(),
            message: error.message().to_owned(),
            chain: error.chain(),
            hint,
        });
        self
    }
}

fn of_logs(outcome: &RunOutcome) -> LogReport {
    let summary = outcome.harvest.as_ref().map(|harvest| &harvest.logs);
    let delivered = match &outcome.logs {
        LogDelivery::Delivered(completeness) => Some(completeness),
        _ => None,
    };
    LogReport {
        completeness: summary.map(|summary| &summary.completeness).or(delivered).cloned(),
        stdout_bytes: summary.map(|summary| summary.stdout_bytes),
        stderr_bytes: summary.map(|summary| summary.stderr_bytes),
        delivered: delivered.is_some(),
    }
}

fn of_cleanup(cleanup: &Cleanup) -> CleanupReport {
    match cleanup {
        Cleanup::Removed => CleanupReport::Removed,
        Cleanup::Kept { reason } => CleanupReport::Kept { reason: reason.clone() },
        Cleanup::Failed(error) => CleanupReport::Failed { reason: error.chain() },
        _ => CleanupReport::Kept { reason: "what became of it is not known".to_owned() },
    }
}
