//! How a host that is a project and region of Google Cloud Run is configured.

use longshore_core::{
    ByteSize, Error, ErrorKind, ExecutionHost, Result, SecretReference, StoredDuration, read_section,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// The settings of one project and region. Only `project` and a region are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CloudRunConfig {
    /// The project's id, such as `my-project-123456`.
    pub project: String,
    /// The region, such as `europe-west1`. Absent: the host's own `region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Where the credentials come from.
    pub credentials: Credentials,
    /// The address of the Admin API; absent, `https://run.googleapis.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The address of Cloud Logging; absent, `https://logging.googleapis.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging_endpoint: Option<String>,
    /// The service account that jobs run as; absent, the project's default one, which is often allowed too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Further service accounts that jobs may choose by `executor_options.cloudrun.service_account`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub service_accounts: BTreeSet<String>,
    /// The private network that jobs reach; absent, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc: Option<Vpc>,
    /// The generation of the sandbox; absent, Google's choice, which is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_environment: Option<ExecutionEnvironment>,
    /// The time limit of a job that has none: Cloud Run ends every task at some time. At most 168 hours.
    #[schemars(with = "String")]
    pub max_run_time: StoredDuration,
    /// How many bytes of a job's log are kept when the job does not say.
    pub log_cap: ByteSize,
    /// How old a log entry must be before it is read, so that those that come late are in their place. What comes later
    /// than this is lost to whoever has read on.
    #[schemars(with = "String")]
    pub log_settle: StoredDuration,
    /// How long one request to the APIs may take before it is given up.
    #[schemars(with = "String")]
    pub request_timeout: StoredDuration,
    /// How often the APIs may be asked. All hosts of one program that share a project share these.
    pub quotas: Quotas,
}

impl Default for CloudRunConfig {
    fn default() -> Self {
        Self {
            project: String::new(),
            region: None,
            credentials: Credentials::default(),
            endpoint: None,
            logging_endpoint: None,
            service_account: None,
            service_accounts: BTreeSet::new(),
            vpc: None,
            execution_environment: None,
            max_run_time: StoredDuration(Duration::from_secs(24 * 3600)),
            log_cap: ByteSize::from_mib(64),
            log_settle: StoredDuration(Duration::from_secs(10)),
            request_timeout: StoredDuration(Duration::from_secs(40)),
            quotas: Quotas::default(),
        }
    }
}

/// Where the credentials come from. None of these holds a secret itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Credentials {
    /// What Google's own programs would find: `GOOGLE_APPLICATION_CREDENTIALS`, the application default credentials of
    /// `gcloud`, the metadata server, `gcloud` itself.
    #[default]
    Discovered,
    /// The service account of the machine, from its metadata server.
    MetadataServer,
    /// The file of a service account's key.
    ServiceAccountKey(PathBuf),
    /// A token that somebody else keeps fresh: `env:NAME` or `file:PATH`. Read again when it is refused.
    Token(SecretReference),
}

/// A private network: a connector, or the network itself (direct VPC egress).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Vpc {
    /// A Serverless VPC Access connector, by its full name. Excludes the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// The network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The subnetwork; absent, the one that is named as the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnetwork: Option<String>,
    /// Network tags for firewall rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What is sent through it.
    pub egress: Egress,
}

/// What a job sends through its private network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Egress {
    /// Only what goes to private addresses.
    #[default]
    PrivateRangesOnly,
    /// Everything.
    AllTraffic,
}

/// The generation of the sandbox that jobs run in: the first is for services only
/// (<https://cloud.google.com/run/docs/about-execution-environments>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExecutionEnvironment {
    /// A small virtual machine with a whole kernel.
    Gen2,
}

/// How many requests a minute each API allows (<https://cloud.google.com/run/quotas>,
/// <https://cloud.google.com/logging/quotas>). Raise them where Google has raised yours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Quotas {
    /// Questions to the Admin API, a project and region.
    pub reads_per_minute: u32,
    /// Changes through the Admin API, a project and region: two for each job.
    pub writes_per_minute: u32,
    /// Reads of Cloud Logging, a project.
    pub log_reads_per_minute: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { reads_per_minute: 3_000, writes_per_minute: 180, log_reads_per_minute: 60 }
    }
}

/// What only Cloud Run knows of a job: the template's `executor_options.cloudrun` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CloudRunOptions {
    /// The service account that the job runs as, where the host allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// The generation of the sandbox; absent, the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_environment: Option<ExecutionEnvironment>,
}

impl CloudRunConfig {
    /// The longest time limit of a task (<https://cloud.google.com/run/docs/configuring/task-timeout>).
    pub(crate) const LONGEST_RUN: Duration = Duration::from_secs(168 * 3600);
    /// The same for one with a graphics processor, as far as it is no preview.
    pub(crate) const LONGEST_RUN_WITH_GPU: Duration = Duration::from_secs(3600);

