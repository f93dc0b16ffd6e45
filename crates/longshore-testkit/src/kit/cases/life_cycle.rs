//! The calling order of the contract, from the first look at the host to the last trace of an execution.

use longshore_core::{CheckedJob, ErrorKind, ExecutionStatus, LaunchRequest, Plan, Progress};
use std::time::Duration;

use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, refused, same},
};

cases! { "life_cycle":
    every_step_by_hand,
    discovery_may_be_repeated,
    health_is_good,
    nothing_is_planned_before_discovery,
    a_plan_is_pure_and_answers_every_demand,
    statuses_only_go_forward,
    times_are_told_and_measured,
    what_is_stored_is_read_again,
}

async fn every_step_by_hand(case: &Case) -> CaseResult {
    let executor = case.harness.executor().await?;
    same("what a fresh instance has discovered", executor.facts().is_some(), false)?;
    executor.discover().await?;
    let job = case.job(case.template(["print by hand", "exit 3"]));
    let plan = executor.plan(&CheckedJob::new(&job, executor.as_ref())?)?;
    same("the plan's executor", &plan.executor_type, executor.executor_type())?;
    same("the plan's host", &plan.host, executor.host())?;
    let request = LaunchRequest::new(&job, 1, plan, case.owner.clone(), case.clock.now(), case.limit());
    case.will_launch(&request);
    executor.prepare(&request, Progress::ignored()).await?;
    executor.prepare(&request, Progress::channel().0).await?;
    let handle = executor.launch_job(&request).await?;
    same("the handle's token", handle.token, request.token)?;
    same("the handle's executor", &handle.executor_type, executor.executor_type())?;
    same("the handle's host", &handle.host, executor.host())?;
    let termination = case.end_on(executor.as_ref(), &handle).await?;
    same("the exit code", termination.exit_code, Some(3))?;
    let log = case.log_on(executor.as_ref(), &handle).await?;
    same("the output", log.text().trim_end(), "by hand")?;
    same("the end that is harvested", executor.harvest_job(&handle).await?.termination, termination)?;
    executor.cleanup(&handle).await?;
    same("the status after cleanup", executor.check_status(&handle).await?, ExecutionStatus::NotFound)
}

async fn discovery_may_be_repeated(case: &Case) -> CaseResult {
    let executor = case.harness.executor().await?;
    for _ in 0..3 {
        let facts = executor.discover().await?;
        holds(!facts.engine.is_empty(), "the facts name what answers there")?;
        same("the facts that are kept", executor.facts(), Some(facts))?;
    }
    Ok(())
}

async fn health_is_good(case: &Case) -> CaseResult {
    let health = case.executor.check_health().await?;
    holds(!health.findings.is_empty(), "a look at the host's health finds something to tell")?;
    holds(health.is_good(), format!("a place on which cases run is in good health; found: {health:?}"))
}

async fn nothing_is_planned_before_discovery(case: &Case) -> CaseResult {
    let executor = case.harness.executor().await?;
    let job = case.job(case.template(["exit 0"]));
    let answer = executor.plan(&CheckedJob::new(&job, executor.as_ref())?);
    refused("a plan before the first discovery", answer, &[ErrorKind::Unavailable])?;
    Ok(())
}

async fn a_plan_is_pure_and_answers_every_demand(case: &Case) -> CaseResult {
    let job = case.job(case.template(["exit 0"]));
    let checked = CheckedJob::new(&job, case.executor.as_ref())?;
    let plan = case.executor.plan(&checked)?;
    same("the second plan for the same job", case.executor.plan(&checked)?, plan.clone())?;
    for demand in checked.demands() {
        let answered = plan.grants.iter().any(|grant| grant.field == demand.field);
        holds(answered, format!("the plan says what became of {}", demand.field))?;
    }
    let unexplained = plan.grants.iter().find(|grant| grant.asked != grant.granted && grant.reason.is_none());
    same("what is not granted as asked, without a reason", unexplained, None)
}

async fn statuses_only_go_forward(case: &Case) -> CaseResult {
    let execution = case.launch([case.sleep(500), "exit 0".to_owned()]).await?;
    let mut furthest = 0;
    let mut since = None;
    let end = case
        .until("the execution ends", async || {
            let status = case.status(&execution).await?;
            let stage = stage_of(&status)?;
            holds(stage >= furthest, format!("a status never goes back; found {status:?}"))?;
            furthest = stage;
            if let ExecutionStatus::Running { started_at } = &status {
                since = since.or(*started_at);
            }
            Ok(status.termination().cloned())
        })
        .await?;
    case.clock.sleep(case.paced(50)).await;
    same("the status after the end", case.status(&execution).await?, ExecutionStatus::Terminated(end.clone()))?;
    holds(since.is_none() || since == end.started_at, "the time of the start stays the same")
}

fn stage_of(status: &ExecutionStatus) -> CaseResult<u8> {
    match status {
        ExecutionStatus::Pending => Ok(0),
        ExecutionStatus::Running { .. } => Ok(1),
        ExecutionStatus::Terminated(_) => Ok(2),
        other => Err(Halt::broken(format!("an execution that exists is never reported as {other:?}"))),
    }
}

async fn times_are_told_and_measured(case: &Case) -> CaseResult {
    let finished = case.run([case.sleep(1500), "exit 0".to_owned()]).await?;
    let ran = finished.termination().run_time();
    let wall = finished.harvest.usage.wall_time;
    let (least, most) = (Duration::from_millis(1000), case.limit());
    holds(
        ran.is_none_or(|ran| (least..most).contains(&ran)),
        format!("the run time is that of the program; found {ran:?}"),
    )?;
    holds((least..most).contains(&wall), format!("the wall time is that of the program; found {wall:?}"))
}

async fn what_is_stored_is_read_again(case: &Case) -> CaseResult {
    let finished = case.run(["print stored"]).await?;
    let request = &finished.execution.request;
    let again: LaunchRequest = serde_json::from_str(&serde_json::to_string(request)?)?;
    same("the request", &again, request)?;
    let plan: Plan = serde_json::from_str(&serde_json::to_string(&request.plan)?)?;
    same("the plan", &plan, &request.plan)?;
    let handle = serde_json::from_str(&serde_json::to_string(&finished.execution.handle)?)?;
    same("the handle", &finished.execution.handle, &handle)?;
    let harvest = serde_json::from_str(&serde_json::to_string(&finished.harvest)?)?;
    same("the harvest", &finished.harvest, &harvest)
}
