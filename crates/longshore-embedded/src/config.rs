//! How a host with the embedded runtime is configured.

use longshore_core::{ByteSize, Result, read_section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// The settings of one embedded host. Everything has a default: an empty section is this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// Where images and executions are kept, a path of its own; absent, `embedded` in the program's state folder. Hosts
    /// and programs may share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// The program that is executed to look after containers; absent, this program itself where it calls `supervise`
    /// first in its `main`, else `longshore` on `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<PathBuf>,
    /// The control group, below the root of each hierarchy, in which containers get groups of their own. Absent:
    /// `/longshore` for root. Another user needs one that was delegated to it, and has no limits otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<PathBuf>,
    /// The program that gives `private` networks a way out, by its path: `…/slirp4netns` or `…/pasta`. Absent: whichever
    /// of them is on `PATH`, in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_helper: Option<PathBuf>,
    /// How an image's layers become a container's root.
    pub root_filesystem: RootFilesystem,
    /// How many bytes unpacked images may take before those used longest ago are removed.
    pub image_cache: ByteSize,
    /// How many bytes of a job's log are kept when the job does not say.
    pub log_cap: ByteSize,
    /// The most processes of a job that does not say.
    pub pids_limit: u32,
    /// Docker's own configuration file, whose registry credentials are used for images; absent,
    /// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_config: Option<PathBuf>,
}

/// How an image's layers become a container's root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RootFilesystem {
    /// By overlayfs where the machine has it, else by copying.
    #[default]
    Auto,
    /// By overlayfs: shared between containers, mounted in no time.
    Overlay,
    /// By copying all of the image for each container.
    Copy,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            state_dir: None,
            supervisor: None,
            cgroup_parent: None,
            network_helper: None,
            root_filesystem: RootFilesystem::Auto,
            image_cache: ByteSize::from_mib(20 << 10),
            log_cap: ByteSize::from_mib(64),
            pids_limit: 4096,
            docker_config: None,
        }
    }
}

/// What only the embedded runtime knows of a job: the template's `executor_options.embedded` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// The size of `/dev/shm`; absent, 64 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<ByteSize>,
    /// The container's host name; absent, the end of the job's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Capabilities added to the default profile, where the host's operator allows them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub add_capabilities: BTreeSet<String>,
}

impl EmbeddedConfig {
    /// Reads a host's `executor_config`; nothing at all is the default.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is unknown or wrong.
    pub fn from_value(value: &serde_json::Value) -> Result<Self> {
        read_section(value, "executor_config")
    }
}

impl EmbeddedOptions {
    /// Reads a job's `executor_options.embedded`; nothing at all is the default.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is unknown or wrong.
    pub fn from_value(value: Option<&serde_json::Value>) -> Result<Self> {
        value.map_or_else(|| Ok(Self::default()), |value| read_section(value, "executor_options.embedded"))
    }
}
