//! What a rule, a default or a wish points at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::{ExecutionHost, ExecutorType, HostName};

/// Where jobs are sent: a host by its name, or whichever host of a kind the policy chooses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Target {
    /// One host.
    Host(HostName),
    /// Any host of a kind of executor.
    Executor(ExecutorType),
    /// Any host.
    Anywhere,
}

impl Target {
    /// What a name means that somebody typed: a host of that name, else a kind of executor that one of the hosts has.
    pub fn of_name<'a>(name: &str, hosts: impl Iterator<Item = &'a ExecutionHost> + Clone) -> Option<Self> {
        let host = hosts.clone().find(|host| host.name.as_str() == name).map(|host| Self::Host(host.name.clone()));
        let mut kinds = hosts.map(|host| &host.executor_type);
        host.or_else(|| kinds.find(|kind| kind.as_str() == name).cloned().map(Self::Executor))
    }

    /// Whether the host is one that the target points at.
    #[must_use]
    pub fn covers(&self, host: &ExecutionHost) -> bool {
        match self {
            Self::Host(name) => host.name == *name,
            Self::Executor(kind) => host.executor_type == *kind,
            Self::Anywhere => true,
        }
    }

    /// Whether the target names the one host that it means.
    pub(super) const fn is_by_name(&self) -> bool {
        matches!(self, Self::Host(_))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => write!(f, "host {name}"),
            Self::Executor(kind) => write!(f, "executor {kind}"),
            Self::Anywhere => f.write_str("any host"),
        }
    }
}
