//! Launches whose answer is lost: looked up, and never sent blindly again.

use longshore_core::{
    Advice, CapturedLogs, ExecutionHandle, JobStatus, LaunchRequest, LaunchSearch, Launched, Progress, launch_once,
};

use crate::kit::{
    Loss,
    case::{Case, Execution},
    failure::{CaseResult, Halt, holds, same},
    proof::GREETING,
};

cases! { "ambiguity":
    an_answer_lost_after_the_effect_is_found,
    a_launch_lost_before_the_effect_is_absent,
    launch_once_runs_it_once_when_the_answer_is_lost,
    launch_once_runs_it_once_when_the_launch_is_lost,
    a_run_whose_launch_was_lost_is_completed_or_lost,
}

/// Launches through a loss, and requires that the answer is an error which tells what to do.
async fn launch_into(case: &Case, loss: Loss) -> CaseResult<LaunchRequest> {
    let request = case.request_for([GREETING])?;
    case.executor.prepare(&request, Progress::ignored()).await?;
    let lossy = case.harness.lossy_executor(loss).await?;
    match lossy.launch_job(&request).await {
        Err(error) if loss == Loss::AfterEffect => same("the advice", error.advice(), Advice::LookUpFirst)?,
        Err(error) => holds(
            matches!(error.advice(), Advice::LookUpFirst | Advice::Temporary | Advice::After(_)),
            format!("the advice is to look up, or to try again later; found {:?}", error.advice()),
        )?,
        Ok(handle) => return Err(Halt::broken(format!("the harness loses this launch; found {handle:?}"))),
    }
    Ok(request)
}

async fn an_answer_lost_after_the_effect_is_found(case: &Case) -> CaseResult {
    let request = launch_into(case, Loss::AfterEffect).await?;
    let restarted = case.restarted().await?;
    match case.find(restarted.as_ref(), &request).await? {
        Some(handle) => case.ran_once(&Execution { request, handle }).await,
        None => case.is_listed(&request, 1).await,
    }
}

async fn a_launch_lost_before_the_effect_is_absent(case: &Case) -> CaseResult {
    let request = launch_into(case, Loss::BeforeEffect).await?;
    case.nothing_of(&request).await?;
    if case.executor.find_launch(&request).await? != LaunchSearch::Absent {
        return Ok(());
    }
    let execution = case.launch_request(request).await?;
    case.ran_once(&execution).await
}

/// What [`launch_once`] makes of a loss; `None` when it can't be proven, which only a best-effort provider may say.
async fn launched_once(case: &Case, loss: Loss) -> CaseResult<Option<(LaunchRequest, ExecutionHandle)>> {
    let request = case.request_for([GREETING])?;
    case.executor.prepare(&request, Progress::ignored()).await?;
    let lossy = case.harness.lossy_executor(loss).await?;
    match launch_once(lossy.as_ref(), &request, case.clock.as_ref(), &case.patience()).await? {
        Launched::Started(handle) => Ok(Some((request, handle))),
        Launched::Unprovable { .. } if case.is_best_effort() => Ok(None),
        other => Err(Halt::broken(format!("the launch is found or sent again; found {other:?}"))),
    }
}

async fn launch_once_runs_it_once_when_the_answer_is_lost(case: &Case) -> CaseResult {
    let Some((request, handle)) = launched_once(case, Loss::AfterEffect).await? else { return Ok(()) };
    case.ran_once(&Execution { request, handle }).await
}

async fn launch_once_runs_it_once_when_the_launch_is_lost(case: &Case) -> CaseResult {
    let Some((request, handle)) = launched_once(case, Loss::BeforeEffect).await? else { return Ok(()) };
    case.ran_once(&Execution { request, handle }).await
}

async fn a_run_whose_launch_was_lost_is_completed_or_lost(case: &Case) -> CaseResult {
    for loss in [Loss::AfterEffect, Loss::BeforeEffect] {
        let lossy = case.harness.lossy_executor(loss).await?;
        lossy.discover().await?;
        let job = case.job_to_run(case.template(["print through the loss"]));
        let captured = CapturedLogs::default();
        let outcome = case.runner_on(lossy).run(&job, &captured).await?;
        if case.is_best_effort() && outcome.status == JobStatus::Lost {
            same("what is harvested of a lost job", outcome.harvest, None)?;
            continue;
        }
        same("the status of the run", outcome.status, JobStatus::Completed)?;
        same("its output", captured.stdout().as_ref(), b"through the loss\n".as_slice())?;
    }
    Ok(())
}
