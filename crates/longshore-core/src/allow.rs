//! What the operator of a host lets jobs reach beyond their own container.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{Error, ErrorKind, JobTemplate, Mount, MountSource, Network, Result, SecurityProfile};

/// What the operator of a host allows to jobs. By default nothing of the host is within their reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Allow {
    /// Folders of the host that jobs may mount, with all that is below them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub bind_mounts: BTreeSet<PathBuf>,
    /// Named volumes that jobs may mount.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Networks of the host that jobs may join by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub networks: BTreeSet<String>,
    /// Whether jobs may use the host's own network.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub host_network: bool,
    /// Whether jobs may run under the platform's own security profile instead of Longshore's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub platform_profile: bool,
    /// Capabilities of the kernel, such as `NET_RAW`, that jobs may add to the default profile.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<String>,
    /// OCI runtimes of the host that jobs may choose.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub runtimes: BTreeSet<String>,
    /// Folders of the host whose image archives, layouts and root folders jobs may run, with all that is below them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub image_folders: BTreeSet<PathBuf>,
}

impl Allow {
    /// Checks what a template asks of the host against what is allowed. What only one kind of executor knows of a
    /// job (`capabilities`, `runtimes`), that executor checks.
    ///
    /// # Errors
    /// `Unsupported`, naming the field and what the operator would have to allow.
    pub fn check(&self, template: &JobTemplate) -> Result<()> {
        template.mounts.iter().try_for_each(|mount| self.check_mount(mount))?;
        if let Some(local) =
            template.image.local().filter(|local| !is_within(Path::new(local.path()), &self.image_folders))
        {
            let way_out = "its folder, or one above it, in allow.image_folders";
            return Err(Self::refusal("image", &local.to_string(), way_out));
        }
        match &template.network {
            Some(Network::Host) if !self.host_network => {
                return Err(Self::refusal("network", "host", "allow.host_network = true"));
            }
            Some(Network::Named(name)) if !self.networks.contains(name.as_str()) => {
                return Err(Self::refusal("network", name.as_str(), "the network's name in allow.networks"));
            }
            _ => {}
        }
        if template.security == SecurityProfile::Platform && !self.platform_profile {
            return Err(Self::refusal("security", "platform", "allow.platform_profile = true"));
        }
        Ok(())
    }

    fn check_mount(&self, mount: &Mount) -> Result<()> {
        match &mount.source {
            MountSource::Bind(path) if is_within(Path::new(path), &self.bind_mounts) => Ok(()),
            MountSource::Bind(path) => {
                Err(Self::refusal("mounts", path, "the folder, or one above it, in allow.bind_mounts"))
            }
            MountSource::Volume(name) if self.volumes.contains(name.as_str()) => Ok(()),
            MountSource::Volume(name) => {
                Err(Self::refusal("mounts", name.as_str(), "the volume's name in allow.volumes"))
            }
        }
    }

    /// The refusal of what is not allowed, and what would allow it.
    #[must_use]
    pub fn refusal(field: &str, value: &str, way_out: &str) -> Error {
        let message =
            format!("{field} = {value:?} is not allowed on this host; its operator can allow it with {way_out}");
        Error::new(ErrorKind::Unsupported, message).with_operation("plan")
    }
}

/// Whether the path is one of the folders or below one. Both are plain: neither has `..` in it.
fn is_within(path: &Path, folders: &BTreeSet<PathBuf>) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}
