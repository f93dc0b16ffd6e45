//! One token, one execution: whoever launches it, however often.

use jiff::SignedDuration;
use longshore_core::{Advice, CheckedJob, ErrorKind, ExecutionStatus, LaunchRequest, LaunchSearch};
use std::time::Duration;

use crate::kit::{
    case::{Case, Execution},
    failure::{CaseResult, Halt, holds, refused, same},
    proof::GREETING,
};

cases! { "launching":
    a_token_launched_again_is_the_same_execution,
    a_token_launched_five_times_at_once_is_one_execution,
    a_finished_execution_is_not_run_again,
    a_restarted_program_launches_the_same_execution,
    a_launch_that_is_dropped_can_be_called_again,
    the_token_of_another_owner_is_refused,
    each_attempt_is_an_execution_of_its_own,
    a_request_past_its_deadline_is_refused_unsent,
    what_was_never_launched_is_absent,
    what_was_launched_is_found,
}

/// A request as another program would have it, which found it in a database.
fn from_storage(request: &LaunchRequest) -> CaseResult<LaunchRequest> {
    Ok(serde_json::from_str(&serde_json::to_string(request)?)?)
}

/// A best-effort provider has nothing by which a twin could be told: for it, only a look is asked for, and it must
/// not deny what was launched.
async fn looked_up_at_least(case: &Case, execution: &Execution) -> CaseResult {
    if let Some(found) = case.find(case.executor.as_ref(), &execution.request).await? {
        same("the execution that is found", &found.external_execution_id, &execution.handle.external_execution_id)?;
    }
    case.ran_once(execution).await
}

async fn a_token_launched_again_is_the_same_execution(case: &Case) -> CaseResult {
    let execution = case.launch([GREETING, &case.sleep(300)]).await?;
    if case.is_best_effort() {
        return looked_up_at_least(case, &execution).await;
    }
    let again = case.executor.launch_job(&from_storage(&execution.request)?).await?;
    same("the execution of the second launch", &again.external_execution_id, &execution.handle.external_execution_id)?;
    case.ran_once(&execution).await
}

async fn a_token_launched_five_times_at_once_is_one_execution(case: &Case) -> CaseResult {
    let request = case.request_for([GREETING, &case.sleep(300)])?;
    if case.is_best_effort() {
        return looked_up_at_least(case, &case.launch_request(request).await?).await;
    }
    let restarted = case.restarted().await?;
    case.executor.prepare(&request, longshore_core::Progress::ignored()).await?;
    let executors = [&case.executor, &restarted, &case.executor, &restarted, &case.executor];
    let handles = futures::future::try_join_all(executors.map(|executor| executor.launch_job(&request))).await?;
    let first = handles[0].clone();
    let all_same = handles.iter().all(|handle| handle.external_execution_id == first.external_execution_id);
    holds(all_same, format!("five launches of one token give one execution; found {handles:?}"))?;
    case.ran_once(&Execution { request, handle: first }).await
}

async fn a_finished_execution_is_not_run_again(case: &Case) -> CaseResult {
    let execution = case.launch([GREETING, "exit 5"]).await?;
    let end = case.end(&execution).await?;
    if case.is_best_effort() {
        return looked_up_at_least(case, &execution).await;
    }
    let again = case.executor.launch_job(&execution.request).await?;
    same("the execution of the second launch", &again.external_execution_id, &execution.handle.external_execution_id)?;
    same("its status", case.executor.check_status(&again).await?, ExecutionStatus::Terminated(end))?;
    case.ran_once(&execution).await
}

async fn a_restarted_program_launches_the_same_execution(case: &Case) -> CaseResult {
    let execution = case.launch([GREETING, &case.sleep(300)]).await?;
    if case.is_best_effort() {
        return looked_up_at_least(case, &execution).await;
    }
    let restarted = case.restarted().await?;
    let again = case.launch_on(restarted.as_ref(), &from_storage(&execution.request)?).await?;
    same("the execution of the second launch", &again.external_execution_id, &execution.handle.external_execution_id)?;
    case.ran_once(&Execution { request: execution.request, handle: again }).await
}

