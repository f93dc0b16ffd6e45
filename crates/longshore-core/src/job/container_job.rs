//! One requested run.

use bon::Builder;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use super::{EnvVar, JobTemplate, LabelKey, LabelValue, Priority, Resources, RetryPolicy};
use crate::{HostName, JobId, units::duration};

/// One requested run: a template, what this run changes in it, and who asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ContainerJob {
    /// The job's id, which also tells when it was made.
    pub id: JobId,
    /// What to run.
    pub template: JobTemplate,
    /// What this run changes in the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<JobOverrides>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Principal>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Where its author would like it to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_executor: Option<PreferredExecutor>,
    /// Its place in the group of jobs that it is one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupMembership>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "is_default")]
    #[builder(default)]
    pub priority: Priority,
    /// After which ends it is run again; absent, it is run once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// How long it may wait for a place; then it has timed out without having run. Absent, for as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub queue_timeout: Option<Duration>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ContainerJob {
    /// A run of the template as it is.
    #[must_use]
    pub fn new(template: JobTemplate, created_at: Timestamp) -> Self {
        Self::builder().id(JobId::new(created_at)).template(template).created_at(created_at).build()
    }

    /// The template with this run's changes applied.
    #[must_use]
    pub fn resolved_template(&self) -> Cow<'_, JobTemplate> {
        let Some(overrides) = &self.overrides else { return Cow::Borrowed(&self.template) };
        let mut template = self.template.clone();
        overrides.apply(&mut template);
        Cow::Owned(template)
    }
}

/// What one run changes in its template. What is absent stays as the template has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JobOverrides {
    /// Replaces the template's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(with = FromIterator::from_iter)]
    pub command: Option<Vec<String>>,
    /// Replaces the template's arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(with = FromIterator::from_iter)]
    pub args: Option<Vec<String>>,
    /// Variables that are added, or replace the template's of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub env: Vec<EnvVar>,
    /// Labels that are added, or replace the template's of the same key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Resources; each that is given replaces the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Replaces the template's run timeout.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub run_timeout: Option<Duration>,
}

impl JobOverrides {
    fn apply(&self, template: &mut JobTemplate) {
        let Self { command, args, env, labels, resources, run_timeout } = self.clone();
        template.command = command.or_else(|| template.command.take());
        template.args = args.unwrap_or_else(|| std::mem::take(&mut template.args));
        template.env.retain(|variable| env.iter().all(|new| new.name != variable.name));
        template.env.extend(env);
        template.labels.extend(labels);
        template.run_timeout = run_timeout.or(template.run_timeout);
        let Some(new) = resources else { return };
        let old = std::mem::take(&mut template.resources);
        template.resources = Resources {
            memory: new.memory.or(old.memory),
            cpu: new.cpu.or(old.cpu),
            gpu: new.gpu.or(old.gpu),
            ephemeral_storage: new.ephemeral_storage.or(old.ephemeral_storage),
            pids: new.pids.or(old.pids),
        };
    }
}

/// Somebody who asks for jobs: a name and groups, for routing rules and for the record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Principal {
    /// The user's name.
    #[builder(into)]
    pub name: String,
    /// The groups that the user is a member of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub groups: Vec<String>,
}

/// Where a job's author would like it to run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PreferredExecutor {
    /// The host.
    pub host: HostName,
    /// True when nowhere else will do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[builder(default)]
    pub required: bool,
}

/// A job's place in a group: a job array is as many jobs as it has members.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GroupMembership {
    /// The group's id.
    pub id: uuid::Uuid,
    /// The job's index in it, from 0.
    pub index: u32,
}
