//! How a program ended: the exit code as it is, the cause as far as the provider's evidence reaches.

use longshore_core::{Capability, Cause, JobStatus, JobTemplate, Signal, Termination};

use super::demands::{MEMORY, is_limited, launch_if_declared};
use crate::kit::{
    case::Case,
    failure::{CaseResult, holds, same},
    steps::{died_of, exited},
};

cases! { "exits":
    zero_completes,
    one_is_a_status_and_no_error,
    codes_that_shells_use_are_the_programs_own,
    a_137_of_its_own_is_an_exit,
    a_fatal_signal_of_its_own,
    a_sigterm_of_its_own_is_no_cancellation,
    want_of_memory,
}

async fn zero_completes(case: &Case) -> CaseResult {
    let finished = case.run(["print done", "exit 0"]).await?;
    finished.exited(0)?;
    same("the job's status", finished.termination().job_status(), JobStatus::Completed)
}

async fn one_is_a_status_and_no_error(case: &Case) -> CaseResult {
    let finished = case.run(["exit 1"]).await?;
    finished.exited(1)?;
    same("the job's status", finished.termination().job_status(), JobStatus::Failed)
}

async fn codes_that_shells_use_are_the_programs_own(case: &Case) -> CaseResult {
    for code in [42, 125, 126, 127] {
        let finished = case.run([format!("exit {code}")]).await?;
        finished.exited(code)?;
    }
    exited(case.run(["exit 255"]).await?.termination(), 255)
}

async fn a_137_of_its_own_is_an_exit(case: &Case) -> CaseResult {
    let finished = case.run(["exit 137"]).await?;
    exited(finished.termination(), 137)?;
    let complete = finished.termination().evidence.complete;
    same("the evidence, complete only where signals are told apart", complete, case.has(Capability::SignalEvidence))
}

/// The kernel keeps signals of its own from the first process of a container, so that the probe exits there as a
/// shell would say it; where it is not the first process it dies of the signal. Who can tell the two apart is in no
/// doubt either way.
#[track_caller]
fn raised(case: &Case, termination: &Termination, signal: Signal) -> CaseResult {
    let told_apart = case.has(Capability::SignalEvidence);
    if termination.cause == (Cause::Signalled { signal }) {
        return died_of(case, termination, signal);
    }
    exited(termination, 128 + i32::from(signal.number()))?;
    same("the evidence for an exit above 128 is complete", termination.evidence.complete, told_apart)
}

async fn a_fatal_signal_of_its_own(case: &Case) -> CaseResult {
    let finished = case.run(["print about to fail", "raise SEGV"]).await?;
    raised(case, finished.termination(), "SEGV".parse()?)?;
    same("the job's status", finished.termination().job_status(), JobStatus::Failed)?;
    same("the output before it", finished.log.text().trim_end(), "about to fail")
}

async fn a_sigterm_of_its_own_is_no_cancellation(case: &Case) -> CaseResult {
    let finished = case.run(["raise TERM"]).await?;
    raised(case, finished.termination(), Signal::TERM)?;
    same("the job's status", finished.termination().job_status(), JobStatus::Failed)
}

/// A template that takes so much memory under the harness's limit.
fn hungry(case: &Case, bytes: u64) -> JobTemplate {
    // Engines begin to watch for it a moment after the start.
    let script = ["print hungry".to_owned(), "sleep 500ms".to_owned(), format!("allocate {bytes}")];
    let mut template = case.template(script);
    template.resources.memory = Some(case.harness.memory_limit());
    template
}

/// The program takes four times what it was granted, which may be more than it asked for.
async fn want_of_memory(case: &Case) -> CaseResult {
    let asked = case.harness.memory_limit();
    if case.has(Capability::MemoryLimit) && !is_limited(case, MEMORY, &hungry(case, 1)).await? {
        return Ok(());
    }
    let granted = match case.has(Capability::MemoryLimit) {
        true => case.plan(hungry(case, 1))?.template.resources.memory.unwrap_or(asked),
        false => asked,
    };
    let template = hungry(case, granted.bytes() * 4);
    let Some(execution) = launch_if_declared(case, template, Capability::MemoryLimit).await? else {
        return Ok(());
    };
    let finished = case.finish(execution).await?;
    let termination = finished.termination();
    same("the job's status", termination.job_status(), JobStatus::Failed)?;
    if !case.has(Capability::OutOfMemoryEvidence) {
        return died_of(case, termination, Signal::KILL);
    }
    same("the cause of the end", termination.cause, Cause::OutOfMemory)?;
    same("the evidence is complete", termination.evidence.complete, true)?;
    holds(
        termination.exit_code.is_none_or(|code| code == 137),
        format!("the exit code is 137 or absent; found {:?}", termination.exit_code),
    )
}
