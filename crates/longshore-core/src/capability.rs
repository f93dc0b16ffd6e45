//! What an executor can do, by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, time::Duration};

use crate::units::duration;

/// Something that a job may demand or a caller may rely on, and that an executor has or has not.
///
/// A new demand of the job model gets a new name here. An executor that does not know it can't declare it,
/// so core refuses the job before the executor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Capability {
    /// Runs images that a registry serves.
    RegistryImages,
    /// Runs images from the archives that `docker save` writes.
    DockerArchives,
    /// Runs images from OCI layouts in archives.
    OciArchives,
    /// Runs images from OCI layouts in folders.
    OciLayouts,
    /// Runs what lies unpacked in a folder.
    RootFolders,
    /// Fetches the image before every launch on demand.
    PullAlways,
    /// Refuses to fetch an image on demand.
    PullNever,
    /// Uses credentials for the image's registry that the job names.
    RegistryCredentials,
    /// Runs images of a platform that the job names.
    Platform,
    /// Replaces the image's entrypoint.
    Entrypoint,
    /// Replaces the image's command.
    Command,
    /// Sets environment variables.
    Environment,
    /// Delivers secrets as files.
    SecretFiles,
    /// Delivers secrets as environment variables.
    SecretVariables,
    /// Sets the working directory.
    WorkingDirectory,
    /// Sets the user.
    User,
    /// Runs without a network.
    NetworkNone,
    /// Runs on a private network with a way out.
    NetworkPrivate,
    /// Runs on the host's network.
    NetworkHost,
    /// Joins a network of the host by name.
    NetworkNamed,
    /// Gives the container further names on its network.
    NetworkAliases,
    /// Mounts folders of the host.
    BindMounts,
    /// Mounts named volumes.
    Volumes,
    /// Mounts scratch space in memory.
    Tmpfs,
    /// Keeps the job's labels on what it creates.
    Labels,
    /// Limits memory.
    MemoryLimit,
    /// Limits CPU.
    CpuLimit,
    /// Provides graphics processors.
    Gpu,
    /// Limits ephemeral storage.
    EphemeralStorage,
    /// Limits the number of processes.
    PidsLimit,
    /// Uses a stop signal that the job names.
    StopSignal,
    /// Gives a stopped job time before the kill.
    StopGrace,
    /// Holds a container under the hardened profile.
    HardenedProfile,
    /// Runs a container under the platform's own profile.
    PlatformProfile,
    /// Stops a running execution.
    Stop,
    /// Tells apart an exit code above 128 and a death by signal.
    SignalEvidence,
    /// Tells that a process was killed for want of memory.
    OutOfMemoryEvidence,
    /// Keeps stdout and stderr apart.
    SeparateStreams,
    /// Stamps log records with the time of their writing.
    LogTimestamps,
    /// Keeps every byte of the log, whatever it is.
    BinaryLogs,
    /// Sends events about its executions.
    Events,
    /// Lists what an owner has created.
    ListOwned,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let debug = format!("{self:?}");
        let mut name = String::with_capacity(debug.len() + 4);
        for (at, c) in debug.char_indices() {
            if at > 0 && c.is_ascii_uppercase() {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
        }
        f.pad(&name)
    }
}

/// How an executor makes sure that one token is launched once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LaunchIdempotency {
    /// A provider-side name refuses a twin for as long as the execution is not cleaned up.
    ByKey,
    /// The same request re-sent to the byte gives the same execution, within the window.
    ByToken {
        /// How long the provider remembers a token.
        #[serde(with = "duration::required")]
        #[schemars(with = "String")]
        window: Duration,
    },
    /// The provider has neither: a launch whose answer was lost may stay unprovable.
    BestEffort,
}

/// What an executor can do, and how its launch is idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Capabilities {
    /// What it can do.
    pub supported: BTreeSet<Capability>,
    /// How one token is launched once.
    pub launch: LaunchIdempotency,
}

impl Capabilities {
    /// The given capabilities and no other.
    pub fn new(launch: LaunchIdempotency, supported: impl IntoIterator<Item = Capability>) -> Self {
        Self { supported: supported.into_iter().collect(), launch }
    }

    /// True when the capability is declared.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.supported.contains(&capability)
    }

    /// The same without the given capability.
    #[must_use]
    pub fn without(mut self, capability: Capability) -> Self {
        self.supported.remove(&capability);
        self
    }
}
