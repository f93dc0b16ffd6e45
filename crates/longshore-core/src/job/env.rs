//! Environment variables as pairs, never as `NAME=VALUE` lines that a newline could split.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{NameRule, parsed_name};

fn env_character(c: char) -> bool {
    c.is_ascii_graphic() && c != '='
}

parsed_name! {
    /// The name of an environment variable.
    EnvName, NameRule {
        field: "environment variable name",
        rule: "use 1 to 256 printable ASCII characters without `=`, spaces or line breaks",
        pattern: "^[!-<>-~]{1,256}$",
        longest: 256,
        first: env_character,
        rest: env_character,
    }
}

/// One environment variable. The value may hold anything but a NUL byte, line breaks included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvVar {
    /// The variable's name.
    pub name: EnvName,
    /// The variable's value. Not for secrets: those are bound by reference.
    pub value: String,
}

impl EnvVar {
    /// A variable with a checked name.
    ///
    /// # Errors
    /// A [`Violation`](crate::Violation) when the name breaks its rule.
    pub fn new(name: &str, value: impl Into<String>) -> Result<Self, crate::Violation> {
        Ok(Self { name: EnvName::new(name)?, value: value.into() })
    }
}
