//! Launches that can't succeed: told by kind, with nothing left behind.

use longshore_core::{Capability, Cause, Error, ErrorKind, JobTemplate, LaunchRequest};

use crate::kit::{
    case::{Case, Execution},
    failure::{CaseResult, holds, refused, same},
};

cases! { "starting":
    a_program_that_does_not_exist,
    a_program_that_can_not_be_executed,
    an_image_that_does_not_exist,
    an_image_that_may_not_be_fetched,
    a_failed_start_can_be_corrected,
}

/// What refused the launch; `None` when the provider accepts first and fails later, as an execution's end.
async fn refusal(case: &Case, template: JobTemplate) -> CaseResult<(LaunchRequest, Result<Execution, Error>)> {
    let request = case.request(template)?;
    Ok((request.clone(), case.launch_request(request).await))
}

async fn can_not_start(
    case: &Case,
    template: JobTemplate,
    kind: ErrorKind,
    cause: Cause,
    code: Option<i32>,
) -> CaseResult {
    let (request, answer) = refusal(case, template).await?;
    let Ok(execution) = answer else {
        let error = refused("a launch that can't succeed", answer, &[kind])?;
        holds(!error.message().is_empty(), "the refusal says what is wrong")?;
        return case.nothing_of(&request).await;
    };
    let end = case.end(&execution).await?;
    same("the cause of the end of what was accepted and could not start", end.cause, cause)?;
    holds(
        end.exit_code.is_none() || end.exit_code == code,
        format!("the exit code is a shell's; found {:?}", end.exit_code),
    )
}

/// Where an entrypoint can't be given, its template is refused by plan, and no program can be missing.
async fn entrypoint_is_refused(case: &Case, template: JobTemplate) -> CaseResult {
    super::demands::undeclared(case, &template, Capability::Entrypoint)
}

async fn a_program_that_does_not_exist(case: &Case) -> CaseResult {
    let template = case.harness.missing_program();
    if template.entrypoint.is_some() && !case.has(Capability::Entrypoint) {
        return entrypoint_is_refused(case, template).await;
    }
    can_not_start(case, template, ErrorKind::CommandNotFound, Cause::Invalid, Some(127)).await
}

async fn a_program_that_can_not_be_executed(case: &Case) -> CaseResult {
    let template = case.harness.unexecutable_program();
    if template.entrypoint.is_some() && !case.has(Capability::Entrypoint) {
        return entrypoint_is_refused(case, template).await;
    }
    can_not_start(case, template, ErrorKind::CommandNotExecutable, Cause::Invalid, Some(126)).await
}

async fn an_image_that_does_not_exist(case: &Case) -> CaseResult {
    can_not_start(case, case.harness.missing_image(), ErrorKind::ImageUnavailable, Cause::ImagePull, None).await
}

async fn an_image_that_may_not_be_fetched(case: &Case) -> CaseResult {
    let mut template = case.harness.missing_image();
    template.pull_policy = longshore_core::PullPolicy::Never;
    if !case.has(Capability::PullNever) {
        return super::demands::undeclared(case, &template, Capability::PullNever);
    }
    can_not_start(case, template, ErrorKind::ImageUnavailable, Cause::ImagePull, None).await
}

/// The failed attempt leaves no trace by which the next attempt at the same job could stumble.
async fn a_failed_start_can_be_corrected(case: &Case) -> CaseResult {
    let (failed, answer) = refusal(case, case.harness.missing_image()).await?;
    if let Ok(accepted) = &answer {
        case.end(accepted).await?;
    }
    let mut corrected = case.request_for(["print corrected"])?;
    corrected.token = longshore_core::LaunchToken::new(failed.token.job(), 2);
    let execution = case.launch_request(corrected).await?;
    case.finish(execution).await?.exited(0)
}
