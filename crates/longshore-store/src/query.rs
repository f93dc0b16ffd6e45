//! Looking for jobs.

use bon::Builder;
use jiff::Timestamp;
use longshore_core::{ExecutorType, HostName, JobId, JobStatus, LabelKey, LabelValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::JobRecord;

/// Which jobs, the newest first. What is absent or empty leaves out nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[non_exhaustive]
pub struct JobQuery {
    /// With one of these statuses.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[builder(default, with = FromIterator::from_iter)]
    pub statuses: BTreeSet<JobStatus>,
    /// Whose last attempt is on this host.
    pub host: Option<HostName>,
    /// Whose last attempt is on a host of this kind.
    pub executor: Option<ExecutorType>,
    /// Of the template with this name.
    #[builder(into)]
    pub template: Option<String>,
    /// That this user asked for.
    #[builder(into)]
    pub user: Option<String>,
    /// With all of these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Submitted at this time or later.
    pub since: Option<Timestamp>,
    /// Finished before this time.
    pub finished_before: Option<Timestamp>,
    /// Older than this job: the last one of the page before.
    pub after: Option<JobId>,
    /// How many at most.
    #[builder(default = JobQuery::PAGE)]
    pub limit: usize,
}

impl JobQuery {
    /// How many jobs a page has unless something else is asked.
    pub const PAGE: usize = 100;

    /// Whether a job is one of those asked for, whatever the page.
    #[must_use]
    pub fn matches(&self, record: &JobRecord) -> bool {
        let job = record.job();
        let labels = job.resolved_template();
        let has_label = |(key, value): (&LabelKey, &LabelValue)| labels.labels.get(key) == Some(value);
        (self.statuses.is_empty() || self.statuses.contains(&record.status))
            && self.host.as_ref().is_none_or(|host| record.host.as_ref() == Some(host))
            && self.executor.as_ref().is_none_or(|kind| record.executor_type.as_ref() == Some(kind))
            && self.template.as_ref().is_none_or(|name| job.template.name.as_str() == name)
            && self.user.as_ref().is_none_or(|user| job.created_by.as_ref().is_some_and(|by| by.name == *user))
            && self.labels.iter().all(has_label)
            && self.since.is_none_or(|since| record.submitted_at >= since)
            && self.finished_before.is_none_or(|before| record.finished_at.is_some_and(|at| at < before))
    }
}

/// How many jobs have each status.
pub type StatusCounts = BTreeMap<JobStatus, u64>;
