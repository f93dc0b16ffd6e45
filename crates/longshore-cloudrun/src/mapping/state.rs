//! How an execution stands, and why it ended, by what Google tells of it.

use jiff::Timestamp;
use longshore_core::{Cause, Error, ErrorKind, Evidence, ExecutionStatus, Signal, StopReason, Termination};

use super::answers::{AttemptResult, Condition, Execution, Job, Task, short};

/// How far the creation of a job is, and with it the start of its execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Creation {
    /// Nothing is decided yet.
    Waiting,
    /// The execution of this short name exists.
    Started(String),
    /// There is no execution and there will be none.
    Failed(Refused),
    /// Somebody is removing it.
    Deleted,
}

/// Why a job was accepted and could not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) kind: ErrorKind,
    pub(crate) words: String,
}

impl Refused {
    pub(crate) fn into_error(self) -> Error {
        Error::new(self.kind, format!("Cloud Run could not start the job: {}", self.words))
    }
}

/// How far the creation of a job is.
pub(crate) fn creation(job: &Job) -> Creation {
    if job.delete_time.is_some() {
        return Creation::Deleted;
    }
    if let Some(execution) = job.latest_created_execution.as_ref().filter(|it| !it.name.is_empty()) {
        return Creation::Started(short(&execution.name).to_owned());
    }
    let failed = job.terminal_condition.iter().chain(&job.conditions).find(|it| it.has_failed());
    match failed.filter(|_| !job.reconciling) {
        Some(condition) => Creation::Failed(refused(condition)),
        None => Creation::Waiting,
    }
}

/// The reasons are those of <https://cloud.google.com/run/docs/reference/rest/v2/Condition#commonreason>.
fn refused(condition: &Condition) -> Refused {
    let kind = match condition.reason.as_deref() {
        Some("SECRETS_ACCESS_CHECK_FAILED") => ErrorKind::SecretUnavailable,
        Some("VPC_NETWORK_NOT_FOUND") => ErrorKind::Invalid,
        Some("ENCRYPTION_KEY_PERMISSION_DENIED" | "ENCRYPTION_KEY_CHECK_FAILED") => ErrorKind::PermissionDenied,
        reason if is_about_the_image(reason) => ErrorKind::ImageUnavailable,
        _ => match cause_of_words(&condition.message) {
            Some(Cause::ImagePull) => ErrorKind::ImageUnavailable,
            Some(Cause::Quota) => ErrorKind::Quota,
            Some(Cause::Capacity) => ErrorKind::Capacity,
            _ if condition.message.to_ascii_lowercase().contains("secret") => ErrorKind::SecretUnavailable,
            _ => ErrorKind::StartFailed,
        },
    };
    let words = match (&condition.message, &condition.reason) {
        (message, _) if !message.is_empty() => message.clone(),
        (_, Some(reason)) => reason.clone(),
        (_, None) => "it does not say why".to_owned(),
    };
    Refused { kind, words }
}

fn is_about_the_image(reason: Option<&str>) -> bool {
    let reasons = [
        "CONTAINER_MISSING",
        "CONTAINER_PERMISSION_DENIED",
        "CONTAINER_IMAGE_UNAUTHORIZED",
        "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED",
    ];
    reason.is_some_and(|reason| reasons.contains(&reason))
}

/// The condition that tells of an execution's or a task's end.
fn completed(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.kind == "Completed")
}

/// True once an execution has ended.
pub(crate) fn has_ended(execution: &Execution) -> bool {
    let decided = completed(&execution.conditions).is_some_and(|it| it.has_failed() || it.has_succeeded());
    execution.completion_time.is_some() || decided
}

/// True when an end can't be told without a look at its task.
pub(crate) fn needs_its_task(execution: &Execution) -> bool {
    has_ended(execution) && execution.succeeded_count == 0
}

