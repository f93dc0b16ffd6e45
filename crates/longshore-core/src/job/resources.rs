//! What a job needs of a machine, in typed units.

use bon::Builder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

use crate::{ByteSize, Cpu};

/// The resources that a job asks for. What is absent is left to the host's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Resources {
    /// The memory limit; what exceeds it is killed as out of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// The CPU limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// The graphics processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuRequest>,
    /// Writable storage that ends with the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<ByteSize>,
    /// The largest number of processes and threads at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<NonZeroU32>,
}

/// Graphics processors.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GpuRequest {
    /// How many.
    pub count: NonZeroU32,
    /// The maker, in lower case: `nvidia`, `amd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(into)]
    pub vendor: Option<String>,
    /// The model as the provider names it: `nvidia-l4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(into)]
    pub model: Option<String>,
    /// The least memory of each one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_memory: Option<ByteSize>,
}
