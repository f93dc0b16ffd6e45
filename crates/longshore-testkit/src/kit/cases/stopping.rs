//! Stopping: the signal, the grace, the kill, and the end confirmed.

use longshore_core::{
    Capability, Cause, ExecutionStatus, JobStatus, StopReason, StopRequest, Termination, clock::since,
};
use std::{sync::Arc, time::Duration};

use super::demands::launch_if_declared;
use crate::kit::{
    case::{Case, Execution},
    failure::{CaseResult, holds, same},
};

cases! { "stopping":
    grace_lets_the_program_end_by_itself,
    what_ignores_the_signal_is_killed_after_the_grace,
    no_grace_kills_at_once,
    a_time_limit_is_the_cause_when_it_is_the_reason,
    a_finished_execution_keeps_its_own_end,
    a_second_stop_with_less_grace_cuts_the_first_short,
    five_stops_at_once_agree,
    the_end_is_confirmed_and_harvested,
    another_program_stops_it,
    the_signal_is_the_one_that_the_job_names,
    output_before_the_stop_is_kept,
}

/// Launches the script and waits until the program says that it is ready for what comes.
async fn launch_ready(case: &Case, script: &[&str]) -> CaseResult<Execution> {
    let mut script: Vec<String> = script.iter().map(|&line| line.to_owned()).collect();
    script.extend(["print ready".to_owned(), case.keep_running()]);
    let execution = case.launch(script).await?;
    case.says(&execution, "ready").await?;
    Ok(execution)
}

#[track_caller]
fn was_cancelled(termination: &Termination) -> CaseResult {
    same("the cause of the end", termination.cause, Cause::Cancelled)?;
    same("the job's status", termination.job_status(), JobStatus::Cancelled)
}

async fn grace_lets_the_program_end_by_itself(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &[&format!("catch TERM 7 {}ms", case.paced(200).as_millis())]).await?;
    let asked_at = case.clock.now();
    let Some(termination) = case.stop(&execution, &case.cancel_within(30_000)).await? else { return Ok(()) };
    was_cancelled(&termination)?;
    if !case.has(Capability::StopGrace) {
        return Ok(());
    }
    same("the exit code that the program chose", termination.exit_code, Some(7))?;
    let took = since(case.clock.now(), asked_at);
    holds(took < case.paced(20_000), format!("a program that ends by itself is not waited for; the stop took {took:?}"))
}

async fn what_ignores_the_signal_is_killed_after_the_grace(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &["ignore TERM"]).await?;
    let asked_at = case.clock.now();
    let Some(termination) = case.stop(&execution, &case.cancel_within(2_000)).await? else { return Ok(()) };
    was_cancelled(&termination)?;
    let took = since(case.clock.now(), asked_at);
    let least = if case.has(Capability::StopGrace) { case.paced(1_900) } else { Duration::ZERO };
    holds(took >= least, format!("the grace is given in full; the stop took {took:?}"))?;
    holds(took < case.paced(30_000), format!("the kill comes after the grace; the stop took {took:?}"))
}

async fn no_grace_kills_at_once(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &["ignore TERM"]).await?;
    let asked_at = case.clock.now();
    let Some(termination) = case.stop(&execution, &case.cancel_within(0)).await? else { return Ok(()) };
    was_cancelled(&termination)?;
    let took = since(case.clock.now(), asked_at);
    holds(took < case.paced(10_000), format!("a stop without grace is a kill; it took {took:?}"))
}

async fn a_time_limit_is_the_cause_when_it_is_the_reason(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &[]).await?;
    let stop = StopRequest::new(StopReason::TimedOut, Duration::ZERO);
    let Some(termination) = case.stop(&execution, &stop).await? else { return Ok(()) };
    same("the cause of the end", termination.cause, Cause::TimedOut)?;
    same("the job's status", termination.job_status(), JobStatus::TimedOut)
}

async fn a_finished_execution_keeps_its_own_end(case: &Case) -> CaseResult {
    let execution = case.launch(["exit 3"]).await?;
    let end = case.end(&execution).await?;
    for reason in [StopReason::Cancelled, StopReason::TimedOut] {
        let stop = StopRequest::new(reason, case.paced(1_000));
        if case.has(Capability::Stop) {
            same("what the stop returns", case.executor.stop_job(&execution.handle, &stop).await?, end.clone())?;
        }
    }
    case.finish(execution).await?.exited(3)
}