/// The caller gives up after ever longer times; whatever each call had sent, the next one continues.
async fn a_launch_that_is_dropped_can_be_called_again(case: &Case) -> CaseResult {
    for patience in [0, 1, 3, 10, 30, 100, 300] {
        let request = case.request_for([GREETING])?;
        case.executor.prepare(&request, longshore_core::Progress::ignored()).await?;
        tokio::select! {
            biased;
            launched = case.executor.launch_job(&request) => { launched?; }
            () = case.clock.sleep(Duration::from_millis(patience)) => {}
        }
        let found = match case.executor.find_launch(&request).await? {
            LaunchSearch::Unprovable { .. } if case.is_best_effort() => continue,
            LaunchSearch::Found(handle) => handle,
            _ => case.executor.launch_job(&request).await?,
        };
        if !case.is_best_effort() {
            let again = case.executor.launch_job(&request).await?;
            same("the execution of the call after", &again.external_execution_id, &found.external_execution_id)?;
        }
        case.ran_once(&Execution { request, handle: found }).await?;
    }
    Ok(())
}

async fn the_token_of_another_owner_is_refused(case: &Case) -> CaseResult {
    let execution = case.launch([GREETING, &case.sleep(300)]).await?;
    let mut foreign = execution.request.clone();
    foreign.owner = case.another_owner()?;
    if !case.is_best_effort() {
        let answer = case.executor.launch_job(&foreign).await;
        let error = refused("a launch under a token that somebody else has used", answer, &[ErrorKind::Conflict])?;
        same("the advice", error.advice(), Advice::Permanent)?;
    }
    match case.executor.find_launch(&foreign).await {
        Ok(LaunchSearch::Found(handle)) => {
            return Err(Halt::broken(format!("one owner's execution is never handed to another; found {handle:?}")));
        }
        Err(error) if error.kind() != ErrorKind::Conflict => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    case.is_listed(&foreign, 0).await?;
    case.ran_once(&execution).await
}

async fn each_attempt_is_an_execution_of_its_own(case: &Case) -> CaseResult {
    let job = case.job(case.template([GREETING]));
    let mut ids = Vec::new();
    for attempt in 1..=3 {
        let plan = case.executor.plan(&CheckedJob::new(&job, case.executor.as_ref())?)?;
        let now = case.clock.now();
        let request = LaunchRequest::new(&job, attempt, plan, case.owner.clone(), now, case.limit());
        let execution = case.launch_request(request).await?;
        case.ran_once(&execution).await?;
        ids.push(execution.handle.external_execution_id);
    }
    ids.sort_unstable();
    ids.dedup();
    same("how many executions three attempts are", ids.len(), 3)
}

async fn a_request_past_its_deadline_is_refused_unsent(case: &Case) -> CaseResult {
    let mut request = case.request_for([GREETING])?;
    case.executor.prepare(&request, longshore_core::Progress::ignored()).await?;
    request.deadline = case.clock.now() - SignedDuration::from_secs(1);
    case.will_launch(&request);
    let answer = case.executor.launch_job(&request).await;
    refused("a launch past its deadline", answer, &[ErrorKind::DeadlinePassed])?;
    case.nothing_of(&request).await
}

async fn what_was_never_launched_is_absent(case: &Case) -> CaseResult {
    let request = case.request_for([GREETING])?;
    case.nothing_of(&request).await?;
    case.executor.prepare(&request, longshore_core::Progress::ignored()).await?;
    case.nothing_of(&request).await
}

async fn what_was_launched_is_found(case: &Case) -> CaseResult {
    let execution = case.launch([GREETING, &case.sleep(200)]).await?;
    let restarted = case.restarted().await?;
    for _ in 0..2 {
        let request = from_storage(&execution.request)?;
        if let Some(found) = case.find(restarted.as_ref(), &request).await? {
            same("the handle that is found", &found, &execution.handle)?;
        }
        case.ran_once(&execution).await?;
    }
    Ok(())
}
