//! A canary: a secret that the job can read, and that is found nowhere else.

use longshore_core::{
    Capability, ErrorKind, JobId, JobTemplate, Progress, SecretBinding, SecretDelivery, SecretName, SecretReference,
};
use std::{fmt::Debug, io::Write};

use super::demands::undeclared;
use crate::kit::{
    case::{Case, Execution},
    failure::{CaseResult, holds, refused},
    traces::Traces,
};

cases! { "secrets":
    a_file_reaches_the_job_and_nobody_else,
    a_variable_reaches_the_job_and_nobody_else,
    a_files_bytes_are_kept,
    a_variable_is_announced_to_be_readable,
    a_secret_that_is_missing_launches_nothing,
}

/// A secret's value and where it is kept; the file lives as long as this does.
struct Canary {
    value: String,
    reference: SecretReference,
    _file: Option<tempfile::NamedTempFile>,
}

impl Canary {
    async fn new(case: &Case) -> CaseResult<Self> {
        let value = format!("canary-{}", JobId::new(case.clock.now()).as_uuid().simple());
        Self::of(case, value).await
    }

    async fn of(case: &Case, value: String) -> CaseResult<Self> {
        if let Some(reference) = case.harness.store_secret(value.as_bytes()).await? {
            return Ok(Self { value, reference, _file: None });
        }
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(value.as_bytes())?;
        file.flush()?;
        let reference = format!("file:{}", file.path().display()).parse()?;
        Ok(Self { value, reference, _file: Some(file) })
    }
}

const NAME: &str = "KIT_CANARY";

/// The template with the secret bound; `None` where this delivery is not declared, which the case has then proven
/// to be refused.
fn bound(
    case: &Case,
    mut template: JobTemplate,
    canary: &Canary,
    delivery: SecretDelivery,
) -> CaseResult<Option<JobTemplate>> {
    let (capability, binding) = match delivery {
        SecretDelivery::File => {
            (Capability::SecretFiles, SecretBinding::file(SecretName::new(NAME)?, canary.reference.clone()))
        }
        _ => (Capability::SecretVariables, SecretBinding::env(SecretName::new(NAME)?, canary.reference.clone())),
    };
    template.secrets.push(binding);
    if case.has(capability) {
        return Ok(Some(template));
    }
    undeclared(case, &template, capability)?;
    Ok(None)
}