async fn a_second_stop_with_less_grace_cuts_the_first_short(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &["ignore TERM"]).await?;
    if !case.has(Capability::Stop) {
        return case.stop(&execution, &case.cancel_within(0)).await.map(|_| ());
    }
    let asked_at = case.clock.now();
    let (patient, impatient) = (case.cancel_within(50_000), case.cancel_within(0));
    let second = async {
        case.clock.sleep(case.paced(500)).await;
        case.executor.stop_job(&execution.handle, &impatient).await
    };
    let (first, second) = futures::join!(case.executor.stop_job(&execution.handle, &patient), second);
    let first = first?;
    was_cancelled(&first)?;
    same("what the two stops return", second?, first)?;
    let took = since(case.clock.now(), asked_at);
    holds(took < case.paced(25_000), format!("less grace counts while another stop waits; both took {took:?}"))
}

async fn five_stops_at_once_agree(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &[]).await?;
    if !case.has(Capability::Stop) {
        return case.stop(&execution, &case.cancel_within(0)).await.map(|_| ());
    }
    let stop = case.cancel_within(1_000);
    let stops = (0..5).map(|_| case.executor.stop_job(&execution.handle, &stop));
    let ends = futures::future::try_join_all(stops).await?;
    was_cancelled(&ends[0])?;
    holds(ends.iter().all(|end| *end == ends[0]), format!("all stops return the same end; found {ends:?}"))
}

async fn the_end_is_confirmed_and_harvested(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &[]).await?;
    let Some(termination) = case.stop(&execution, &case.cancel_within(0)).await? else { return Ok(()) };
    let status = case.status(&execution).await?;
    same("the status right after the stop", status, ExecutionStatus::Terminated(termination.clone()))?;
    same("the end that is harvested", case.finish(execution).await?.termination(), &termination)
}

/// The program that launched it is gone; another one, which knows only the handle, stops it. Who asks afterwards is
/// told the reason or, where nothing keeps it, an end whose evidence is incomplete; never a foreign signal.
async fn another_program_stops_it(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &["ignore TERM"]).await?;
    if !case.has(Capability::Stop) {
        return case.stop(&execution, &case.cancel_within(0)).await.map(|_| ());
    }
    let other = case.restarted().await?;
    was_cancelled(&other.stop_job(&execution.handle, &case.cancel_within(0)).await?)?;
    drop(other);
    let third = case.restarted().await?;
    let told = case.end_on(third.as_ref(), &execution.handle).await?;
    holds(
        told.cause == Cause::Cancelled || !told.evidence.complete,
        format!("a later program is told of the stop, or that the evidence is incomplete; found {told:?}"),
    )
}

async fn the_signal_is_the_one_that_the_job_names(case: &Case) -> CaseResult {
    let caught = format!("catch USR1 9 {}ms", case.paced(100).as_millis());
    let mut template = case.template([caught, "print ready".to_owned(), case.keep_running()]);
    template.stop_signal = Some("USR1".parse()?);
    let Some(execution) = launch_if_declared(case, template, Capability::StopSignal).await? else { return Ok(()) };
    case.says(&execution, "ready").await?;
    let Some(termination) = case.stop(&execution, &case.cancel_within(30_000)).await? else { return Ok(()) };
    was_cancelled(&termination)?;
    let expected = if case.has(Capability::StopGrace) { Some(9) } else { termination.exit_code };
    same("the exit code that the program chose for the signal", termination.exit_code, expected)
}

async fn output_before_the_stop_is_kept(case: &Case) -> CaseResult {
    let execution = launch_ready(case, &["print first", "print second"]).await?;
    case.end_now(&execution).await?;
    let finished = case.finish(Execution::clone(&execution)).await?;
    same("the output", finished.log.text().as_str(), "first\nsecond\nready\n")?;
    let again = case.log_on(Arc::clone(&case.executor).as_ref(), &execution.handle).await?;
    same("the output, read again", again.stdout, finished.log.stdout)
}
