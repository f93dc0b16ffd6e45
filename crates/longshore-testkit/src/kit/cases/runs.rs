//! The convenience layer on top of the executor: a job run to completion, stopped, timed out.

use longshore_core::{
    Capability, Cleanup, ErrorKind, ExecutionStatus, JobStatus, LogDelivery, RunOutcome, StopLevel, StopSwitch,
};
use std::time::Duration;

use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, refused, same},
    witness::{Told, Witness},
};

cases! { "runs":
    from_plan_to_cleanup,
    a_failing_program_is_an_outcome,
    what_outlives_its_time_limit_is_stopped,
    a_time_limit_that_races_the_exit_has_one_outcome,
    a_cancelled_run_ends_gracefully,
    a_run_cancelled_twice_is_killed,
    a_run_cancelled_before_its_launch_starts_nothing,
    a_run_cancelled_during_its_launch_ends,
    an_observer_that_fails_keeps_the_container,
    an_observer_that_is_frozen_does_not_freeze_the_job,
    a_kept_container_stays,
    several_runs_at_once,
}

/// Requires that the outcome is of one piece, and that the run has removed its container.
fn settled(outcome: &RunOutcome, status: JobStatus) -> CaseResult {
    same("the status of the run", outcome.status, status)?;
    let told = outcome.termination().map(longshore_core::Termination::job_status);
    same("the status that follows from the end", told, Some(status))?;
    holds(matches!(outcome.cleanup, Cleanup::Removed), format!("the run cleans up; found {:?}", outcome.cleanup))
}

async fn is_gone(case: &Case, outcome: &RunOutcome) -> CaseResult {
    let handle = outcome.handle.as_ref().ok_or_else(|| Halt::broken("the outcome holds the handle"))?;
    let status = case.restarted().await?.check_status(handle).await?;
    same("the status after the run", status, ExecutionStatus::NotFound)
}

async fn from_plan_to_cleanup(case: &Case) -> CaseResult {
    let job = case.job_to_run(case.template(["print run", "exit 0"]));
    let witness = Witness::willing();
    let outcome = case.runner().run(&job, &witness).await?;
    settled(&outcome, JobStatus::Completed)?;
    same("the output", witness.text().as_str(), "run\n")?;
    let told: Vec<Told> = witness.told().into_iter().filter(|told| !matches!(told, Told::Other | Told::Logs)).collect();
    same("what the run told", told, vec![Told::Planned, Told::Launched, Told::Terminated])?;
    match &outcome.logs {
        LogDelivery::Delivered(completeness) => case.complete(completeness)?,
        failed => return Err(Halt::broken(format!("the log is delivered; found {failed:?}"))),
    }
    is_gone(case, &outcome).await
}

async fn a_failing_program_is_an_outcome(case: &Case) -> CaseResult {
    let job = case.job_to_run(case.template(["print failing", "exit 17"]));
    let outcome = case.runner().run(&job, &Witness::willing()).await?;
    settled(&outcome, JobStatus::Failed)?;
    same("the exit code", outcome.exit_code(), Some(17))?;
    is_gone(case, &outcome).await
}

async fn what_outlives_its_time_limit_is_stopped(case: &Case) -> CaseResult {
    let mut template = case.template(["print too long".to_owned(), case.keep_running()]);
    template.run_timeout = Some(case.paced(1_500));
    if case.has(Capability::StopGrace) {
        template.stop_grace = Some(case.paced(300));
    }
    let witness = Witness::willing();
    let ran = case.runner().run(&case.job_to_run(template), &witness).await;
    if !case.has(Capability::Stop) {
        refused("a time limit where nothing can be stopped", ran, &[ErrorKind::Unsupported])?;
        return Ok(());
    }
    let outcome = ran?;
    settled(&outcome, JobStatus::TimedOut)?;
    holds(witness.told().contains(&Told::Stopping), "the observer is told of the stop")?;
    same("the output before it", witness.text().as_str(), "too long\n")?;
    is_gone(case, &outcome).await
}

/// The limit and the program's own end meet as closely as they can, many times; whichever comes first, there is one
/// end, and all who ask are told the same.
async fn a_time_limit_that_races_the_exit_has_one_outcome(case: &Case) -> CaseResult {
    if !case.has(Capability::Stop) {
        return what_outlives_its_time_limit_is_stopped(case).await;
    }
    for round in 0..4_u64 {
        let races = (0..5_u64).map(|step| race(case, Duration::from_millis(760 + round * 30 + step * 80)));
        futures::future::try_join_all(races).await?;
    }
    Ok(())
}

