//! The labels by which everything that Longshore creates on an engine is known and found again.

use longshore_core::{ByteSize, ExecutionHandle, ExecutorType, HostName, LaunchRequest, LaunchToken, Owner};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

use crate::identity::EngineId;

pub(crate) const OWNER: &str = "longshore.owner";
pub(crate) const TOKEN: &str = "longshore.token";
pub(crate) const CREATED: &str = "longshore.created";
const JOB: &str = "longshore.job";
const ATTEMPT: &str = "longshore.attempt";
const HOST: &str = "longshore.host";
const TEMPLATE: &str = "longshore.template";
const USER: &str = "longshore.user";
const LOG_CAP: &str = "longshore.log-cap";
const LOG_DRIVER: &str = "longshore.log-driver";
const ENGINE: &str = "longshore.engine";

/// The newest version of a handle's metadata. Version 1 held only the container's id, and no metadata.
pub(crate) const HANDLE_VERSION: u32 = 2;

/// What a handle remembers beside the container's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// The log's cap in bytes.
    pub(crate) log_cap: ByteSize,
    /// The engine's driver that keeps the log.
    pub(crate) log_driver: String,
    /// The engine that has the container; absent in older handles, and for an engine that has no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) engine: Option<EngineId>,
}

/// The labels of a new container: the job's own, then Longshore's, which no job can set.
pub(crate) fn of_request(request: &LaunchRequest, metadata: &Metadata) -> HashMap<String, String> {
    let template = &request.plan.template;
    let mut labels: HashMap<String, String> =
        template.labels.iter().map(|(key, value)| (key.to_string(), value.as_str().to_owned())).collect();
    let mut add = |key: &str, value: String| labels.insert(key.to_owned(), value);
    add(OWNER, request.owner.to_string());
    add(TOKEN, request.token.to_string());
    add(JOB, request.token.job().to_string());
    add(ATTEMPT, request.token.attempt().to_string());
    add(HOST, request.plan.host.to_string());
    add(TEMPLATE, template.name.to_string());
    add(CREATED, request.created_at.to_string());
    add(LOG_CAP, metadata.log_cap.bytes().to_string());
    add(LOG_DRIVER, metadata.log_driver.clone());
    if let Some(engine) = &metadata.engine {
        add(ENGINE, engine.to_string());
    }
    if let Some(principal) = &request.created_by {
        add(USER, principal.name.clone());
    }
    labels
}

/// The label, with its value, of everything that belongs to a host.
pub(crate) fn of_host(host: &HostName) -> String {
    format!("{HOST}={host}")
}

/// Whose container it is, as its labels say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) owner: Owner,
    pub(crate) token: LaunchToken,
    pub(crate) metadata: Metadata,
}

impl Identity {
    /// `None` for a container that is not Longshore's on this host.
    pub(crate) fn read(labels: &HashMap<String, String>, host: &HostName) -> Option<Self> {
        let label = |key: &str| labels.get(key);
        if label(HOST)? != host.as_str() {
            return None;
        }
        let log_cap = label(LOG_CAP)?.parse().ok().and_then(ByteSize::from_bytes)?;
        Some(Self {
            owner: label(OWNER)?.parse().ok()?,
            token: label(TOKEN)?.parse().ok()?,
            metadata: Metadata {
                log_cap,
                log_driver: label(LOG_DRIVER)?.clone(),
                engine: label(ENGINE).cloned().map(EngineId::new),
            },
        })
    }

    /// The handle of the container with the given id.
    pub(crate) fn handle(&self, id: &str, executor_type: &ExecutorType, host: &HostName) -> ExecutionHandle {
        let metadata = serde_json::to_value(&self.metadata).unwrap_or_default();
        ExecutionHandle::new(executor_type.clone(), host.clone(), self.token, HANDLE_VERSION, id, metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(engine: Option<&str>) -> HashMap<String, String> {
        let token = "ls-019237a45c1e7f008000000000000001-1";
        let labels = [(OWNER, "me"), (TOKEN, token), (HOST, "kit"), (LOG_CAP, "1024"), (LOG_DRIVER, "local")];
        let labels = labels.into_iter().chain(engine.map(|engine| (ENGINE, engine)));
        labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn the_engine_of_a_container_is_in_its_handle() {
        let (host, kind) = ("kit".parse().unwrap(), "docker".parse().unwrap());
        let metadata = |engine| {
            let identity = Identity::read(&labels(engine), &host).unwrap();
            identity.handle("4f0c", &kind, &host).executor_metadata
        };
        assert_eq!(
            metadata(Some("DQOT:IW4T")),
            json!({ "log_cap": 1024, "log_driver": "local", "engine": "DQOT:IW4T" })
        );
        assert_eq!(metadata(None), json!({ "log_cap": 1024, "log_driver": "local" }));
    }

    #[test]
    fn metadata_of_older_handles_names_no_engine() {
        let older = json!({ "log_cap": 1048576, "log_driver": "local" });
        let metadata: Metadata = serde_json::from_value(older.clone()).unwrap();
        assert_eq!((metadata.engine.clone(), serde_json::to_value(metadata).unwrap()), (None, older));
    }
}
