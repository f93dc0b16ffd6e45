//! What people ask of jobs and hosts.

use longshore_core::{HostName, Priority};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Request;

/// What somebody asks of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Intervention {
    /// It is to end. A pending job ends at once; one that runs is stopped by whoever holds it.
    Cancel,
    /// It is to count as lost. What is seen of it later is stopped and removed, never revived.
    SettleLost,
    /// It is to wait with another priority.
    Reprioritize(Priority),
}

/// A pause of one host, or of everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Pause {
    /// The host; absent, every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Who asked for it, when, and why.
    pub request: Request,
}

impl Pause {
    /// A pause.
    #[must_use]
    pub const fn new(host: Option<HostName>, request: Request) -> Self {
        Self { host, request }
    }
}
