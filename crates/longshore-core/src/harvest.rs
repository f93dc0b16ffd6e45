//! The final truth of an execution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::{ByteSize, LogCompleteness, Termination, units::duration};

/// The final truth of an execution. Harvesting again gives the same, until cleanup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Harvest {
    /// How it ended.
    pub termination: Termination,
    /// What the log holds.
    pub logs: LogSummary,
    /// What it used.
    pub usage: Usage,
    /// Files that it left as results. No executor collects any yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
}

impl Harvest {
    /// A harvest without artifacts.
    #[must_use]
    pub const fn new(termination: Termination, logs: LogSummary, usage: Usage) -> Self {
        Self { termination, logs, usage, artifacts: Vec::new() }
    }
}

/// What a finished log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct LogSummary {
    /// How much of what the program wrote is there.
    pub completeness: LogCompleteness,
    /// How many bytes of it are stdout's.
    pub stdout_bytes: u64,
    /// How many bytes of it are stderr's.
    pub stderr_bytes: u64,
}

impl LogSummary {
    /// What a finished log holds.
    #[must_use]
    pub const fn new(completeness: LogCompleteness, stdout_bytes: u64, stderr_bytes: u64) -> Self {
        Self { completeness, stdout_bytes, stderr_bytes }
    }
}

/// What an execution used. Wall time is always there; the rest where the provider tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Usage {
    /// From its start to its end.
    #[serde(with = "duration::required")]
    #[schemars(with = "String")]
    pub wall_time: Duration,
    /// The CPU time of all its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_time: Option<Measured<StoredDuration>>,
    /// The most memory that it had at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<Measured<ByteSize>>,
    /// Bytes received over its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_received: Option<Measured<u64>>,
    /// Bytes sent over its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_sent: Option<Measured<u64>>,
}

impl Usage {
    /// Only the wall time is known.
    #[must_use]
    pub fn of_wall_time(wall_time: Duration) -> Self {
        Self { wall_time, ..Self::default() }
    }
}

/// A figure, and how it was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Measured<T> {
    /// The platform counted it to the end.
    Measured(T),
    /// The last of samples that were taken while it ran; the truth may be higher.
    Sampled(T),
}

impl<T> Measured<T> {
    /// The figure alone.
    pub const fn value(&self) -> &T {
        match self {
            Self::Measured(value) | Self::Sampled(value) => value,
        }
    }
}

/// A duration, stored as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StoredDuration(
    /// The duration itself.
    #[serde(with = "duration::required")]
    #[schemars(with = "String")]
    pub Duration,
);

/// A file that an execution left as a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Artifact {
    /// The name under which the job declared it.
    pub name: String,
    /// Where it can be fetched.
    pub location: String,
    /// Its size in bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}
