//! The contract of Longshore: what a container job is, what a place that runs one promises, and what is
//! convenient on top of that.
//!
//! Begin with [`ContainerExecutor`], the trait that every place fulfils; [`JobTemplate`] and [`ContainerJob`],
//! what is asked of it; and [`Runner`], which takes one job through the whole of it.

pub mod clock;
pub mod layers;
pub mod price;
pub mod registry;
pub mod route;
#[cfg(feature = "rules")]
pub mod rules;
#[cfg(feature = "testing")]
pub mod testing;

mod allow;
mod capability;
mod error;
mod executor;
mod harvest;
mod host;
mod ids;
mod job;
mod launch;
mod logs;
mod nearest;
mod plan;
mod registry_login;
mod run;
mod secrets;
mod section;
mod signal;
mod status;
mod text;
mod units;
mod violation;

pub use allow::Allow;
pub use capability::{Capabilities, Capability, LaunchIdempotency};
pub use clock::{Clock, SystemClock, TokioClock};
pub use error::{Advice, Error, ErrorKind, Result, chain};
pub use executor::{ContainerExecutor, EventStream, ExecutionEvent, PrepareProgress, Progress};
pub use harvest::{Artifact, Harvest, LogSummary, Measured, StoredDuration, Usage};
pub use host::{ExecutionHost, Finding, Health, HostFacts};
pub use ids::{ContainerName, ExecutorType, HostName, JobId, LaunchToken, Owner};
pub use job::{
    CheckedJob, ContainerJob, Demand, EnvName, EnvVar, GpuRequest, GroupMembership, ImageFormat, ImageReference,
    ImageSource, JobName, JobOverrides, JobTemplate, LabelKey, LabelValue, LocalImage, Mount, MountSource, Network,
    NetworkAlias, NetworkName, Placement, Platform, PreferredExecutor, Principal, Priority, PullPolicy, Region,
    RegistryCredentials, Residency, Resources, RetryOn, RetryPolicy, SecretBinding, SecretDelivery, SecretName,
    SecretReference, SecurityProfile, Tmpfs, VolumeName,
};
pub use launch::{ExecutionHandle, LaunchRequest, LaunchSearch, OwnedExecution};
pub use logs::{LogCompleteness, LogCursor, LogPage, LogQuery, LogRecord, LogStream};
pub use nearest::{nearest, suggestion};
pub use plan::{Grant, HostSettings, Plan};
pub use registry::{ExecutorContext, ExecutorKind, ExecutorRegistry};
pub use registry_login::{RegistryIdentity, RegistryLogin, RegistryLogins, find_logins};
pub use run::{
    CapturedLogs, Cleanup, DEFAULT_GRACE, Launched, LogDelivery, Patience, RunEvent, RunObserver, RunOutcome, Runner,
    StopLevel, StopSwitch, follow_logs, launch_once, run, wait,
};
pub use secrets::{LocalSecrets, SecretResolver, secret_variable};
pub use section::read_section;
pub use signal::Signal;
pub use status::{Cause, Evidence, ExecutionStatus, JobStatus, StopReason, StopRequest, Termination};
pub use units::{ByteSize, Cpu};
pub use violation::{Violation, Violations};

/// What implementations of the traits here are written with, so that nobody has to find the same version again.
pub use {async_trait::async_trait, bytes::Bytes, jiff::Timestamp};
