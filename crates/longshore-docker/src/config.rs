//! How a host with a Docker Engine is configured.

use longshore_core::{ByteSize, Result, read_section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// The settings of one Docker host. Everything has a default: an empty section is the local engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DockerConfig {
    /// Where the engine answers: `unix:///PATH`, `tcp://HOST:PORT`. Absent: `DOCKER_HOST`, else
    /// `unix:///var/run/docker.sock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Client certificates for `tcp://`. Absent: taken from `DOCKER_CERT_PATH` when `DOCKER_TLS_VERIFY` is set
    /// and `host` is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// Allows `tcp://` without TLS to an address that is not loopback. Whoever can reach such a socket is root
    /// on its machine.
    pub allow_plain_tcp: bool,
    /// The engine's log driver for jobs; absent, `local` where the engine has it, else the engine's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_driver: Option<String>,
    /// How many bytes of a job's log are kept when the job does not say.
    pub log_cap: ByteSize,
    /// The most processes of a job that does not say.
    pub pids_limit: u32,
    /// Docker's own configuration file, whose registry credentials are used for images; absent,
    /// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_config: Option<PathBuf>,
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            host: None,
            tls: None,
            allow_plain_tcp: false,
            log_driver: None,
            log_cap: ByteSize::from_mib(64),
            pids_limit: 4096,
            docker_config: None,
        }
    }
}

/// The files of a TLS client, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The authorities that the engine's certificate is checked against.
    pub ca: PathBuf,
    /// The client's certificate.
    pub cert: PathBuf,
    /// The client's private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files under the names that Docker gives them in a folder: `ca.pem`, `cert.pem`, `key.pem`.
    #[must_use]
    pub fn in_folder(folder: &std::path::Path) -> Self {
        Self { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") }
    }
}

/// What only Docker knows of a job: the template's `executor_options.docker` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DockerOptions {
    /// Runs the engine's init as process 1, which reaps children and passes signals on.
    pub init: bool,
    /// The size of `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<ByteSize>,
    /// The container's host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The OCI runtime, where the host's operator allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Capabilities added to the default profile, where the host's operator allows them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub add_capabilities: BTreeSet<String>,
}

impl DockerConfig {
    /// Reads a host's `executor_config`; nothing at all is the default.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is unknown or wrong.
    pub fn from_value(value: &serde_json::Value) -> Result<Self> {
        read_section(value, "executor_config")
    }
}

impl DockerOptions {
    /// Reads a job's `executor_options.docker`; nothing at all is the default.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is unknown or wrong.
    pub fn from_value(value: Option<&serde_json::Value>) -> Result<Self> {
        value.map_or_else(|| Ok(Self::default()), |value| read_section(value, "executor_options.docker"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_wrong_key_is_named() {
        let config = |value| DockerConfig::from_value(&value).unwrap_err().to_string();
        let options = |value| DockerOptions::from_value(Some(&value)).unwrap_err().to_string();
        assert!(config(json!({ "log_cap": "lots" })).starts_with("executor_config.log_cap: "));
        assert!(config(json!({ "tls": { "ca": 1 } })).starts_with("executor_config.tls.ca: "));
        assert!(
            config(json!({ "hots": "" })).starts_with("executor_config: unknown field `hots`, expected one of `host`")
        );
        assert!(options(json!({ "shm_size": "lots" })).starts_with("executor_options.docker.shm_size: "));
    }
}