/// The status of an execution that has not ended, or does not exist any more; `None` for one that has ended.
pub(crate) fn live_status(execution: &Execution) -> Option<ExecutionStatus> {
    if execution.delete_time.is_some() {
        return Some(ExecutionStatus::NotFound);
    }
    if has_ended(execution) {
        return None;
    }
    // A time of start may come a little later than the count.
    match (execution.start_time, execution.running_count) {
        (Some(at), _) => Some(ExecutionStatus::Running { started_at: Some(at) }),
        (None, 0) => Some(ExecutionStatus::Pending),
        (None, _) => Some(ExecutionStatus::Running { started_at: None }),
    }
}

/// When an execution that has ended did, by the best that is told.
pub(crate) fn finished_at(execution: &Execution) -> Option<Timestamp> {
    execution.completion_time.or_else(|| completed(&execution.conditions)?.last_transition_time)
}

/// How an execution ended. `stop` is the reason for which this program's installation had it stopped.
pub(crate) fn termination(execution: &Execution, task: Option<&Task>, stop: Option<StopReason>) -> Termination {
    let attempt = task.and_then(|task| task.last_attempt_result.clone()).unwrap_or_default();
    let words = words(execution, task, &attempt);
    let (cause, evidence) = cause(execution, task, &attempt, stop, &words);
    let evidence = facts(execution, &attempt, evidence).with_message(words.into_iter().next());
    let exit_code = match cause {
        Cause::Exited { code } => Some(code),
        _ => attempt.exit_code,
    };
    Termination::new(cause, evidence).with_exit_code(exit_code).with_times(execution.start_time, finished_at(execution))
}

fn cause(
    execution: &Execution,
    task: Option<&Task>,
    attempt: &AttemptResult,
    stop: Option<StopReason>,
    words: &[String],
) -> (Cause, Evidence) {
    let complete = Evidence::complete();
    if execution.succeeded_count > 0 {
        return (Cause::Exited { code: 0 }, complete);
    }
    if was_cancelled(execution) {
        return (stop.unwrap_or(StopReason::Cancelled).into(), complete);
    }
    let told = words.iter().find_map(|words| cause_of_words(words));
    match (told, attempt.exit_code, signal(attempt)) {
        (Some(cause @ (Cause::OutOfMemory | Cause::TimedOut)), _, _) => (cause, complete),
        // An exit code above 128 may be a shell's word for a signal.
        (_, Some(code), _) if code > 128 => (Cause::Exited { code }, Evidence::incomplete()),
        (_, Some(code), _) => (Cause::Exited { code }, complete),
        (_, None, Some(signal)) => (Cause::Signalled { signal }, complete),
        (Some(cause), None, None) => (cause, complete),
        (None, None, None) => by_reason(execution, task),
    }
}

fn was_cancelled(execution: &Execution) -> bool {
    let reason = completed(&execution.conditions).and_then(|it| it.execution_reason.as_deref());
    execution.cancelled_count > 0 || reason == Some("CANCELLED")
}

fn signal(attempt: &AttemptResult) -> Option<Signal> {
    let number = attempt.term_signal.filter(|number| *number > 0)?;
    Signal::from_number(u8::try_from(number).ok()?)
}

/// What the typed reasons tell where there is neither a code nor a signal.
fn by_reason(execution: &Execution, task: Option<&Task>) -> (Cause, Evidence) {
    let of_task = task.map(|task| task.conditions.as_slice()).unwrap_or_default();
    let mut conditions = of_task.iter().chain(&execution.conditions).filter(|it| it.has_failed());
    let told = conditions.find_map(|condition| {
        let of_execution = || condition.execution_reason.as_deref().and_then(cause_of_execution_reason);
        condition.reason.as_deref().and_then(cause_of_reason).or_else(of_execution)
    });
    told.map_or((Cause::Unknown, Evidence::incomplete()), |cause| (cause, Evidence::complete()))
}

