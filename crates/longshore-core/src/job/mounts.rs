//! What a container sees of the host's storage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ByteSize, Violation,
    ids::{NameRule, parsed_name},
};

fn first(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn rest(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

parsed_name! {
    /// The name of a volume on the host.
    VolumeName, NameRule {
        field: "volume name",
        rule: "use 1 to 128 letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
        pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
        longest: 128,
        first,
        rest,
    }
}

/// Storage of the host at a path of the container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where the container sees it: an absolute path without `.` or `..`.
    pub target: String,
    /// True when the container can't write to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MountSource {
    /// A folder or file of the host, where its operator allows the path.
    Bind(String),
    /// A named volume of the host.
    Volume(VolumeName),
}

impl Mount {
    /// A writable mount.
    pub fn new(source: MountSource, target: impl Into<String>) -> Self {
        Self { source, target: target.into(), read_only: false }
    }

    /// The same mount, read-only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    pub(crate) fn check(&self, found: &mut Vec<Violation>) {
        found.extend(absolute_path("mounts.target", &self.target).err());
        if let MountSource::Bind(path) = &self.source {
            found.extend(absolute_path("mounts.source", path).err());
        }
    }
}

/// Scratch space in memory at a path of the container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tmpfs {
    /// Where the container sees it: an absolute path without `.` or `..`.
    pub target: String,
    /// The most that it holds; counts as the job's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
}

impl Tmpfs {
    /// Scratch space of the given size, or of the platform's default.
    pub fn new(target: impl Into<String>, size: Option<ByteSize>) -> Self {
        Self { target: target.into(), size }
    }

    pub(crate) fn check(&self, found: &mut Vec<Violation>) {
        found.extend(absolute_path("tmpfs.target", &self.target).err());
    }
}

/// A path that means the same whoever reads it.
pub(crate) fn absolute_path(field: &str, path: &str) -> Result<(), Violation> {
    let plain = path.starts_with('/')
        && path.len() > 1
        && !path.contains('\0')
        && !path.split('/').any(|part| part == ".." || part == ".")
        && !path.contains("//");
    if plain {
        Ok(())
    } else {
        Err(Violation::new(field, path, "use an absolute path below `/`, without `.`, `..` or `//`"))
    }
}
