//! The reusable description of a container job.

use bon::Builder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

use super::{
    EnvVar, ImageSource, Mount, Network, NetworkAlias, Placement, Platform, PullPolicy, RegistryCredentials, Resources,
    SecretBinding, SecretDelivery, SecurityProfile, Tmpfs, mounts::absolute_path,
};
use crate::{
    ByteSize, ExecutorType, Signal, Violation, Violations,
    ids::{NameRule, parsed_name},
    units::duration,
};

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn name_character(c: char) -> bool {
    alphanumeric(c) || matches!(c, '_' | '.' | '-')
}

fn label_character(c: char) -> bool {
    name_character(c) || c == '/'
}

fn printable(c: char) -> bool {
    !c.is_control()
}

parsed_name! {
    /// A template's or job's name, for people and for rules.
    JobName, NameRule {
        field: "job name",
        rule: "use 1 to 128 letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
        pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
        longest: 128,
        first: alphanumeric,
        rest: name_character,
    }
}

parsed_name! {
    /// The key of a label.
    LabelKey, NameRule {
        field: "label key",
        rule: "use 1 to 128 letters, digits, `_`, `.`, `-` and `/`, beginning with a letter or digit",
        pattern: "^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$",
        longest: 128,
        first: alphanumeric,
        rest: label_character,
    }
}

/// The value of a label: at most 1,024 bytes without control characters; may be empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct LabelValue(String);

