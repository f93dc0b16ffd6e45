//! The job model: what a user asks for, as types in which the wrong thing can't be said.

mod container_job;
mod demands;
mod env;
mod image;
mod mounts;
mod network;
mod placement;
mod platform;
mod resources;
mod retry;
mod secrets;
mod security;
mod template;

pub use container_job::{ContainerJob, GroupMembership, JobOverrides, PreferredExecutor, Principal};
pub use demands::{CheckedJob, Demand};
pub use env::{EnvName, EnvVar};
pub use image::{ImageFormat, ImageReference, ImageSource, LocalImage, PullPolicy, RegistryCredentials};
pub use mounts::{Mount, MountSource, Tmpfs, VolumeName};
pub use network::{Network, NetworkAlias, NetworkName};
pub use placement::{Placement, Region, Residency};
pub use platform::Platform;
pub use resources::{GpuRequest, Resources};
pub use retry::{Priority, RetryOn, RetryPolicy};
pub use secrets::{SecretBinding, SecretDelivery, SecretName, SecretReference};
pub use security::SecurityProfile;
pub use template::{JobName, JobTemplate, LabelKey, LabelValue};
