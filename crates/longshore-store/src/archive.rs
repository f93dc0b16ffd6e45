//! Jobs as they leave one store for another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AttemptRecord, JobEvent, JobRecord};

/// A job with everything that is kept of it, except the parts of its log that are kept elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct JobArchive {
    /// The job.
    pub job: JobRecord,
    /// Its attempts, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRecord>,
    /// Its history, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<JobEvent>,
}

impl JobArchive {
    /// A job and what is kept of it.
    #[must_use]
    pub const fn new(job: JobRecord, attempts: Vec<AttemptRecord>, events: Vec<JobEvent>) -> Self {
        Self { job, attempts, events }
    }
}
