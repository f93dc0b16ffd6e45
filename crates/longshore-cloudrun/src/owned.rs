//! What an owner has on a host.

use longshore_core::{ExecutorType, HostName, OwnedExecution, Owner, Result};

use crate::{
    client::Api,
    mapping::{answers::Execution, identity::Identity, state::has_ended},
};

/// The owner's executions on this host, and nobody else's.
pub(crate) async fn list(
    api: &Api,
    executor_type: &ExecutorType,
    host: &HostName,
    owner: &Owner,
) -> Result<Vec<OwnedExecution>> {
    let keep = |execution: Execution| {
        let identity = Identity::read(&execution.labels, &execution.annotations, host)?;
        if identity.owner != *owner || execution.delete_time.is_some() {
            return None;
        }
        let handle = identity.handle(execution.short_name(), executor_type, host);
        let created_at = execution.create_time.unwrap_or(identity.metadata.created_at);
        Some(OwnedExecution::new(handle, created_at, !has_ended(&execution)))
    };
    let mut owned = api.executions(|_, _| false, keep).await?;
    // Pages of a list that changes meanwhile may tell of one twice.
    owned.sort_unstable_by_key(|it| it.handle.token);
    owned.dedup_by_key(|it| it.handle.external_execution_id.clone());
    Ok(owned)
}
