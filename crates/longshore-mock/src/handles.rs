//! Handles: how an execution of the mock is found again.

use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, ExecutionHandle, ExecutorType, HostName, LaunchToken, Result};
use serde::{Deserialize, Serialize};

/// The version of the handles that are written. Version 1 had no metadata, and found an execution by its id and token
/// alone; but the ids of every new provider begin with the same number.
pub(crate) const VERSION: u32 = 2;

/// What a handle of version 2 remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Metadata {
    /// When the execution was created: with it, the handle that an earlier program has stored does not find what has
    /// the same id and token in a provider that was made since.
    created_at: Timestamp,
}

/// What a handle says of its execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) id: String,
    pub(crate) token: LaunchToken,
    /// Absent in handles of version 1.
    pub(crate) created_at: Option<Timestamp>,
}

pub(crate) fn write(
    executor_type: &ExecutorType,
    host: &HostName,
    token: LaunchToken,
    id: &str,
    created_at: Timestamp,
) -> ExecutionHandle {
    let metadata = serde_json::json!({ "created_at": created_at });
    ExecutionHandle::new(executor_type.clone(), host.clone(), token, VERSION, id, metadata)
}

/// Reads a handle of this version or an older one, once it is known to be of this executor and host.
pub(crate) fn read(handle: &ExecutionHandle) -> Result<Reference> {
    let created_at = match handle.version {
        1 => None,
        _ => Some(metadata(handle)?.created_at),
    };
    Ok(Reference { id: handle.external_execution_id.clone(), token: handle.token, created_at })
}

fn metadata(handle: &ExecutionHandle) -> Result<Metadata> {
    Metadata::deserialize(&handle.executor_metadata).map_err(|error| {
        let message = format!("the metadata of a handle of version {} is not readable", handle.version);
        Error::new(ErrorKind::Invalid, message).with_context("token", handle.token).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::JobId;

    fn handle() -> ExecutionHandle {
        let token = LaunchToken::new(JobId::new(Timestamp::UNIX_EPOCH), 1);
        write(&"mock".parse().unwrap(), &"here".parse().unwrap(), token, "mock-1", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_is_written_is_read() {
        let handle = handle();
        let read = read(&handle).unwrap();
        assert_eq!(
            (read.id.as_str(), read.token, read.created_at),
            ("mock-1", handle.token, Some(Timestamp::UNIX_EPOCH))
        );
    }

    #[test]
    fn a_handle_of_version_1_has_no_metadata() {
        let mut old = handle();
        old.version = 1;
        old.executor_metadata = serde_json::Value::Null;
        assert_eq!(read(&old).unwrap().created_at, None);
        old.version = 2;
        assert_eq!(read(&old).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