impl LabelValue {
    /// Checks the value against the rule.
    ///
    /// # Errors
    /// A [`Violation`] that names the rule.
    pub fn new(value: impl Into<String>) -> Result<Self, Violation> {
        let value = value.into();
        if value.len() <= 1024 && value.chars().all(printable) {
            return Ok(Self(value));
        }
        Err(Violation::new(
            "label value",
            value,
            "use at most 1,024 bytes without line breaks and other control characters",
        ))
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LabelValue {
    type Error = Violation;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::new(value)
    }
}

impl From<LabelValue> for String {
    fn from(value: LabelValue) -> Self {
        value.0
    }
}

/// A reusable description of a container job: what runs, with what, for how long at most.
///
/// Only `name` and `image` are needed. What is absent is left out when stored, so that a later field changes
/// no stored bytes; what is unknown is refused when read, so that no demand is ever ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JobTemplate {
    /// The name, for people and for routing rules.
    pub name: JobName,
    /// The image.
    pub image: ImageSource,
    /// When the image is fetched.
    #[serde(default, skip_serializing_if = "PullPolicy::is_default")]
    #[builder(default)]
    pub pull_policy: PullPolicy,
    /// Credentials for the image's registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_credentials: Option<RegistryCredentials>,
    /// The platform that is needed; absent, the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Replaces the image's entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(with = |words: impl IntoIterator<Item = impl Into<String>>| words.into_iter().map(Into::into).collect())]
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command. The process runs `entrypoint`, then `command`, then `args`, each an
    /// argument of its own: nothing is ever split or passed through a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(with = |words: impl IntoIterator<Item = impl Into<String>>| words.into_iter().map(Into::into).collect())]
    pub command: Option<Vec<String>>,
    /// Further arguments after the command. Given without `command`, they take the place of the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(
        default,
        with = |words: impl IntoIterator<Item = impl Into<String>>| words.into_iter().map(Into::into).collect(),
    )]
    pub args: Vec<String>,
    /// Environment variables, on top of the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub env: Vec<EnvVar>,
    /// Secrets, by reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub secrets: Vec<SecretBinding>,
    /// The working directory; absent, the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(into)]
    pub working_directory: Option<String>,
    /// The user inside the container, as `USER[:GROUP]` by name or number; absent, the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(into)]
    pub user: Option<String>,
    /// The network; absent, what the executor documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Further names on that network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub network_aliases: Vec<NetworkAlias>,
    /// Storage of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub mounts: Vec<Mount>,
    /// Scratch space in memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub tmpfs: Vec<Tmpfs>,
    /// Labels for people, rules and bills. Keys that begin with `longshore.` are Longshore's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Memory, CPU, GPUs, storage, processes.
    #[serde(default, skip_serializing_if = "is_default")]
    #[builder(default)]
    pub resources: Resources,
    /// How long the job may take from its launch until it runs, image pull included.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub start_timeout: Option<Duration>,
    /// How long the job may run; then it is stopped and has timed out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub run_timeout: Option<Duration>,
    /// How long the job usually runs: a hint for routing and price, never a limit.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub expected_duration: Option<Duration>,
    /// The signal that asks the job to end; absent, the image's, which is usually `SIGTERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Signal>,
    /// How long a stopped job may take to end before it is killed; absent, [`DEFAULT_GRACE`](crate::DEFAULT_GRACE).
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub stop_grace: Option<Duration>,
    /// How tightly the container is held.
    #[serde(default, skip_serializing_if = "is_default")]
    #[builder(default)]
    pub security: SecurityProfile,
    /// Where it may run; by default anywhere.
    #[serde(default, skip_serializing_if = "is_default")]
    #[builder(default)]
    pub placement: Placement,
    /// How many bytes of log are kept, stdout and stderr together; what goes beyond is cut off visibly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_cap: Option<ByteSize>,
    /// Settings that only one kind of executor knows, each section checked by that executor's own schema.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub executor_options: BTreeMap<ExecutorType, serde_json::Value>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl JobTemplate {
    /// Checks what no single field's type can: that paths are plain, nothing is named twice, nothing holds a
    /// NUL byte.
    ///
    /// # Errors
    /// Every rule that is broken, each with its field.
    pub fn check(&self) -> Result<(), Violations> {
        let mut found = Vec::new();
        self.check_arguments(&mut found);
        self.check_environment(&mut found);
        self.check_storage(&mut found);
        self.check_times(&mut found);
        for key in self.labels.keys().filter(|key| key.as_str().starts_with("longshore.")) {
            found.push(Violation::new("labels", key, "keys that begin with `longshore.` are reserved; choose another"));
        }
        if self.network == Some(Network::None) && !self.network_aliases.is_empty() {
            found.push(Violation::new(
                "network_aliases",
                &self.network_aliases[0],
                "a job without a network can't have names on it",
            ));
        }
        Violations::check(found)
    }

    fn check_arguments(&self, found: &mut Vec<Violation>) {
        let groups = [
            ("entrypoint", self.entrypoint.as_deref()),
            ("command", self.command.as_deref()),
            ("args", Some(self.args.as_slice())),
        ];
        for (field, arguments) in groups {
            for argument in arguments.unwrap_or_default().iter().filter(|argument| argument.contains('\0')) {
                found.push(Violation::new(field, argument, "an argument can't hold a NUL byte"));
            }
        }
        if self.entrypoint.as_ref().is_some_and(|entrypoint| entrypoint.first().is_some_and(String::is_empty)) {
            found.push(Violation::new("entrypoint", "", "the program's name can't be empty"));
        }
        if let Some(user) = &self.user {
            found.extend(check_user(user).err());
        }
    }

    fn check_environment(&self, found: &mut Vec<Violation>) {
        let in_env = |secret: &&SecretBinding| secret.delivery == SecretDelivery::Env;
        let mut variables: Vec<&str> = self.env.iter().map(|variable| variable.name.as_str()).collect();
        variables.extend(self.secrets.iter().filter(in_env).map(|secret| secret.name.as_str()));
        report_twins("env", variables, found);
        let files = self.secrets.iter().filter(|secret| !in_env(secret)).map(|secret| secret.name.as_str()).collect();
        report_twins("secrets", files, found);
        for variable in self.env.iter().filter(|variable| variable.value.contains('\0')) {
            found.push(Violation::new("env", &variable.name, "a value can't hold a NUL byte"));
        }
    }

    fn check_storage(&self, found: &mut Vec<Violation>) {
        self.mounts.iter().for_each(|mount| mount.check(found));
        self.tmpfs.iter().for_each(|tmpfs| tmpfs.check(found));
        let mut targets: Vec<&str> = self.mounts.iter().map(|mount| mount.target.as_str()).collect();
        targets.extend(self.tmpfs.iter().map(|tmpfs| tmpfs.target.as_str()));
        report_twins("mounts", targets, found);
        if let Some(path) = &self.working_directory
            && path != "/"
        {
            found.extend(absolute_path("working_directory", path).err());
        }
    }

    fn check_times(&self, found: &mut Vec<Violation>) {
        let times = [
            ("start_timeout", self.start_timeout),
            ("run_timeout", self.run_timeout),
            ("expected_duration", self.expected_duration),
        ];
        for (field, _) in times.into_iter().filter(|(_, time)| *time == Some(Duration::ZERO)) {
            found.push(Violation::new(field, "0s", "a time limit must be above zero; leave it out for none"));
        }
    }
}

/// `USER[:GROUP]`, each a name or a number.
fn check_user(user: &str) -> Result<(), Violation> {
    let part = |part: &str| !part.is_empty() && part.len() <= 64 && part.chars().all(name_character);
    if user.splitn(2, ':').all(part) {
        return Ok(());
    }
    Err(Violation::new("user", user, "write USER or USER:GROUP, each a name or a number"))
}

fn report_twins(field: &str, mut names: Vec<&str>, found: &mut Vec<Violation>) {
    names.sort_unstable();
    let twins = names.windows(2).filter(|pair| pair[0] == pair[1]);
    found.extend(twins.map(|pair| Violation::new(field, pair[0], "the same name is given twice; keep one")));
}
