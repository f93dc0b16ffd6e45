//! Handles that are old, new, foreign, or of something that is gone.

use longshore_core::{
    Capability, ContainerExecutor, Error, ErrorKind, ExecutionHandle, ExecutionStatus, ExecutorType, HostName, LogQuery,
};

use crate::kit::{
    case::Case,
    failure::{CaseResult, holds, refused, same},
};

cases! { "handles":
    of_something_unknown,
    of_another_host,
    of_another_kind_of_executor,
    of_a_newer_version,
    of_every_older_version,
}

async fn of_something_unknown(case: &Case) -> CaseResult {
    let finished = case.run(["exit 0"]).await?;
    case.cleanup(&finished.execution).await?;
    let handle = &finished.execution.handle;
    let stranger = case.restarted().await?;
    same("the status of what is unknown", stranger.check_status(handle).await?, ExecutionStatus::NotFound)?;
    refused("its harvest", stranger.harvest_job(handle).await, &[ErrorKind::NotFound])?;
    refused("its log", stranger.get_logs(handle, &LogQuery::from_start()).await, &[ErrorKind::NotFound])?;
    let stop = stranger.stop_job(handle, &case.cancel_within(0)).await;
    let kind = if case.has(Capability::Stop) { ErrorKind::NotFound } else { ErrorKind::Unsupported };
    refused("its stop", stop, &[kind])?;
    Ok(stranger.cleanup(handle).await?)
}

/// The answers of every method that takes a handle.
async fn answers(
    case: &Case,
    executor: &dyn ContainerExecutor,
    handle: &ExecutionHandle,
) -> Vec<(&'static str, Option<Error>)> {
    let batch = executor.check_statuses(std::slice::from_ref(handle)).await;
    let mut answers = vec![
        ("check_status", executor.check_status(handle).await.err()),
        ("check_statuses", batch.into_iter().find_map(Result::err)),
        ("get_logs", executor.get_logs(handle, &LogQuery::from_start()).await.err()),
        ("harvest_job", executor.harvest_job(handle).await.err()),
        ("cleanup", executor.cleanup(handle).await.err()),
    ];
    if case.has(Capability::Stop) {
        answers.push(("stop_job", executor.stop_job(handle, &case.cancel_within(0)).await.err()));
    }
    answers
}

/// Requires that every method refuses the handle as invalid, naming why, and that the execution is unharmed.
async fn refused_everywhere(case: &Case, change: impl FnOnce(&mut ExecutionHandle), named: &str) -> CaseResult {
    let execution = case.launch(["print untouched".to_owned(), case.keep_running()]).await?;
    let mut changed = execution.handle.clone();
    change(&mut changed);
    for (method, error) in answers(case, case.executor.as_ref(), &changed).await {
        let error = refused(method, error.map_or(Ok(()), Err), &[ErrorKind::Invalid])?;
        holds(error.to_string().contains(named), format!("{method} names {named:?}; found: {error}"))?;
    }
    case.still_live(&execution).await
}

async fn of_another_host(case: &Case) -> CaseResult {
    let elsewhere = HostName::new("kit-elsewhere")?;
    refused_everywhere(case, |handle| handle.host = elsewhere, "kit-elsewhere").await
}

async fn of_another_kind_of_executor(case: &Case) -> CaseResult {
    let other = ExecutorType::new("kit-other")?;
    refused_everywhere(case, |handle| handle.executor_type = other, "kit-other").await
}

async fn of_a_newer_version(case: &Case) -> CaseResult {
    refused_everywhere(case, |handle| handle.version += 40_000, "400").await
}

/// What an older Longshore has written is read: the kit asks the harness for the handle in each of its older forms.
async fn of_every_older_version(case: &Case) -> CaseResult {
    let finished = case.run(["print of old", "exit 5"]).await?;
    let handle = &finished.execution.handle;
    let older = case.harness.older_handles(handle);
    let versions: Vec<u32> = older.iter().map(|older| older.version).collect();
    same("the older versions whose form the harness knows", versions, (1..handle.version).collect())?;
    for older in &older {
        let status = case.executor.check_status(older).await?;
        same("the status", status, ExecutionStatus::Terminated(finished.termination().clone()))?;
        same("the harvest", &case.executor.harvest_job(older).await?, &finished.harvest)?;
        let log = case.log_on(case.executor.as_ref(), older).await?;
        same("the log", &log.stdout, &finished.log.stdout)?;
    }
    let oldest = older.first().unwrap_or(handle);
    case.executor.cleanup(oldest).await?;
    same("the status after cleanup", case.executor.check_status(oldest).await?, ExecutionStatus::NotFound)
}
