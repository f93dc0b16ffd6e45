//! Secrets by reference: a job names where a value is kept, never the value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::{
    EnvName, Violation,
    ids::{NameRule, parsed_name},
    text::text_serde,
};

fn first(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn rest(c: char) -> bool {
    first(c) || matches!(c, '.' | '-')
}

parsed_name! {
    /// The name under which a job finds a secret: its file's name or its variable's.
    SecretName, NameRule {
        field: "secret name",
        rule: "use 1 to 128 letters, digits, `_`, `.` and `-`, beginning with a letter, digit or `_`",
        pattern: "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$",
        longest: 128,
        first,
        rest,
    }
}

/// Where a secret's value is kept.
///
/// Written as `env:NAME` (a variable of the launching program), `file:PATH` (a file that the launching program
/// can read) or `provider:REFERENCE` (the provider's own secret store, resolved there).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SecretReference {
    /// A variable in the environment of the program that launches.
    Env(EnvName),
    /// A file that the program that launches can read.
    File(String),
    /// An entry of the provider's own secret store, in the provider's notation.
    Provider(String),
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => f.pad(&format!("env:{name}")),
            Self::File(path) => f.pad(&format!("file:{path}")),
            Self::Provider(reference) => f.pad(&format!("provider:{reference}")),
        }
    }
}

impl FromStr for SecretReference {
    type Err = Violation;

    /// What does not parse is not shown: somebody may have written the secret itself.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            Violation::new(
                "secret reference",
                "(not shown)",
                "write env:NAME, file:PATH or provider:REFERENCE; a value is never given in place of a reference",
            )
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        match scheme {
            _ if rest.is_empty() || rest.contains('\0') => Err(wrong()),
            "env" => Ok(Self::Env(EnvName::new(rest).map_err(|_| wrong())?)),
            "file" => Ok(Self::File(rest.to_owned())),
            "provider" => Ok(Self::Provider(rest.to_owned())),
            _ => Err(wrong()),
        }
    }
}

text_serde!(SecretReference, "env:NAME, file:PATH or provider:REFERENCE.");

/// How a secret reaches the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SecretDelivery {
    /// A file below `/run/secrets`, named after the secret.
    #[default]
    File,
    /// An environment variable, named after the secret. Readable by whoever administers most platforms.
    Env,
}

/// One secret of a job: its name there, where its value is kept, how it is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SecretBinding {
    /// The file's or variable's name.
    pub name: SecretName,
    /// Where the value is kept.
    pub reference: SecretReference,
    /// How the value reaches the job.
    #[serde(default, skip_serializing_if = "is_file")]
    pub delivery: SecretDelivery,
}

fn is_file(delivery: &SecretDelivery) -> bool {
    *delivery == SecretDelivery::File
}

impl SecretBinding {
    /// A secret delivered as a file below `/run/secrets`.
    #[must_use]
    pub const fn file(name: SecretName, reference: SecretReference) -> Self {
        Self { name, reference, delivery: SecretDelivery::File }
    }

    /// A secret delivered as an environment variable.
    #[must_use]
    pub const fn env(name: SecretName, reference: SecretReference) -> Self {
        Self { name, reference, delivery: SecretDelivery::Env }
    }
}
