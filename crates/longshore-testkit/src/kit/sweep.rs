//! Sweeping away all that a case has made, and finding out whether it had made more than it knew.

use longshore_core::{
    Capability, ContainerExecutor, Error, ErrorKind, ExecutionHandle, ExecutionStatus, LaunchSearch, LaunchToken,
    OwnedExecution, Owner,
};
use std::collections::BTreeSet;

use super::{
    case::{Case, Made},
    failure::CaseResult,
};

/// Ends and removes all that the case has made. What it returns is what should not have been there, or could not
/// be removed.
pub(crate) async fn sweep(case: &Case) -> CaseResult<Vec<String>> {
    let executor = case.restarted().await?;
    let made = std::mem::take(&mut *case.made());
    let mut complaints = Vec::new();
    let lists = case.has(Capability::ListOwned);
    for owner in made.owners.iter().filter(|_| lists) {
        let owned = executor.list_owned(owner).await?;
        complaints.extend(strangers(&owned, owner, &made));
        for execution in owned {
            complaints.extend(remove(case, executor.as_ref(), &execution.handle).await);
        }
    }
    for handle in handles(executor.as_ref(), &made).await {
        complaints.extend(remove(case, executor.as_ref(), &handle).await);
    }
    for owner in made.owners.iter().filter(|_| lists) {
        let left = executor.list_owned(owner).await?;
        complaints.extend(left.iter().map(|it| format!("is still listed after its cleanup: {}", it.handle.token)));
        executor.collect(owner).await?;
    }
    Ok(complaints)
}

/// What the owner has that the case never asked for, or has twice.
fn strangers(owned: &[OwnedExecution], owner: &Owner, made: &Made) -> Vec<String> {
    let mut seen: BTreeSet<LaunchToken> = BTreeSet::new();
    let mut complaints = Vec::new();
    for execution in owned {
        let token = execution.handle.token;
        let requested = made.requests.get(&token).is_some_and(|request| request.owner == *owner);
        if !requested && !made.tokens.contains(&token) {
            complaints.push(format!("{owner} has an execution that nobody asked for: {token}"));
        }
        if !seen.insert(token) {
            complaints.push(format!("{owner} has two executions of one token: {token}"));
        }
    }
    complaints
}

/// The handles that are known, and those that can be found.
async fn handles(executor: &dyn ContainerExecutor, made: &Made) -> Vec<ExecutionHandle> {
    let mut handles: Vec<ExecutionHandle> = made.handles.values().cloned().collect();
    for request in made.requests.values().filter(|request| !made.handles.contains_key(&request.token)) {
        if let Ok(LaunchSearch::Found(handle)) = executor.find_launch(request).await {
            handles.push(handle);
        }
    }
    handles
}

async fn remove(case: &Case, executor: &dyn ContainerExecutor, handle: &ExecutionHandle) -> Option<String> {
    let removed = match end(case, executor, handle).await {
        Ok(()) => executor.cleanup(handle).await,
        Err(error) if error.kind() == ErrorKind::NotFound => executor.cleanup(handle).await,
        Err(error) => Err(error),
    };
    removed.err().map(|error| format!("could not be ended and removed: {}: {}", handle.token, error.chain()))
}

async fn end(case: &Case, executor: &dyn ContainerExecutor, handle: &ExecutionHandle) -> Result<(), Error> {
    if !executor.check_status(handle).await?.is_live() {
        return Ok(());
    }
    if case.has(Capability::Stop) {
        return executor.stop_job(handle, &case.cancel_within(0)).await.map(|_| ());
    }
    let ended = case.until("the execution ends", async || {
        let status: ExecutionStatus = executor.check_status(handle).await?;
        Ok((!status.is_live()).then_some(()))
    });
    ended.await.map_err(|halt| Error::new(ErrorKind::Timeout, halt.to_string()))
}
