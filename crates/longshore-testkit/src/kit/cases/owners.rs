//! Everything that is created is owned, and an owner sees only its own.

use longshore_core::{Capability, ErrorKind, OwnedExecution, Owner, clock::since};
use std::time::Duration;

use crate::kit::{
    case::{Case, Execution},
    failure::{CaseResult, Halt, holds, refused, same},
};

cases! { "owners":
    an_owner_sees_only_its_own,
    an_owner_without_executions_has_none,
    what_is_listed_can_be_handled,
    definitions_nobody_uses_are_collected,
}

/// What the owner has; `None` where the executor has no lists and has said so.
async fn list(case: &Case, owner: &Owner) -> CaseResult<Option<Vec<OwnedExecution>>> {
    let answer = case.executor.list_owned(owner).await;
    if case.has(Capability::ListOwned) {
        return Ok(Some(answer?));
    }
    refused("a list that the executor does not declare", answer, &[ErrorKind::Unsupported])?;
    Ok(None)
}

async fn launch_for(case: &Case, owner: &Owner, script: Vec<String>) -> CaseResult<Execution> {
    let mut request = case.request_for(script)?;
    request.owner = owner.clone();
    Ok(case.launch_request(request).await?)
}

async fn an_owner_sees_only_its_own(case: &Case) -> CaseResult {
    let (first, second) = (case.owner.clone(), case.another_owner()?);
    let mut launched = Vec::new();
    for owner in [&first, &second, &first] {
        launched.push(launch_for(case, owner, vec!["print owned".to_owned(), case.keep_running()]).await?);
    }
    for owner in [&first, &second] {
        let Some(owned) = list(case, owner).await? else { return Ok(()) };
        let mut found: Vec<_> = owned.iter().map(|it| it.handle.token).collect();
        let mut expected: Vec<_> =
            launched.iter().filter(|it| it.request.owner == *owner).map(Execution::token).collect();
        found.sort_unstable();
        expected.sort_unstable();
        same("what the owner has", found, expected)?;
        holds(owned.iter().all(|it| it.live), format!("what runs is listed as live; found {owned:?}"))?;
    }
    Ok(())
}

async fn an_owner_without_executions_has_none(case: &Case) -> CaseResult {
    let somebody = case.launch(["exit 0"]).await?;
    case.end(&somebody).await?;
    let Some(owned) = list(case, &case.another_owner()?).await? else { return Ok(()) };
    same("what an owner has that has launched nothing", owned, vec![])
}

async fn what_is_listed_can_be_handled(case: &Case) -> CaseResult {
    let before = case.clock.now();
    let finished = case.run(["print listed", "exit 3"]).await?;
    let Some(owned) = list(case, &case.owner).await? else { return Ok(()) };
    let [listed] = owned.as_slice() else {
        return Err(Halt::broken(format!("the owner has its one execution; found {owned:?}")));
    };
    same("the listed handle", &listed.handle, &finished.execution.handle)?;
    same("whether it may still be running", listed.live, false)?;
    let apart = since(listed.created_at, before).max(since(before, listed.created_at));
    let rule = format!("it was created just now, at {before}; found {}", listed.created_at);
    holds(apart < case.limit() + Duration::from_secs(60), rule)?;
    same("its harvest", &case.executor.harvest_job(&listed.handle).await?, &finished.harvest)?;
    case.executor.cleanup(&listed.handle).await?;
    same("what is listed after cleanup", list(case, &case.owner).await?, Some(vec![]))
}

/// Collecting may be called at any time, and never touches what an execution still uses.
async fn definitions_nobody_uses_are_collected(case: &Case) -> CaseResult {
    let execution = case.launch(["print used".to_owned(), case.sleep(300), "exit 3".to_owned()]).await?;
    case.executor.collect(&case.owner).await?;
    let finished = case.finish(execution).await?;
    finished.exited(3)?;
    case.executor.collect(&case.owner).await?;
    same(
        "the harvest after collecting",
        &case.executor.harvest_job(&finished.execution.handle).await?,
        &finished.harvest,
    )?;
    case.cleanup(&finished.execution).await?;
    case.executor.collect(&case.owner).await?;
    same("what is left to collect", case.executor.collect(&case.owner).await?, 0)
}
