//! What a client is told.

use longshore::{
    Advice, Cleanup, ContainerJob, Error, ErrorKind, JobId, JobName, JobStatus, LogCompleteness, LogDelivery,
    RunOutcome, Termination,
};
use serde::Serialize;

/// What a client is told of a job.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Identifies the job.
    pub id: JobId,
    /// The name that its template has.
    pub name: JobName,
    /// Where it stands. Once it is terminal, its container is removed, unless the error says otherwise.
    pub status: JobStatus,
    /// How its program ended, with the evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination: Option<Termination>,
    /// Whether its log is all there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogCompleteness>,
    /// Why there is no such end to tell of, or why its container is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Report {
    pub(crate) fn of(job: &ContainerJob) -> Self {
        let name = job.template.name.clone();
        Self { id: job.id, name, status: JobStatus::Pending, termination: None, logs: None, error: None }
    }

    pub(crate) fn learn(&mut self, outcome: RunOutcome) {
        self.status = outcome.status;
        self.termination = outcome.termination().cloned();
        self.logs = match outcome.logs {
            LogDelivery::Delivered(completeness) => Some(completeness),
            _ => None,
        };
        self.error = outcome.lost.or(match outcome.cleanup {
            Cleanup::Kept { reason } => Some(format!("its container is kept: {reason}")),
            Cleanup::Failed(error) => Some(format!("its container is still there: {}", error.chain())),
            _ => None,
        });
    }

    /// After a run that could not be taken to its end.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.error = Some(error.chain());
        self.status = match (error.kind(), error.advice(), self.status) {
            (ErrorKind::Cancelled, ..) => JobStatus::Cancelled,
            // It was launched, or may have been, and nobody could find out how it goes on.
            (_, Advice::LookUpFirst, _) | (.., JobStatus::Running) => JobStatus::Lost,
            _ => JobStatus::Failed,
        };
    }
}