    /// Reads a host's `executor_config`.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is missing, unknown or wrong.
    pub fn from_value(value: &serde_json::Value) -> Result<Self> {
        let config: Self = read_section(value, "executor_config")?;
        config.check()?;
        Ok(config)
    }

    /// Checks what no single setting's type can.
    fn check(&self) -> Result<()> {
        if !is_resource_id(&self.project) {
            let message = format!(
                "executor_config.project = {:?} is no project id; write the id, such as my-project-123456",
                self.project
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if self.max_run_time.0.is_zero() || self.max_run_time.0 > Self::LONGEST_RUN {
            return Err(Error::new(ErrorKind::Invalid, "executor_config.max_run_time is above zero and at most 168h"));
        }
        let Some(vpc) = &self.vpc else { return Ok(()) };
        if vpc.connector.is_some() == (vpc.network.is_some() || vpc.subnetwork.is_some()) {
            let message = "executor_config.vpc has either a connector, or a network, a subnetwork or both";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }

    /// The region: its own, or the host's.
    pub(crate) fn region(&self, host: &ExecutionHost) -> Result<String> {
        let of_host = host.region.as_ref().map(ToString::to_string);
        let region = match (&self.region, of_host) {
            (Some(own), Some(hosts)) if *own != hosts => {
                let message = format!(
                    "executor_config.region = {own:?} and the host's region = {hosts:?} are two; leave one out"
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            (Some(own), _) => own.clone(),
            (None, Some(hosts)) => hosts,
            (None, None) => {
                let message = "executor_config.region is missing; write the region, such as europe-west1";
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        };
        if is_resource_id(&region) {
            return Ok(region);
        }
        let message = format!("executor_config.region = {region:?} is no region; write its name, such as europe-west1");
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

/// True for what can stand in a path as it is. A project may have its domain before it: `example.com:project`.
fn is_resource_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | ':');
    !text.is_empty()
        && text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(allowed)
}

impl CloudRunOptions {
    /// Reads a job's `executor_options.cloudrun`; nothing at all is the default.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is unknown or wrong.
    pub fn from_value(value: Option<&serde_json::Value>) -> Result<Self> {
        value.map_or_else(|| Ok(Self::default()), |value| read_section(value, "executor_options.cloudrun"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: serde_json::Value) -> Result<CloudRunConfig> {
        CloudRunConfig::from_value(&value)
    }

    #[test]
    fn the_wrong_key_is_named() {
        for (value, named) in [
            (json!({}), "executor_config.project"),
            (json!({ "project": "../other" }), "executor_config.project"),
            (json!({ "project": "p", "regoin": "x" }), "executor_config: unknown field `regoin`"),
            (json!({ "project": "p", "credentials": { "token": "s3cret" } }), "executor_config.credentials"),
            (json!({ "project": "p", "max_run_time": "200h" }), "executor_config.max_run_time"),
            (json!({ "project": "p", "vpc": { "connector": "c", "network": "n" } }), "executor_config.vpc"),
            (json!({ "project": "p", "vpc": {} }), "executor_config.vpc"),
            (json!({ "project": "p", "execution_environment": "gen1" }), "executor_config.execution_environment"),
        ] {
            let error = config(value.clone()).unwrap_err();
            assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(named), "{value}: {error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        let error = CloudRunOptions::from_value(Some(&json!({ "gpu": 1 }))).unwrap_err().to_string();
        assert!(error.starts_with("executor_options.cloudrun: unknown field `gpu`"), "{error}");
    }

    #[test]
    fn credentials_are_written_in_one_of_four_ways() {
        for (value, expected) in [
            (json!("discovered"), Credentials::Discovered),
            (json!("metadata_server"), Credentials::MetadataServer),
            (json!({ "service_account_key": "/k.json" }), Credentials::ServiceAccountKey("/k.json".into())),
            (json!({ "token": "file:/t" }), Credentials::Token("file:/t".parse().unwrap())),
        ] {
            let read = config(json!({ "project": "p", "credentials": value })).unwrap();
            assert_eq!(read.credentials, expected);
        }
    }

    #[test]
    fn the_region_is_the_hosts_unless_it_has_its_own() {
        let region = |own: Option<&str>, hosts: Option<&str>| {
            let mut host =
                ExecutionHost::builder().name("h".parse().unwrap()).executor_type("cloudrun".parse().unwrap()).build();
            host.region = hosts.map(|region| region.parse().unwrap());
            let config = CloudRunConfig { region: own.map(str::to_owned), ..CloudRunConfig::default() };
            config.region(&host).map_err(|error| error.to_string())
        };
        assert_eq!(region(Some("a"), None).as_deref(), Ok("a"));
        assert_eq!(region(None, Some("b")).as_deref(), Ok("b"));
        assert_eq!(region(Some("a"), Some("a")).as_deref(), Ok("a"));
        assert!(region(Some("a"), Some("b")).unwrap_err().contains("are two"));
        assert!(region(None, None).unwrap_err().contains("executor_config.region"));
        assert!(region(Some("a/../b"), None).unwrap_err().contains("executor_config.region"));
    }
}
