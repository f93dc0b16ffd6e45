//! Contact lost, and things done behind the executor's back.

use futures::StreamExt;
use longshore_core::{
    Advice, Capability, Cause, ContainerExecutor, Error, ErrorKind, ExecutionEvent, ExecutionStatus, JobStatus,
    LogQuery, Owner, Progress, Result, Signal,
};

use crate::kit::{
    Outside,
    case::{Case, Execution},
    failure::{CaseResult, Halt, holds, lost_contact, refused, same},
    proof::GREETING,
    steps::died_of,
    witness::Witness,
};

cases! { "contact":
    an_unreachable_provider_knows_nothing,
    an_unreachable_provider_launches_nothing,
    an_unreachable_provider_has_no_facts,
    a_kill_from_outside_is_no_cancellation,
    a_removal_from_outside_is_not_found,
    a_run_whose_execution_was_removed_is_lost,
}

async fn an_unreachable_provider_knows_nothing(case: &Case) -> CaseResult {
    let execution = case.launch(["print still here".to_owned(), case.keep_running()]).await?;
    let (handle, owner) = (&execution.handle, &case.owner);
    let cut_off = case.harness.unreachable_executor().await?;
    lost_contact("the status", cut_off.check_status(handle).await)?;
    lost_contact("the log", cut_off.get_logs(handle, &LogQuery::from_start()).await)?;
    lost_contact("the harvest", cut_off.harvest_job(handle).await)?;
    lost_contact("the cleanup", cut_off.cleanup(handle).await)?;
    lost_contact("the search for the launch", cut_off.find_launch(&execution.request).await)?;
    if case.has(Capability::Stop) {
        lost_contact("the stop", cut_off.stop_job(handle, &case.cancel_within(0)).await)?;
    }
    if case.has(Capability::ListOwned) {
        lost_contact("the list", cut_off.list_owned(owner).await)?;
    }
    if case.has(Capability::Events) {
        lost_contact("the events", first_event(case, cut_off.as_ref(), owner).await)?;
    }
    case.still_live(&execution).await
}

/// While the provider can't be reached there are no events, or one that admits a gap: both are lost contact.
async fn first_event(case: &Case, executor: &dyn ContainerExecutor, owner: &Owner) -> Result<ExecutionEvent> {
    let mut events = executor.events(owner).await?;
    let gap = || Error::new(ErrorKind::Unavailable, "the events admit a gap");
    tokio::select! {
        event = events.next() => match event {
            Some(ExecutionEvent::Gap) => Err(gap()),
            Some(event) => Ok(event),
            None => Err(Error::new(ErrorKind::Unexpected, "a stream of events never ends by itself")),
        },
        () = case.clock.sleep(case.paced(5_000)) => Err(gap()),
    }
}

async fn an_unreachable_provider_launches_nothing(case: &Case) -> CaseResult {
    let request = case.request_for([GREETING])?;
    let cut_off = case.harness.unreachable_executor().await?;
    let error = match cut_off.prepare(&request, Progress::ignored()).await {
        Ok(()) => lost_contact("the launch", cut_off.launch_job(&request).await)?,
        Err(error) => lost_contact("the preparation", Err::<(), _>(error))?,
    };
    holds(error.advice() != Advice::Permanent, "what can't be reached now may be reached later")?;
    case.nothing_of(&request).await
}

async fn an_unreachable_provider_has_no_facts(case: &Case) -> CaseResult {
    let cut_off = case.harness.unreachable_executor().await?;
    let error = lost_contact("the discovery", cut_off.discover().await)?;
    holds(!error.message().is_empty(), "the error says what was tried")?;
    same("what was discovered", cut_off.facts(), None)?;
    lost_contact("the look at its health", cut_off.check_health().await)?;
    Ok(())
}

/// Does something behind the executor's back, or shows the case as not offered.
fn done(outside: Outside) -> CaseResult {
    match outside {
        Outside::Done => Ok(()),
        Outside::Impossible(why) => Err(Halt::NotOffered(why.to_owned())),
    }
}

async fn launch_ready(case: &Case) -> CaseResult<Execution> {
    let execution = case.launch([GREETING.to_owned(), case.keep_running()]).await?;
    case.says(&execution, "hello").await?;
    Ok(execution)
}

async fn a_kill_from_outside_is_no_cancellation(case: &Case) -> CaseResult {
    let execution = launch_ready(case).await?;
    done(case.harness.kill_outside(&execution.handle).await?)?;
    let finished = case.finish(execution).await?;
    died_of(case, finished.termination(), Signal::KILL)?;
    holds(finished.termination().cause != Cause::Cancelled, "a kill that was not ours is no cancellation")?;
    same("the job's status", finished.termination().job_status(), JobStatus::Failed)
}

async fn a_removal_from_outside_is_not_found(case: &Case) -> CaseResult {
    let execution = launch_ready(case).await?;
    done(case.harness.remove_outside(&execution.handle).await?)?;
    let handle = &execution.handle;
    case.until("the execution is gone", async || {
        Ok((case.status(&execution).await? == ExecutionStatus::NotFound).then_some(()))
    })
    .await?;
    refused("its harvest", case.executor.harvest_job(handle).await, &[ErrorKind::NotFound])?;
    case.log_is_gone_or_over(handle).await?;
    case.is_listed(&execution.request, 0).await?;
    case.cleanup(&execution).await
}

async fn a_run_whose_execution_was_removed_is_lost(case: &Case) -> CaseResult {
    let job = case.job_to_run(case.template([GREETING.to_owned(), case.keep_running()]));
    let (runner, witness) = (case.runner(), Witness::willing());
    let remove = async {
        let handle = case.until("the run says something", async || Ok(witness.handle())).await?;
        case.until("the program says hello", async || Ok(witness.text().contains("hello").then_some(()))).await?;
        done(case.harness.remove_outside(&handle).await?)
    };
    let running = async { CaseResult::Ok(runner.run(&job, &witness).await?) };
    let (outcome, ()) = futures::try_join!(running, remove)?;
    same("the status of the run", outcome.status, JobStatus::Lost)?;
    holds(outcome.lost.is_some(), "the outcome says why the job is lost")?;
    same("what is harvested of a lost job", outcome.harvest, None)
}