async fn race(case: &Case, limit: Duration) -> CaseResult {
    let mut template = case.template([case.sleep(1_000), "exit 0".to_owned()]);
    template.run_timeout = Some(limit * case.harness.pace());
    let outcome = case.runner().keeping(true).run(&case.job_to_run(template), &Witness::willing()).await?;
    let end = outcome.termination().ok_or_else(|| Halt::broken("a run that was raced is never lost"))?;
    same("the status that follows from the end", end.job_status(), outcome.status)?;
    let fits = matches!(outcome.status, JobStatus::Completed | JobStatus::TimedOut);
    holds(fits, format!("the job has completed or has timed out; found {:?}", outcome.status))?;
    let handle = outcome.handle.as_ref().ok_or_else(|| Halt::broken("the outcome holds the handle"))?;
    let status = case.executor.check_status(handle).await?;
    same("the end that is told afterwards", status, ExecutionStatus::Terminated(end.clone()))
}

/// Runs the template, and stops it at each level as soon as the program has said that it is ready.
async fn run_and_stop(
    case: &Case,
    script: [String; 3],
    levels: &[StopLevel],
    grace: Duration,
) -> CaseResult<Option<RunOutcome>> {
    let mut template = case.template(script);
    if case.has(Capability::StopGrace) {
        template.stop_grace = Some(grace);
    }
    let (switch, witness) = (StopSwitch::new(), Witness::willing());
    let job = case.job_to_run(template);
    let runner = case.runner().stopped_by(switch.clone());
    let stopping = async {
        case.until("the program is ready", async || Ok(witness.text().contains("ready").then_some(()))).await?;
        for level in levels {
            switch.stop(*level);
            case.clock.sleep(case.paced(300)).await;
        }
        CaseResult::Ok(())
    };
    let (ran, stopped) = futures::join!(runner.run(&job, &witness), stopping);
    stopped?;
    if case.has(Capability::Stop) {
        return Ok(Some(ran?));
    }
    refused("a stop where nothing can be stopped", ran, &[ErrorKind::Unsupported])?;
    Ok(None)
}

async fn a_cancelled_run_ends_gracefully(case: &Case) -> CaseResult {
    let script = ["catch TERM 5 100ms".to_owned(), "print ready".to_owned(), case.keep_running()];
    let Some(outcome) = run_and_stop(case, script, &[StopLevel::Graceful], case.paced(30_000)).await? else {
        return Ok(());
    };
    settled(&outcome, JobStatus::Cancelled)?;
    if case.has(Capability::StopGrace) {
        same("the exit code that the program chose", outcome.exit_code(), Some(5))?;
    }
    is_gone(case, &outcome).await
}

async fn a_run_cancelled_twice_is_killed(case: &Case) -> CaseResult {
    let script = ["ignore TERM".to_owned(), "print ready".to_owned(), case.keep_running()];
    let asked_at = case.clock.now();
    let levels = [StopLevel::Graceful, StopLevel::Kill];
    let Some(outcome) = run_and_stop(case, script, &levels, case.paced(50_000)).await? else { return Ok(()) };
    settled(&outcome, JobStatus::Cancelled)?;
    let took = longshore_core::clock::since(case.clock.now(), asked_at);
    holds(took < case.paced(40_000), format!("a second stop cuts the grace short; the run took {took:?}"))?;
    is_gone(case, &outcome).await
}

async fn a_run_cancelled_before_its_launch_starts_nothing(case: &Case) -> CaseResult {
    let switch = StopSwitch::new();
    switch.stop(StopLevel::Graceful);
    stopped_or_ended(case, switch, async || {}).await
}

async fn a_run_cancelled_during_its_launch_ends(case: &Case) -> CaseResult {
    for pause in [0, 2, 10, 40, 150] {
        let switch = StopSwitch::new();
        let later = async || {
            case.clock.sleep(Duration::from_millis(pause)).await;
            switch.stop(StopLevel::Graceful);
        };
        stopped_or_ended(case, switch.clone(), later).await?;
    }
    Ok(())
}