/// All that was shown to somebody in the course of an execution.
#[derive(Default)]
struct Shown(Vec<(&'static str, String)>);

impl Shown {
    fn add(&mut self, what: &'static str, text: impl Into<String>) {
        self.0.push((what, text.into()));
    }

    fn debug(&mut self, what: &'static str, value: &impl Debug) {
        self.add(what, format!("{value:?} {value:#?}"));
    }

    fn without(&self, secret: &str) -> CaseResult {
        let leak = self.0.iter().find(|(_, text)| text.contains(secret));
        holds(leak.is_none(), format!("no secret is shown; it is in {}", leak.map_or("nothing", |(what, _)| what)))
    }
}

/// Sees the running execution through, and collects all that is shown of it on the way.
async fn shown_of(case: &Case, execution: &Execution, shown: &mut Shown) -> CaseResult {
    let Execution { request, handle } = execution;
    shown.add("the stored request", serde_json::to_string(request)?);
    shown.debug("the request's Debug", request);
    shown.add("the stored handle", serde_json::to_string(handle)?);
    shown.debug("the handle's Debug", handle);
    shown.debug("the executor's Debug", &case.executor);
    shown.debug("the host's facts", &case.executor.facts());
    shown.debug("the search for the launch", &case.executor.find_launch(request).await);
    shown.debug("an early harvest", &case.executor.harvest_job(handle).await);
    shown.debug("the status", &case.executor.check_status(handle).await);
    shown.debug("an early cleanup", &case.executor.cleanup(handle).await.map_err(|error| error.chain()));
    shown.debug("the second launch", &relaunched(case, execution).await);
    let mut foreign = request.clone();
    foreign.owner = case.another_owner()?;
    shown.debug("the search by another owner", &case.executor.find_launch(&foreign).await);
    if case.has(Capability::ListOwned) {
        let owned = case.executor.list_owned(&case.owner).await?;
        shown.add("the stored list", serde_json::to_string(&owned)?);
        shown.debug("the list's Debug", &owned);
    }
    shown.debug("the end", &case.end_now(execution).await?);
    let finished = case.finish(execution.clone()).await?;
    shown.add("the stored harvest", serde_json::to_string(&finished.harvest)?);
    shown.debug("the final status", &case.status(execution).await?);
    Ok(())
}

/// What a second launch of the same token says; nothing where it must not be sent.
async fn relaunched(
    case: &Case,
    execution: &Execution,
) -> Option<longshore_core::Result<longshore_core::ExecutionHandle>> {
    if case.is_best_effort() {
        return None;
    }
    Some(case.executor.launch_job(&execution.request).await)
}

async fn kept_from_everybody_else(case: &Case, delivery: SecretDelivery, reading: &str) -> CaseResult {
    let traces = Traces::begin();
    let canary = Canary::new(case).await?;
    let script = [reading.to_owned(), "print".to_owned(), case.keep_running()];
    let Some(template) = bound(case, case.template(script), &canary, delivery)? else { return Ok(()) };
    let mut shown = Shown::default();
    let plan = case.plan(template.clone())?;
    shown.add("the stored plan", serde_json::to_string(&plan)?);
    shown.debug("the plan's Debug", &plan);
    let execution = case.launch_template(template).await?;
    case.says(&execution, &canary.value).await?;
    shown_of(case, &execution, &mut shown).await?;
    case.cleanup(&execution).await?;
    shown.debug("the status after cleanup", &case.status(&execution).await?);
    shown.add("the traces", traces.text());
    shown.without(&canary.value)
}

async fn a_file_reaches_the_job_and_nobody_else(case: &Case) -> CaseResult {
    kept_from_everybody_else(case, SecretDelivery::File, &format!("read /run/secrets/{NAME}")).await
}

async fn a_variable_reaches_the_job_and_nobody_else(case: &Case) -> CaseResult {
    kept_from_everybody_else(case, SecretDelivery::Env, &format!("env {NAME}")).await
}

/// Line breaks, blanks and characters of any alphabet, with no line break added at the end.
async fn a_files_bytes_are_kept(case: &Case) -> CaseResult {
    let canary = Canary::of(case, " first line\n\n\tsecond: ünïcödé 🚢\r\nlast, without an end".to_owned()).await?;
    let script = [format!("read /run/secrets/{NAME}")];
    let Some(template) = bound(case, case.template(script), &canary, SecretDelivery::File)? else { return Ok(()) };
    let execution = case.launch_template(template).await?;
    let finished = case.finish(execution).await?;
    finished.exited(0)?;
    case.same_output("the secret that the job reads", &finished.log.stdout, canary.value.as_bytes())
}

async fn a_variable_is_announced_to_be_readable(case: &Case) -> CaseResult {
    let canary = Canary::new(case).await?;
    let template = case.template(["exit 0"]);
    let Some(template) = bound(case, template, &canary, SecretDelivery::Env)? else { return Ok(()) };
    let plan = case.plan(template)?;
    let provider_keeps_it = matches!(canary.reference, SecretReference::Provider(_));
    let announced = plan.notices.iter().any(|notice| notice.contains(NAME) || notice.contains("secret"));
    holds(
        announced || provider_keeps_it,
        format!("the plan says who can read a secret that is given as a variable; found {:?}", plan.notices),
    )
}

async fn a_secret_that_is_missing_launches_nothing(case: &Case) -> CaseResult {
    let canary = Canary::new(case).await?;
    let missing = match &canary.reference {
        SecretReference::Provider(reference) => format!("provider:{reference}-of-nobody"),
        _ => "file:/no/such/folder/of/the/kit".to_owned(),
    };
    let canary = Canary { reference: missing.parse()?, ..canary };
    for delivery in [SecretDelivery::File, SecretDelivery::Env] {
        let Some(template) = bound(case, case.template(["exit 0"]), &canary, delivery)? else { continue };
        let request = case.request(template)?;
        let answer = match case.executor.prepare(&request, Progress::ignored()).await {
            Ok(()) => case.executor.launch_job(&request).await,
            Err(error) => Err(error),
        };
        let error = refused("a launch whose secret is missing", answer, &[ErrorKind::SecretUnavailable])?;
        let named = error.chain().contains(NAME) || error.chain().contains("no/such/folder");
        let provider_keeps_it = matches!(canary.reference, SecretReference::Provider(_));
        holds(named || provider_keeps_it, format!("the refusal names the secret; found {error}"))?;
        case.nothing_of(&request).await?;
    }
    Ok(())
}
