//! Harvest and cleanup: repeated, out of order, too early and too late.

use longshore_core::{ErrorKind, ExecutionStatus, LogQuery};

use crate::kit::{
    case::{Case, Execution},
    failure::{CaseResult, refused, same},
};

cases! { "settling":
    harvest_before_the_end_is_refused,
    harvest_twice_gives_the_same,
    harvest_deletes_nothing,
    cleanup_of_a_running_execution_is_refused_and_harmless,
    cleanup_twice_is_fine,
    after_cleanup_there_is_nothing,
    another_program_may_clean_up,
}

async fn harvest_before_the_end_is_refused(case: &Case) -> CaseResult {
    let execution = case.launch(["print running".to_owned(), case.keep_running()]).await?;
    for _ in 0..2 {
        let answer = case.executor.harvest_job(&execution.handle).await;
        refused("a harvest before the end", answer, &[ErrorKind::StillRunning])?;
    }
    case.still_live(&execution).await?;
    let end = case.end_now(&execution).await?;
    same("the end that is harvested then", case.finish(execution).await?.termination(), &end)
}

async fn harvest_twice_gives_the_same(case: &Case) -> CaseResult {
    let finished = case.run(["print harvested", "exit 2"]).await?;
    for _ in 0..3 {
        let again = case.executor.harvest_job(&finished.execution.handle).await?;
        same("the harvest", &again, &finished.harvest)?;
    }
    Ok(())
}

async fn harvest_deletes_nothing(case: &Case) -> CaseResult {
    let finished = case.run(["print still there", "exit 2"]).await?;
    let log = case.log(&finished.execution).await?;
    same("the log after the harvest", &log.stdout, &finished.log.stdout)?;
    let status = case.status(&finished.execution).await?;
    same("the status after the harvest", status, ExecutionStatus::Terminated(finished.termination().clone()))?;
    case.is_listed(&finished.execution.request, 1).await
}

async fn cleanup_of_a_running_execution_is_refused_and_harmless(case: &Case) -> CaseResult {
    let execution = case.launch(["print unharmed".to_owned(), case.keep_running()]).await?;
    case.says(&execution, "unharmed").await?;
    let answer = case.executor.cleanup(&execution.handle).await;
    refused("a cleanup of what still runs", answer, &[ErrorKind::StillRunning])?;
    case.still_live(&execution).await?;
    let end = case.end_now(&execution).await?;
    let finished = case.finish(execution).await?;
    same("the end that is harvested then", finished.termination(), &end)?;
    same("the output", finished.log.text().as_str(), "unharmed\n")
}

async fn cleanup_twice_is_fine(case: &Case) -> CaseResult {
    let finished = case.run(["exit 0"]).await?;
    for _ in 0..3 {
        case.cleanup(&finished.execution).await?;
    }
    let handle = &finished.execution.handle;
    let (first, second) = futures::join!(case.executor.cleanup(handle), case.executor.cleanup(handle));
    first?;
    Ok(second?)
}

async fn after_cleanup_there_is_nothing(case: &Case) -> CaseResult {
    let finished = case.run(["print soon gone"]).await?;
    case.cleanup(&finished.execution).await?;
    gone(case, &finished.execution).await?;
    case.is_listed(&finished.execution.request, 0).await
}

async fn another_program_may_clean_up(case: &Case) -> CaseResult {
    let finished = case.run(["print soon gone"]).await?;
    let other = case.restarted().await?;
    other.cleanup(&finished.execution.handle).await?;
    let handle = &finished.execution.handle;
    same("the status", case.status(&finished.execution).await?, ExecutionStatus::NotFound)?;
    refused("a harvest", case.executor.harvest_job(handle).await, &[ErrorKind::NotFound])?;
    case.log_is_gone_or_over(handle).await
}

/// What was cleaned up is not found, whichever way one asks.
async fn gone(case: &Case, execution: &Execution) -> CaseResult {
    let handle = &execution.handle;
    same("the status", case.status(execution).await?, ExecutionStatus::NotFound)?;
    refused("a harvest", case.executor.harvest_job(handle).await, &[ErrorKind::NotFound])?;
    refused("a log", case.executor.get_logs(handle, &LogQuery::from_start()).await, &[ErrorKind::NotFound])?;
    Ok(())
}
