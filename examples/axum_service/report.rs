//! What a client is told.

use longshore::{
    JobId, JobName, JobStatus, LogCompleteness, Termination,
    store::{AttemptRecord, JobRecord},
};
use serde::Serialize;

/// What a client is told of a job.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Identifies the job.
    pub id: JobId,
    /// The name that its template has.
    pub name: JobName,
    /// Where it stands.
    pub status: JobStatus,
    /// Why, in words: what it waits for, or how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How its program ended, with the evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination: Option<Termination>,
    /// Whether its log is all there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogCompleteness>,
}

impl Report {
    /// A job with its last attempt.
    pub(crate) fn of(record: &JobRecord, last: Option<&AttemptRecord>) -> Self {
        let outcome = last.and_then(|attempt| attempt.outcome.as_ref());
        Self {
            id: record.id(),
            name: record.submission.job.template.name.clone(),
            status: record.status,
            reason: record.reason.clone(),
            termination: outcome.and_then(|outcome| outcome.termination.clone()),
            logs: outcome.and_then(|outcome| outcome.logs.as_ref()).map(|logs| logs.completeness.clone()),
        }
    }
}
