//! How tightly a container is held.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::Violation;

/// How tightly a container is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SecurityProfile {
    /// No new privileges, the dangerous capabilities dropped, a limit on processes, the default seccomp
    /// filter, no host namespaces: what an ordinary image runs under without noticing.
    #[default]
    Default,
    /// The default, and: a user that is not root, no capability at all, a read-only root with a small `/tmp`.
    Hardened,
    /// What the platform itself does by default, with nothing of Longshore's. Only where the operator of the
    /// host allows it by name.
    Platform,
}

impl fmt::Display for SecurityProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Default => "default",
            Self::Hardened => "hardened",
            Self::Platform => "platform",
        })
    }
}

impl FromStr for SecurityProfile {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Default, Self::Hardened, Self::Platform]
            .into_iter()
            .find(|profile| profile.to_string() == text)
            .ok_or_else(|| Violation::new("security profile", text, "use `default`, `hardened` or `platform`"))
    }
}
