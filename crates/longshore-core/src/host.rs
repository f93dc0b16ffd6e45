//! A configured place to run, and what its executor has found out about it.

use bon::Builder;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, num::NonZeroU32};

use crate::{
    Allow, ByteSize, Cpu, Error, ErrorKind, ExecutorType, HostName, LabelKey, LabelValue, Platform, Region, Residency,
    Result,
};

/// One configured place to run. One executor instance serves one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExecutionHost {
    /// Its name.
    pub name: HostName,
    /// The kind of executor that serves it.
    pub executor_type: ExecutorType,
    /// That executor's own settings, checked by its schema.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[builder(default)]
    pub executor_config: serde_json::Value,
    /// False when nothing new may be launched there.
    #[serde(default = "enabled", skip_serializing_if = "Clone::clone")]
    #[builder(default = true)]
    pub enabled: bool,
    /// How many jobs may run there at one time; absent, as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_jobs: Option<NonZeroU32>,
    /// Its share among equals; zero is reachable by name only.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[builder(default = 1)]
    pub weight: u32,
    /// Where it stands, in its provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Under whose law data stays there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residency: Option<Residency>,
    /// Labels for rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// What jobs may reach there beyond their own container.
    #[serde(default, skip_serializing_if = "is_default")]
    #[builder(default)]
    pub allow: Allow,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn enabled() -> bool {
    true
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_one(weight: &u32) -> bool {
    *weight == 1
}

/// What a host's executor has found out about it, and keeps fresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Builder)]
#[non_exhaustive]
pub struct HostFacts {
    /// When this was found out.
    pub discovered_at: Timestamp,
    /// What answers there: product and version.
    #[builder(into)]
    pub engine: String,
    /// The platforms whose images it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub platforms: Vec<Platform>,
    /// The most CPU that one job can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// The most memory that one job can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Whatever else is worth showing to a person.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub details: BTreeMap<String, String>,
}

/// What a look at a host's health found. That it could not be looked at is an error, not a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Health {
    /// What was looked at, in the order in which a person would.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// True when it is as it should be.
    pub good: bool,
    /// What was found; when it is not good, also what to do.
    pub detail: String,
}

impl Health {
    /// The findings of a look.
    #[must_use]
    pub const fn new(findings: Vec<Finding>) -> Self {
        Self { findings }
    }

    /// What is not good, if anything is.
    ///
    /// # Errors
    /// `Unavailable`, naming every finding that is not good.
    pub fn into_result(self) -> Result<()> {
        let bad = self.findings.iter().filter(|finding| !finding.good);
        let bad: Vec<String> = bad.map(|finding| format!("{}: {}", finding.subject, finding.detail)).collect();
        if bad.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, bad.join("; ")).with_operation("check_health"))
    }

    /// True when every finding is good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.good)
    }
}

impl Finding {
    /// One finding.
    pub fn new(subject: impl Into<String>, good: bool, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), good, detail: detail.into() }
    }
}