/// <https://cloud.google.com/run/docs/reference/rest/v2/Condition#commonreason>
fn cause_of_reason(reason: &str) -> Option<Cause> {
    match reason {
        reason if is_about_the_image(Some(reason)) => Some(Cause::ImagePull),
        "SECRETS_ACCESS_CHECK_FAILED"
        | "VPC_NETWORK_NOT_FOUND"
        | "ENCRYPTION_KEY_PERMISSION_DENIED"
        | "ENCRYPTION_KEY_CHECK_FAILED" => Some(Cause::Invalid),
        _ => None,
    }
}

/// <https://cloud.google.com/run/docs/reference/rest/v2/Condition#executionreason>
fn cause_of_execution_reason(reason: &str) -> Option<Cause> {
    match reason {
        "DELAYED_EXECUTION_EXCEEDING_DURATION_LIMIT" => Some(Cause::Capacity),
        "JOB_STATUS_SERVICE_POLLING_ERROR" | "DELETED" => Some(Cause::LostByProvider),
        _ => None,
    }
}

/// Google's words, the nearest to the program first.
fn words(execution: &Execution, task: Option<&Task>, attempt: &AttemptResult) -> Vec<String> {
    let of_attempt = attempt.status.iter().map(|status| &status.message);
    let of_task = task.map(|task| task.conditions.as_slice()).unwrap_or_default();
    let of_conditions = of_task.iter().chain(&execution.conditions).filter(|it| it.has_failed()).map(|it| &it.message);
    of_attempt.chain(of_conditions).filter(|words| !words.is_empty()).cloned().collect()
}

/// The phrases by which Google's words are known. What they stand beside is in docs.md.
const PHRASES: &[(&[&str], Cause)] = &[
    // <https://cloud.google.com/run/docs/troubleshooting#container-memory-limit>
    (&["memory limit", "out-of-memory", "out of memory", "too much memory"], Cause::OutOfMemory),
    // <https://cloud.google.com/run/docs/configuring/task-timeout>
    (&["maximum timeout", "task timeout", "timed out", "timeout was reached", "exceeded its timeout"], Cause::TimedOut),
    // <https://cloud.google.com/run/docs/troubleshooting#image-not-found>
    (&["image '", "image \"", "pull image", "pulling image", "container image", "image not found"], Cause::ImagePull),
    // <https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start>
    (
        &[
            "failed to start",
            "failed to load",
            "no such file",
            "not executable",
            "exec format",
            "invalid command",
            "permission denied",
        ],
        Cause::Invalid,
    ),
    (&["quota"], Cause::Quota),
    // <https://cloud.google.com/run/docs/troubleshooting#no-available-instance>
    (
        &[
            "no available instance",
            "insufficient capacity",
            "not enough capacity",
            "resource is exhausted",
            "out of capacity",
        ],
        Cause::Capacity,
    ),
];

/// The cause that Google's words tell of.
fn cause_of_words(words: &str) -> Option<Cause> {
    let words = words.to_ascii_lowercase();
    let told = |(phrases, _): &&(&[&str], Cause)| phrases.iter().any(|phrase| words.contains(phrase));
    PHRASES.iter().find(told).map(|(_, cause)| *cause)
}

fn facts(execution: &Execution, attempt: &AttemptResult, mut evidence: Evidence) -> Evidence {
    let counts = [
        ("succeededCount", execution.succeeded_count),
        ("failedCount", execution.failed_count),
        ("cancelledCount", execution.cancelled_count),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        evidence = evidence.with_fact(name, count);
    }
    let condition = completed(&execution.conditions);
    let reasons =
        condition.into_iter().flat_map(|it| [("reason", &it.reason), ("executionReason", &it.execution_reason)]);
    for (name, reason) in reasons.filter_map(|(name, reason)| Some((name, reason.as_ref()?))) {
        evidence = evidence.with_fact(name, reason);
    }
    let numbers = [("exitCode", attempt.exit_code), ("termSignal", attempt.term_signal)];
    for (name, number) in numbers.into_iter().filter_map(|(name, number)| Some((name, number?))) {
        evidence = evidence.with_fact(name, number);
    }
    match attempt.status.as_ref().filter(|status| status.code != 0) {
        Some(status) => evidence.with_fact("status", status.code),
        None => evidence,
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
