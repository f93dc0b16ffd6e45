//! What an executor will do for a job: asked, granted, dropped; decided before anything is launched.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CheckedJob, ContainerExecutor, ExecutorType, HostName, JobTemplate};

/// What an executor will do for a job: the whole of what it will send, and what became of each demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Plan {
    /// The kind of executor that made the plan.
    pub executor_type: ExecutorType,
    /// The host that it is for.
    pub host: HostName,
    /// The template as it will be launched: overrides applied, resources rounded to what the provider can give.
    pub template: JobTemplate,
    /// What became of each demand.
    pub grants: Vec<Grant>,
    /// What the user should know, such as who can read a delivered secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// The host's own settings at the time of the plan.
    pub host_settings: HostSettings,
    /// Whether it runs on capacity that the provider can take away at any time. Set by executors that launch on such
    /// capacity; its price differs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub spot: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What became of one demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Grant {
    /// The field of the template.
    pub field: String,
    /// What was asked for; absent for what the host adds by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What is given; absent when the demand is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<String>,
    /// Why it is not what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The host's settings, frozen into a plan so that re-sending its launch is the same to the byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct HostSettings {
    /// The version of their form; the executor reads its older ones.
    pub version: u32,
    /// The settings, which only their executor reads.
    pub settings: serde_json::Value,
}

impl HostSettings {
    /// Settings in the given version of their form.
    #[must_use]
    pub const fn new(version: u32, settings: serde_json::Value) -> Self {
        Self { version, settings }
    }
}

impl Grant {
    pub(crate) fn as_asked(field: &str, asked: &str) -> Self {
        Self { field: field.to_owned(), asked: Some(asked.to_owned()), granted: Some(asked.to_owned()), reason: None }
    }
}

impl Plan {
    /// A plan that grants everything as asked.
    #[must_use]
    pub fn granting(job: &CheckedJob<'_>, executor: &dyn ContainerExecutor, host_settings: HostSettings) -> Self {
        Self {
            executor_type: executor.executor_type().clone(),
            host: executor.host().clone(),
            template: job.template().clone(),
            grants: job.grants(),
            notices: Vec::new(),
            host_settings,
            spot: false,
        }
    }

    /// Grants something else than was asked, or adds what was not asked for, and says why.
    pub fn adjust(&mut self, field: &str, granted: impl ToString, reason: impl Into<String>) {
        self.settle(field, Some(granted.to_string()), reason.into());
    }

    /// Drops a demand that the job can do without, and says why.
    pub fn drop_demand(&mut self, field: &str, reason: impl Into<String>) {
        self.settle(field, None, reason.into());
    }

    /// Adds something that the user should know.
    pub fn notice(&mut self, text: impl Into<String>) {
        self.notices.push(text.into());
    }

    fn settle(&mut self, field: &str, granted: Option<String>, reason: String) {
        let mut known = false;
        for grant in self.grants.iter_mut().filter(|grant| grant.field == field) {
            known = true;
            grant.granted.clone_from(&granted);
            grant.reason = Some(reason.clone());
        }
        if !known {
            self.grants.push(Grant { field: field.to_owned(), asked: None, granted, reason: Some(reason) });
        }
    }
}
