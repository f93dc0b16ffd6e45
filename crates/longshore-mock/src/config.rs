//! How a mock host is configured.

use bon::Builder;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use longshore_core::{
    ByteSize, Capabilities, Capability, Cpu, GpuRequest, ImageSource, LaunchIdempotency, NetworkName, Platform, Result,
    SecretReference, Violation, Violations, read_section,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    time::Duration,
};

use crate::behaviour::{Behaviour, Rule, fits};

/// The settings of one mock host. Everything has a default: an empty section is a place that can do everything, at
/// once, and never fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MockConfig {
    /// How one token is launched once.
    #[builder(default = LaunchIdempotency::ByKey)]
    pub launch: LaunchIdempotency,
    /// Capabilities that it is not to have; by default it has all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[builder(default, with = FromIterator::from_iter)]
    pub without: BTreeSet<Capability>,
    /// The platforms whose images it runs.
    #[builder(default = platforms())]
    pub platforms: Vec<Platform>,
    /// The most CPU that one job can have.
    #[builder(default = EIGHT_CORES)]
    pub cpu: Cpu,
    /// The step in which CPU is granted, rounded up; absent, as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_step: Option<Cpu>,
    /// The most memory that one job can have, and what a job has that names no limit.
    #[builder(default = ByteSize::from_mib(16 << 10))]
    pub memory: ByteSize,
    /// The step in which memory is granted, rounded up; absent, as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_step: Option<ByteSize>,
    /// Whether jobs can be held to limits on memory, CPU and processes; where they can't, plans drop the demand.
    #[builder(default = true)]
    pub limits: bool,
    /// The graphics processors of each job's machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuRequest>,
    /// The networks that jobs can join by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[builder(default, with = FromIterator::from_iter)]
    pub networks: BTreeSet<NetworkName>,
    /// The folders of the host that jobs may mount, each with its files as names and text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub folders: BTreeMap<String, BTreeMap<String, String>>,
    /// The images that there are.
    #[builder(default)]
    pub images: Images,
    /// The provider's own secret store: the names in `provider:NAME`, and where this program finds each value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub secrets: BTreeMap<String, SecretReference>,
    /// How many bytes of a job's log are kept when the job does not say.
    #[builder(default = ByteSize::from_mib(64))]
    pub log_cap: ByteSize,
    /// How many bytes a program writes in a second, which is what writing costs it.
    #[builder(default = ByteSize::from_mib(100))]
    pub output_rate: ByteSize,
    /// How long every question to the provider takes, before whatever else is scripted for it.
    #[serde(with = "required")]
    #[schemars(with = "String")]
    #[builder(default)]
    pub latency: Duration,
    /// When the provider can't be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub outages: Vec<Outage>,
    /// What becomes of its events.
    #[builder(default)]
    pub events: EventFaults,
    /// What is scripted for every job.
    #[builder(default)]
    pub jobs: Behaviour,
    /// What is scripted for some jobs; where two rules say something of the same, the first one counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[builder(default)]
    pub rules: Vec<Rule>,
}

/// Which images there are. The patterns are of references as jobs write them; `*` stands for any characters, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Images {
    /// There are these, and no other; absent, every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[builder(with = |patterns: impl IntoIterator<Item = impl Into<String>>| patterns.into_iter().map(Into::into).collect())]
    pub only: Option<BTreeSet<String>>,
    /// There are none of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[builder(default, with = |patterns: impl IntoIterator<Item = impl Into<String>>| patterns.into_iter().map(Into::into).collect())]
    pub missing: BTreeSet<String>,
}

/// A time in which the provider can't be reached, counted from the making of the provider: `from` is in it, `to` is
/// not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Outage {
    /// When it begins.
    #[serde(with = "required")]
    #[schemars(with = "String")]
    pub from: Duration,
    /// When it is over.
    #[serde(with = "required")]
    #[schemars(with = "String")]
    pub to: Duration,
}

/// What becomes of the events of a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EventFaults {
    /// How late each one comes.
    #[serde(with = "required")]
    #[schemars(with = "String")]
    #[builder(default)]
    pub late: Duration,
    /// Whether each one comes twice.
    #[builder(default)]
    pub twice: bool,
    /// Each so-manieth is lost, and a gap is told in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_every: Option<NonZeroU32>,
}

impl Default for MockConfig {
    fn default() -> Self {
        Self::builder().build()
    }
}

fn platforms() -> Vec<Platform> {
    "linux/amd64".parse().into_iter().collect()
}

/// Every capability of the contract: all of them are simulated.
const ALL: [Capability; 42] = [
    Capability::RegistryImages,
    Capability::DockerArchives,
    Capability::OciArchives,
    Capability::OciLayouts,
    Capability::RootFolders,
    Capability::PullAlways,
    Capability::PullNever,
    Capability::RegistryCredentials,
    Capability::Platform,
    Capability::Entrypoint,
    Capability::Command,
    Capability::Environment,
    Capability::SecretFiles,
    Capability::SecretVariables,
    Capability::WorkingDirectory,
    Capability::User,
    Capability::NetworkNone,
    Capability::NetworkPrivate,
    Capability::NetworkHost,
    Capability::NetworkNamed,
    Capability::NetworkAliases,
    Capability::BindMounts,
    Capability::Volumes,
    Capability::Tmpfs,
    Capability::Labels,
    Capability::MemoryLimit,
    Capability::CpuLimit,
    Capability::Gpu,
    Capability::EphemeralStorage,
    Capability::PidsLimit,
    Capability::StopSignal,
    Capability::StopGrace,
    Capability::HardenedProfile,
    Capability::PlatformProfile,
    Capability::Stop,
    Capability::SignalEvidence,
    Capability::OutOfMemoryEvidence,
    Capability::SeparateStreams,
    Capability::LogTimestamps,
    Capability::BinaryLogs,
    Capability::Events,
    Capability::ListOwned,
];

