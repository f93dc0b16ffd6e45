//! Another program takes over: from the handle alone, at any moment.

use longshore_core::{Capability, ExecutionHandle, ExecutionStatus};

use crate::kit::{
    case::{Case, Execution},
    failure::{CaseResult, Halt, holds, same, same_bytes},
    log::Reader,
};

cases! { "adoption":
    a_running_execution_goes_on_under_another_program,
    a_running_execution_is_stopped_by_another_program,
    an_end_that_nobody_watched_is_told,
    a_log_goes_on_where_the_former_program_stopped,
    two_programs_see_the_same,
}

/// A handle as another program would have it, which found it in a database.
fn from_storage(handle: &ExecutionHandle) -> CaseResult<ExecutionHandle> {
    Ok(serde_json::from_str(&serde_json::to_string(handle)?)?)
}

async fn a_running_execution_goes_on_under_another_program(case: &Case) -> CaseResult {
    let launcher = case.restarted().await?;
    let request = case.request_for(["print before".to_owned(), case.sleep(800), "exit 4".to_owned()])?;
    let handle = from_storage(&case.launch_on(launcher.as_ref(), &request).await?)?;
    drop(launcher);
    let finished = case.finish(Execution { request, handle }).await?;
    finished.exited(4)?;
    same("the output", finished.log.text().as_str(), "before\n")?;
    case.cleanup(&finished.execution).await?;
    same("the status after cleanup", case.status(&finished.execution).await?, ExecutionStatus::NotFound)
}

async fn a_running_execution_is_stopped_by_another_program(case: &Case) -> CaseResult {
    let launcher = case.restarted().await?;
    let request = case.request_for(["ignore TERM".to_owned(), case.keep_running()])?;
    let handle = from_storage(&case.launch_on(launcher.as_ref(), &request).await?)?;
    drop(launcher);
    let execution = Execution { request, handle };
    case.still_live(&execution).await?;
    let Some(end) = case.stop(&execution, &case.cancel_within(0)).await? else { return Ok(()) };
    same("the status after the stop", case.status(&execution).await?, ExecutionStatus::Terminated(end))
}

async fn an_end_that_nobody_watched_is_told(case: &Case) -> CaseResult {
    let launcher = case.restarted().await?;
    let request = case.request_for(["print unwatched", "exit 6"])?;
    let handle = case.launch_on(launcher.as_ref(), &request).await?;
    drop(launcher);
    let witness = case.restarted().await?;
    case.end_on(witness.as_ref(), &handle).await?;
    drop(witness);
    let finished = case.finish(Execution { request, handle }).await?;
    finished.exited(6)?;
    same("the output", finished.log.text().as_str(), "unwatched\n")
}

/// Every page is read by a program of its own, while the job writes; not a byte is lost or doubled.
async fn a_log_goes_on_where_the_former_program_stopped(case: &Case) -> CaseResult {
    let mut script: Vec<String> = Vec::new();
    let mut expected = String::new();
    for line in 0..40 {
        script.extend([format!("print line {line} of the log"), case.sleep(20)]);
        expected.push_str(&format!("line {line} of the log\n"));
    }
    let execution = case.launch(script).await?;
    let mut reader = Reader::of(&execution.handle).in_pages_of(100);
    let mut programs = 0;
    while reader.ended.is_none() {
        let program = case.restarted().await?;
        reader.read(program.as_ref()).await?;
        programs += 1;
        holds(programs < 1_000, "a log of 40 lines ends after a thousand pages at the latest")?;
    }
    let log = reader.into_log();
    same_bytes("the log, put together from its pages", &log.stdout, expected.as_bytes())?;
    case.complete(&log.completeness()?)
}

async fn two_programs_see_the_same(case: &Case) -> CaseResult {
    let finished = case.run(["print seen by two", "exit 8"]).await?;
    let handle = &finished.execution.handle;
    let other = case.restarted().await?;
    let (first, second) = futures::join!(case.executor.harvest_job(handle), other.harvest_job(handle));
    same("what the two harvest", second?, first?)?;
    let log = case.log_on(other.as_ref(), handle).await?;
    same_bytes("what the other reads", &log.stdout, &finished.log.stdout)?;
    if !case.has(Capability::ListOwned) {
        return Ok(());
    }
    let owned = other.list_owned(&case.owner).await?;
    let listed = owned.iter().find(|it| it.handle.token == finished.execution.token());
    let listed = listed.ok_or_else(|| Halt::broken("what an owner has is listed for any of its programs"))?;
    same("the listed handle", &listed.handle, handle)?;
    same("whether it may still be running", listed.live, false)
}