/// However early a run is stopped, either nothing was launched, or what was launched was stopped and removed.
async fn stopped_or_ended(case: &Case, switch: StopSwitch, meanwhile: impl AsyncFnOnce()) -> CaseResult {
    let job = case.job_to_run(case.template(["print early".to_owned(), case.keep_running()]));
    let witness = Witness::willing();
    let runner = case.runner().stopped_by(switch);
    let (ran, ()) = futures::join!(runner.run(&job, &witness), meanwhile());
    match ran {
        Ok(outcome) => settled(&outcome, JobStatus::Cancelled),
        Err(error) if error.kind() == ErrorKind::Unsupported && !case.has(Capability::Stop) => Ok(()),
        Err(error) => {
            same("what was launched by a run that says that it was stopped before", witness.handle(), None)?;
            holds(error.to_string().contains("stopped"), format!("the error says that it was stopped; found {error}"))
        }
    }
}

async fn an_observer_that_fails_keeps_the_container(case: &Case) -> CaseResult {
    let job = case.job_to_run(case.template(["print not to be lost", "exit 0"]));
    let outcome = case.runner().run(&job, &Witness::failing()).await?;
    same("the status of the run", outcome.status, JobStatus::Completed)?;
    holds(
        matches!(outcome.logs, LogDelivery::Failed(_)),
        format!("the log was not delivered; found {:?}", outcome.logs),
    )?;
    holds(
        matches!(outcome.cleanup, Cleanup::Kept { .. }),
        format!("the container is kept; found {:?}", outcome.cleanup),
    )?;
    let handle = outcome.handle.ok_or_else(|| Halt::broken("the outcome holds the handle"))?;
    let log = case.log_on(case.restarted().await?.as_ref(), &handle).await?;
    same("the log that was not lost", log.text().as_str(), "not to be lost\n")
}

/// The job writes far more than any pipe holds while its observer sleeps; it ends all the same, and all of its
/// output is there when the observer wakes up.
async fn an_observer_that_is_frozen_does_not_freeze_the_job(case: &Case) -> CaseResult {
    let job = case.job_to_run(case.template(["print first", "lines 60000 100", "exit 0"]));
    let (runner, witness) = (case.runner(), Witness::frozen());
    let releasing = async {
        let handle = case.until("the run is launched", async || Ok(witness.handle())).await?;
        let other = case.restarted().await?;
        let end = case.end_on(other.as_ref(), &handle).await;
        witness.release();
        end
    };
    let (ran, end) = futures::join!(runner.run(&job, &witness), releasing);
    let (outcome, end) = (ran?, end?);
    settled(&outcome, JobStatus::Completed)?;
    same("the end", outcome.termination(), Some(&end))?;
    let delivered = witness.logs.stdout().len();
    let summary = outcome.harvest.map(|harvest| harvest.logs.stdout_bytes);
    same("how much was delivered", Some(delivered as u64), summary)?;
    holds(delivered > 6_000_000, format!("all that was written is delivered; found {delivered} bytes"))
}

async fn a_kept_container_stays(case: &Case) -> CaseResult {
    let job = case.job_to_run(case.template(["print kept"]));
    let outcome = case.runner().keeping(true).run(&job, &Witness::willing()).await?;
    holds(
        matches!(outcome.cleanup, Cleanup::Kept { .. }),
        format!("the container is kept; found {:?}", outcome.cleanup),
    )?;
    let handle = outcome.handle.as_ref().ok_or_else(|| Halt::broken("the outcome holds the handle"))?;
    let again = case.restarted().await?.harvest_job(handle).await?;
    same("the harvest afterwards", Some(&again), outcome.harvest.as_ref())?;
    let log = case.log_on(case.restarted().await?.as_ref(), handle).await?;
    same("the log afterwards", log.text().as_str(), "kept\n")
}

async fn several_runs_at_once(case: &Case) -> CaseResult {
    let runs = (0..6).map(|index| async move {
        let job = case.job_to_run(case.template([format!("print run {index}"), format!("exit {index}")]));
        let witness = Witness::willing();
        let outcome = case.runner().run(&job, &witness).await?;
        same("the exit code", outcome.exit_code(), Some(index))?;
        same("the output", witness.text(), format!("run {index}\n"))?;
        is_gone(case, &outcome).await
    });
    futures::future::try_join_all(runs).await.map(|_| ())
}
