//! What a supervisor is told to do, and what it reports. Both travel through pipes: secrets are in no argument and on
//! no disk.

use jiff::Timestamp;
use longshore_core::{ErrorKind, Mount, Signal, Tmpfs};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, time::Duration};

/// The version of what a supervisor and its launcher say to each other.
pub(crate) const PROTOCOL: u32 = 1;

/// What the launcher says once everything that must be on disk is there: only then is the program executed.
pub(crate) const GO: &str = "go";

/// One container, as it is to be run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) folder: PathBuf,
    pub(crate) rootless: bool,
    /// Until when the program may be started, as [`uptime`] counts; later it is refused.
    pub(crate) start_by: Duration,
    pub(crate) program: Program,
    pub(crate) secrets: Vec<SecretFile>,
    pub(crate) root: Root,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) tmpfs: Vec<Tmpfs>,
    pub(crate) shm_bytes: u64,
    pub(crate) limits: Limits,
    /// The control group's path below each hierarchy's root; absent where there is none of its own.
    pub(crate) cgroup: Option<PathBuf>,
    /// The kernel's names, without `CAP_`.
    pub(crate) capabilities: Vec<String>,
    pub(crate) network: NetworkOrder,
    pub(crate) stop_signal: Signal,
    pub(crate) log_cap: u64,
}

/// How long the machine is up, its sleep included: the same for every process, and nobody sets it.
pub(crate) fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// Hand-written, because variables may hold secrets.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// The program to execute.
#[derive(Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) arguments: Vec<String>,
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
    pub(crate) working_directory: String,
    /// `USER[:GROUP]` by name or number; absent, root.
    pub(crate) user: Option<String>,
    pub(crate) hostname: String,
}

/// A secret that is delivered as a file.
#[derive(Serialize, Deserialize)]
pub(crate) struct SecretFile {
    pub(crate) name: String,
    /// In base64.
    pub(crate) value: String,
}

/// The container's root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Root {
    /// Unpacked layers, the lowest first.
    pub(crate) layers: Vec<PathBuf>,
    /// Locked for as long as the layers are used.
    pub(crate) lock: Option<PathBuf>,
    pub(crate) form: RootForm,
    pub(crate) read_only: bool,
}

/// How layers become a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RootForm {
    /// Mounted over each other; what is written goes into a layer of the container's own.
    Overlay,
    /// Copied, each time.
    Copy,
}

/// What the kernel holds the container to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu_millis: Option<u32>,
    pub(crate) pids: Option<u32>,
}

/// The container's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NetworkOrder {
    /// Nothing but its own loopback.
    None,
    /// The host's.
    Host,
    /// Its own, with a way out through a helper program.
    Private(NetworkHelper),
}

/// A program that gives a network namespace a way out without privileges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NetworkHelper {
    /// passt's `pasta`.
    Pasta(PathBuf),
    /// slirp4netns.
    Slirp(PathBuf),
}

/// What a supervisor says, one a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// It is in a user namespace whose maps can be written now.
    MapMe,
    /// The program has been executed.
    Started {
        /// When.
        at: Timestamp,
    },
    /// Nothing runs, and nothing is left.
    Failed {
        /// Of what kind.
        kind: ErrorKind,
        /// In words.
        message: String,
    },
}