/// Decided when this is compiled.
const EIGHT_CORES: Cpu = match Cpu::from_millis(8_000) {
    Some(cpu) => cpu,
    None => unreachable!(),
};

impl Images {
    pub(crate) fn has(&self, image: &ImageSource) -> bool {
        let image = image.to_string();
        let among = |patterns: &BTreeSet<String>| patterns.iter().any(|pattern| fits(pattern, &image));
        self.only.as_ref().is_none_or(among) && !among(&self.missing)
    }
}

impl Outage {
    /// A time in which the provider can't be reached.
    #[must_use]
    pub const fn new(from: Duration, to: Duration) -> Self {
        Self { from, to }
    }
}

impl MockConfig {
    /// Reads a host's `executor_config`; nothing at all is the default.
    ///
    /// # Errors
    /// `Invalid`, naming the field that is unknown or wrong.
    pub fn from_value(value: &serde_json::Value) -> Result<Self> {
        let config: Self = read_section(value, "executor_config")?;
        config.check()?;
        Ok(config)
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        let switched_on = ALL.into_iter().filter(|capability| !self.without.contains(capability));
        Capabilities::new(self.launch, switched_on)
    }

    fn check(&self) -> Result<(), Violations> {
        let mut found = Vec::new();
        found.extend(self.jobs.check().map_err(|rule| rule.within("executor_config.jobs.script")).err());
        for (at, rule) in self.rules.iter().enumerate() {
            let within = |broken: Violation| broken.within(format!("executor_config.rules[{at}].then.script"));
            found.extend(rule.then.check().map_err(within).err());
        }
        for outage in self.outages.iter().filter(|outage| outage.from >= outage.to) {
            let shown = format!("{:?} to {:?}", outage.from, outage.to);
            found.push(Violation::new("executor_config.outages", shown, "an outage ends after it has begun"));
        }
        Violations::check(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::ErrorKind;
    use serde_json::json;

    #[test]
    fn every_setting_can_be_written_as_configuration() {
        let config = MockConfig::from_value(&json!({
            "launch": { "by-token": { "window": "24h" } },
            "without": ["stop", "binary-logs"],
            "platforms": ["linux/arm64"],
            "cpu": 4, "cpu_step": "250m", "memory": "4g", "memory_step": "512m", "limits": false,
            "gpu": { "count": 1, "vendor": "nvidia" },
            "networks": ["jobs"],
            "folders": { "/srv/data": { "kit": "mounted" } },
            "images": { "only": ["registry.example.com/*"], "missing": ["registry.example.com/gone:*"] },
            "secrets": { "db": "env:DB_PASSWORD" },
            "log_cap": "1m", "output_rate": "10m", "latency": "20ms",
            "outages": [{ "from": "1m", "to": "90s" }],
            "events": { "late": "2s", "twice": true, "gap_every": 3 },
            "jobs": { "pending": "1s" },
            "rules": [{
                "job": "batch-*", "attempts": [1],
                "then": {
                    "script": ["print hello", "exit 3"], "prepare": "1s", "launch": "1s", "late_logs": "1s",
                    "cut_logs": 100, "unprovable": true, "vanish": "1h",
                    "refuse": { "kind": "capacity", "times": 2, "retry_after": "30s", "message": "full" },
                    "lose": { "loss": "after-effect", "times": 1 },
                    "interrupt": { "after": "5s", "cause": "preempted" },
                },
            }],
        }))
        .unwrap();
        assert_eq!(config.rules[0].then.refuse.as_ref().unwrap().kind, ErrorKind::Capacity);
        let stored = serde_json::to_value(&config).unwrap();
        assert_eq!(MockConfig::from_value(&stored).unwrap(), config);
        assert_eq!(MockConfig::from_value(&serde_json::Value::Null).unwrap(), MockConfig::default());
        assert_eq!(MockConfig::from_value(&json!({})).unwrap(), MockConfig::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (config, named) in [
            (json!({ "lunch": "by-key" }), "lunch"),
            (json!({ "jobs": { "pendng": "1s" } }), "pendng"),
            (json!({ "rules": [{ "then": { "script": ["sing"] } }] }), "executor_config.rules[0].then.script"),
            (json!({ "outages": [{ "from": "2s", "to": "1s" }] }), "executor_config.outages"),
            (json!({ "secrets": { "db": "hunter2" } }), "secret reference"),
        ] {
            let error = MockConfig::from_value(&config).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(named) && !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn images_are_there_unless_they_are_not() {
        let images = |value| serde_json::from_value::<Images>(value).unwrap();
        let has = |images: &Images, image: &str| images.has(&image.parse().unwrap());
        assert!(has(&Images::default(), "anything:1"));
        let some = images(json!({ "only": ["a/*"], "missing": ["a/gone:*"] }));
        assert_eq!(["a/b:1", "a/gone:1", "b"].map(|image| has(&some, image)), [true, false, false]);
    }

    #[test]
    fn every_capability_of_the_contract_is_there() {
        let schema = schemars::schema_for!(Capability).to_value();
        assert_eq!(schema["oneOf"].as_array().unwrap().len(), ALL.len());
        let config = MockConfig::builder().without([Capability::Stop]).build();
        assert_eq!(config.capabilities().supported.len(), ALL.len() - 1);
        assert!(!config.capabilities().has(Capability::Stop));
    }

    #[test]
    fn it_has_a_schema() {
        let schema = schemars::schema_for!(MockConfig).to_value();
        assert_eq!(schema["additionalProperties"], false);
        assert!(schema["properties"]["rules"].is_object(), "{schema:#}");
    }
}
