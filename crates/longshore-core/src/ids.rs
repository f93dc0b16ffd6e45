//! Names and numbers that identify things, parsed once where they enter.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

use crate::Violation;

/// Which characters a name may have, and how many.
pub(crate) struct NameRule {
    pub(crate) field: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) pattern: &'static str,
    pub(crate) longest: usize,
    pub(crate) first: fn(char) -> bool,
    pub(crate) rest: fn(char) -> bool,
}

impl NameRule {
    pub(crate) fn check(&self, name: &str) -> Result<(), Violation> {
        let mut characters = name.chars();
        let starts_well = characters.next().is_some_and(self.first);
        if starts_well && name.len() <= self.longest && characters.all(self.rest) {
            return Ok(());
        }
        Err(Violation::new(self.field, name, self.rule))
    }
}

/// Declares a string newtype that can only hold what its [`NameRule`] allows.
macro_rules! parsed_name {
    ($(#[$doc:meta])* $name:ident, $rule:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            const RULE: $crate::ids::NameRule = $rule;

            /// Checks the name against the type's rule.
            ///
            /// # Errors
            /// A [`Violation`](crate::Violation) that names the rule.
            pub fn new(name: impl Into<String>) -> Result<Self, $crate::Violation> {
                let name = name.into();
                Self::RULE.check(&name)?;
                Ok(Self(name))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Violation;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::Violation;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": Self::RULE.rule,
                    "pattern": Self::RULE.pattern,
                    "maxLength": Self::RULE.longest,
                })
            }
        }
    };
}
pub(crate) use parsed_name;

fn lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn lower_digit_or_dash(c: char) -> bool {
    lower_or_digit(c) || c == '-'
}

parsed_name! {
    /// The kind of an executor, as configurations and handles spell it: `docker`, `cloudrun`, `mock`.
    ExecutorType, NameRule {
        field: "executor type",
        rule: "use 1 to 40 lower-case letters, digits and dashes, beginning with a letter or digit",
        pattern: "^[a-z0-9][a-z0-9-]{0,39}$",
        longest: 40,
        first: lower_or_digit,
        rest: lower_digit_or_dash,
    }
}

parsed_name! {
    /// The name of one configured place to run.
    HostName, NameRule {
        field: "host name",
        rule: "use 1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit",
        pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
        longest: 63,
        first: lower_or_digit,
        rest: lower_digit_or_dash,
    }
}

parsed_name! {
    /// The installation that owns what it creates. Listing and sweeping never leave their owner's things.
    Owner, NameRule {
        field: "owner",
        rule: "use 1 to 40 lower-case letters, digits and dashes, beginning with a letter or digit",
        pattern: "^[a-z0-9][a-z0-9-]{0,39}$",
        longest: 40,
        first: lower_or_digit,
        rest: lower_digit_or_dash,
    }
}

parsed_name! {
    /// The name of one container of an execution; `main` unless a job has sidecars.
    ContainerName, NameRule {
        field: "container name",
        rule: "use 1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit",
        pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
        longest: 63,
        first: lower_or_digit,
        rest: lower_digit_or_dash,
    }
}

impl ContainerName {
    /// `main`: the container that runs the job itself.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    pub(crate) fn is_main(&self) -> bool {
        self.0 == "main"
    }
}

impl Default for ContainerName {
    fn default() -> Self {
        Self::main()
    }
}

/// Identifies a job: a UUID of version 7, which sorts by the time of its making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "Uuid")]
pub struct JobId(Uuid);

impl TryFrom<String> for JobId {
    type Error = Violation;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

impl JobId {
    /// A new id with the given creation time.
    #[must_use]
    pub fn new(created_at: Timestamp) -> Self {
        let seconds = u64::try_from(created_at.as_second()).unwrap_or_default();
        let nanos = u32::try_from(created_at.subsec_nanosecond()).unwrap_or_default();
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
    }

    /// The id that is this UUID.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl FromStr for JobId {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self).map_err(|_| {
            Violation::new("job id", text, "a job id is a UUID such as 019237a4-5c1e-7f00-8000-000000000001")
        })
    }
}

/// One attempt at one job. The provider-side name or client token is derived from it, always the same,
/// which is what makes a launch idempotent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaunchToken {
    job: JobId,
    attempt: u32,
}

impl LaunchToken {
    /// The token of the given attempt; the first attempt is number 1.
    #[must_use]
    pub const fn new(job: JobId, attempt: u32) -> Self {
        Self { job, attempt }
    }

    /// The job.
    #[must_use]
    pub const fn job(&self) -> JobId {
        self.job
    }

    /// The attempt's number, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl fmt::Display for LaunchToken {
    /// `ls-` + 32 hexadecimal digits + `-` + the attempt: at most 46 characters of lower-case letters,
    /// digits and dashes, beginning with a letter, which every provider's naming rule allows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("ls-{}-{}", self.job.0.simple(), self.attempt))
    }
}

impl FromStr for LaunchToken {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            Violation::new(
                "launch token",
                text,
                "a token is `ls-`, 32 hexadecimal digits, `-` and the attempt's number",
            )
        };
        let (job, attempt) = text.strip_prefix("ls-").and_then(|rest| rest.split_once('-')).ok_or_else(wrong)?;
        let job = Uuid::try_parse(job).map_err(|_| wrong())?;
        let attempt = attempt.parse().map_err(|_| wrong())?;
        let token = Self::new(JobId(job), attempt);
        if token.to_string() == text { Ok(token) } else { Err(wrong()) }
    }
}

impl Serialize for LaunchToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LaunchToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for LaunchToken {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LaunchToken".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^ls-[0-9a-f]{32}-[0-9]+$" })
    }
}
