//! What is wrong in itself is refused before anything is launched, naming the field and the rule.

use longshore_core::{
    Capability, CheckedJob, EnvVar, ErrorKind, ExecutorType, JobTemplate, LabelKey, LabelValue, Mount, MountSource,
    Network, NetworkAlias, SecretBinding, SecretName, Tmpfs,
};
use std::time::Duration;

use crate::kit::{
    case::Case,
    failure::{CaseResult, holds, refused, same},
    witness::Witness,
};

cases! { "refusals":
    every_broken_rule_is_named_with_its_field,
    all_broken_rules_are_named_at_once,
    a_run_of_a_broken_job_launches_nothing,
    an_unknown_option_of_its_own_is_refused,
    options_of_another_executor_are_not_its_business,
}

/// A field of the template, and a way to break its rule that no type can prevent.
struct Breach {
    field: &'static str,
    make: fn(&mut JobTemplate) -> CaseResult,
}

macro_rules! breaches {
    ($($field:literal by |$template:ident| $make:expr),+ $(,)?) => {
        const BREACHES: &[Breach] = &[$(Breach { field: $field, make: |$template| { $make; Ok(()) } }),+];
    };
}

breaches! {
    "args" by |it| it.args.push("a\0b".to_owned()),
    "command" by |it| it.command = Some(vec!["a\0b".to_owned()]),
    "entrypoint" by |it| it.entrypoint = Some(vec![String::new()]),
    "env" by |it| it.env.extend([EnvVar::new("TWIN", "1")?, EnvVar::new("TWIN", "2")?]),
    "env" by |it| it.env.push(EnvVar::new("NUL", "a\0b")?),
    "secrets" by |it| it.secrets.extend([a_secret()?, a_secret()?]),
    "working_directory" by |it| it.working_directory = Some("relative".to_owned()),
    "working_directory" by |it| it.working_directory = Some("/a/../b".to_owned()),
    "user" by |it| it.user = Some("a user".to_owned()),
    "mounts" by |it| it.mounts.push(Mount::new(MountSource::Bind("/kit".to_owned()), "relative")),
    "mounts" by |it| it.mounts.push(Mount::new(MountSource::Bind("../kit".to_owned()), "/mnt")),
    "mounts" by |it| it.tmpfs.extend([Tmpfs::new("/twin", None), Tmpfs::new("/twin", None)]),
    "tmpfs" by |it| it.tmpfs.push(Tmpfs::new("/a//b", None)),
    "labels" by |it| it.labels.insert(LabelKey::new("longshore.kit")?, LabelValue::new("kit")?),
    "network_aliases" by |it| {
        it.network = Some(Network::None);
        it.network_aliases.push(NetworkAlias::new("kit")?);
    },
    "run_timeout" by |it| it.run_timeout = Some(Duration::ZERO),
    "start_timeout" by |it| it.start_timeout = Some(Duration::ZERO),
}

fn a_secret() -> CaseResult<SecretBinding> {
    Ok(SecretBinding::file(SecretName::new("twin")?, "file:/kit/no-such-file".parse()?))
}

async fn every_broken_rule_is_named_with_its_field(case: &Case) -> CaseResult {
    for breach in BREACHES {
        let mut template = case.template(["exit 0"]);
        (breach.make)(&mut template)?;
        let error = refused(breach.field, case.plan(template), &[ErrorKind::Invalid])?;
        holds(error.to_string().contains(breach.field), format!("the refusal names {}; found {error}", breach.field))?;
    }
    Ok(())
}

async fn all_broken_rules_are_named_at_once(case: &Case) -> CaseResult {
    let mut template = case.template(["exit 0"]);
    template.args.push("a\0b".to_owned());
    template.user = Some("a user".to_owned());
    template.run_timeout = Some(Duration::ZERO);
    let text = refused("three broken rules", case.plan(template), &[ErrorKind::Invalid])?.to_string();
    for field in ["args", "user", "run_timeout"] {
        holds(text.contains(field), format!("every field is named; {field} is not in {text}"))?;
    }
    Ok(())
}

async fn a_run_of_a_broken_job_launches_nothing(case: &Case) -> CaseResult {
    for breach in BREACHES {
        let mut template = case.template(["exit 0"]);
        (breach.make)(&mut template)?;
        let witness = Witness::willing();
        let ran = case.runner().run(&case.job(template), &witness).await;
        refused(breach.field, ran, &[ErrorKind::Invalid])?;
        same("what was launched", witness.handle(), None)?;
    }
    if case.has(Capability::ListOwned) {
        same("what the owner has", case.executor.list_owned(&case.owner).await?, vec![])?;
    }
    Ok(())
}

async fn an_unknown_option_of_its_own_is_refused(case: &Case) -> CaseResult {
    let mut template = case.template(["exit 0"]);
    let options = serde_json::json!({ "no_such_option_of_the_kit": true });
    template.executor_options.insert(case.executor.executor_type().clone(), options);
    let error = refused("an option that the executor does not know", case.plan(template), &[ErrorKind::Invalid])?;
    let chain = error.chain();
    holds(chain.contains("no_such_option_of_the_kit"), format!("the refusal names the option; found {chain}"))
}

async fn options_of_another_executor_are_not_its_business(case: &Case) -> CaseResult {
    let mut template = case.template(["exit 0"]);
    let options = serde_json::json!({ "no_such_option_of_the_kit": true });
    template.executor_options.insert(ExecutorType::new("kit-other")?, options);
    let job = case.job(template);
    case.executor.plan(&CheckedJob::new(&job, case.executor.as_ref())?)?;
    Ok(())
}
