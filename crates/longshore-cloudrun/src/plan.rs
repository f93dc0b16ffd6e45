//! What this host will do for a job: decided over its operator's settings and Cloud Run's own limits.

use longshore_core::{
    Allow, ByteSize, CheckedJob, ContainerExecutor, Error, ErrorKind, GpuRequest, HostFacts, HostSettings, ImageSource,
    JobTemplate, Network, Plan, Result, SecretBinding, SecretDelivery, SecretReference,
};
use std::time::Duration;

use crate::{
    config::{CloudRunConfig, CloudRunOptions},
    mapping::{
        job::{Frozen, SECRETS_FOLDER, secret_version},
        resources::Size,
    },
};

/// How much longer than Longshore's own limit the provider's is, which ends a job that nobody is there to stop.
const BEHIND: Duration = Duration::from_secs(120);
/// The longest value of a variable, in bytes (<https://cloud.google.com/run/quotas>).
const LONGEST_VARIABLE: usize = 32 << 10;
/// The most variables of a container, and the most arguments (<https://cloud.google.com/run/quotas>).
const MOST_VARIABLES: usize = 1000;
const MOST_ARGUMENTS: usize = 1000;
/// Variables that Cloud Run sets itself (<https://cloud.google.com/run/docs/container-contract#jobs-env-vars>).
const RESERVED_VARIABLES: [&str; 6] = [
    "CLOUD_RUN_JOB",
    "CLOUD_RUN_EXECUTION",
    "CLOUD_RUN_TASK_INDEX",
    "CLOUD_RUN_TASK_ATTEMPT",
    "CLOUD_RUN_TASK_COUNT",
    "CLOUD_RUN_TIMEOUT_SECONDS",
];
/// What a graphics processor needs beside it (<https://cloud.google.com/run/docs/configuring/jobs/gpu>).
const GPU_CPU_MILLIS: u32 = 4000;
const GPU_MEMORY_GIB: u64 = 16;
const GPU_MODEL: &str = "nvidia-l4";
/// The memory of one such processor.
const GPU_OWN_MEMORY_GIB: u64 = 24;

/// Makes the plan, or says what can't be done and the way out.
pub(crate) fn plan(
    job: &CheckedJob<'_>,
    executor: &dyn ContainerExecutor,
    (config, region): (&CloudRunConfig, &str),
    allow: &Allow,
    facts: &HostFacts,
) -> Result<Plan> {
    let template = job.template();
    let options = CloudRunOptions::from_value(template.executor_options.get(executor.executor_type()))?;
    allow.check(template)?;
    refuse_impossible(template, facts)?;
    let mut plan = Plan::granting(job, executor, HostSettings::new(Frozen::VERSION, serde_json::Value::Null));
    grant_resources(&mut plan)?;
    grant_defaults(&mut plan, config);
    let frozen = Frozen {
        project: config.project.clone(),
        region: region.to_owned(),
        timeout_seconds: timeout(&plan.template, config)?,
        service_account: service_account(&options, config)?,
        vpc: config.vpc.clone(),
        execution_environment: options.execution_environment.or(config.execution_environment),
        accelerator: template.resources.gpu.as_ref().map(accelerator).transpose()?,
    };
    plan.host_settings.settings = serde_json::to_value(&frozen)
        .map_err(|error| Error::new(ErrorKind::Unexpected, "the host's settings can't be stored").with_source(error))?;
    plan.notice("Cloud Logging keeps lines of text: a last line without a line break gets one, bytes that are not UTF-8 are replaced, and lines of JSON come as what they said; the log will be marked as lossy");
    Ok(plan)
}

fn grant_resources(plan: &mut Plan) -> Result<()> {
    let asked = plan.template.resources.clone();
    let (mut cpu, mut memory) = (asked.cpu, asked.memory);
    if asked.gpu.is_some() {
        cpu = cpu.max(longshore_core::Cpu::from_millis(GPU_CPU_MILLIS));
        memory = memory.max(ByteSize::from_bytes(GPU_MEMORY_GIB << 30));
    }
    let granted = Size::of(cpu, memory).and_then(Size::units).ok_or_else(|| {
        let message = "resources.cpu and resources.memory are more than Cloud Run has: 8 CPUs and 32 GiB are the most";
        Error::new(ErrorKind::Unsupported, message)
    })?;
    let reason = |asked: bool| match asked {
        true => "the next larger size of Cloud Run: 1, 2, 4, 6 or 8 CPUs, each with its range of memory",
        false => "the smallest size of Cloud Run that has the rest",
    };
    if asked.cpu != Some(granted.0) {
        plan.adjust("resources.cpu", granted.0, reason(asked.cpu.is_some()));
    }
    if asked.memory != Some(granted.1) {
        plan.adjust("resources.memory", granted.1, reason(asked.memory.is_some()));
    }
    (plan.template.resources.cpu, plan.template.resources.memory) = (Some(granted.0), Some(granted.1));
    let in_memory: u64 = plan.template.tmpfs.iter().filter_map(|it| it.size).map(ByteSize::bytes).sum();
    if in_memory >= granted.1.bytes() {
        let message = format!("tmpfs takes all of the job's memory, {}; ask for more in resources.memory", granted.1);
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

fn grant_defaults(plan: &mut Plan, config: &CloudRunConfig) {
    if plan.template.log_cap.is_none() {
        plan.template.log_cap = Some(config.log_cap);
        plan.adjust("log_cap", config.log_cap, "the host's default");
    }
    if plan.template.run_timeout.is_none() {
        let limit = config.max_run_time.0.min(longest_run(&plan.template));
        plan.template.run_timeout = Some(limit);
        let reason = match limit == config.max_run_time.0 {
            true => "the host's default: Cloud Run ends every task at some time",
            false => "Cloud Run's limit for a job with a graphics processor",
        };
        plan.adjust("run_timeout", format!("{limit:?}"), reason);
    }
    if plan.template.network.is_none() {
        let reason = match config.vpc {
            Some(_) => "Cloud Run's own network with a way out, and the host's private network",
            None => "Cloud Run's own network with a way out",
        };
        plan.adjust("network", Network::Private, reason);
    }
}

/// How long Cloud Run lets such a job run.
const fn longest_run(template: &JobTemplate) -> Duration {
    match template.resources.gpu {
        Some(_) => CloudRunConfig::LONGEST_RUN_WITH_GPU,
        None => CloudRunConfig::LONGEST_RUN,
    }
}

/// The provider's own limit for a job with this one, in seconds.
fn timeout(template: &JobTemplate, config: &CloudRunConfig) -> Result<u64> {
    let (limit, longest) = (template.run_timeout.unwrap_or(config.max_run_time.0), longest_run(template));
    if limit > longest {
        let hours = longest.as_secs() / 3600;
        let which = if template.resources.gpu.is_some() { "a job with a graphics processor" } else { "any job" };
        let message = format!("run_timeout = {limit:?} is longer than Cloud Run lets {which} run, {hours}h");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    // A limit in a fraction of a second would be refused.
    let limit = (limit + BEHIND).min(longest);
    Ok((limit.as_secs() + u64::from(limit.subsec_nanos() > 0)).max(1))
}

fn service_account(options: &CloudRunOptions, config: &CloudRunConfig) -> Result<Option<String>> {
    match &options.service_account {
        Some(chosen)
            if config.service_account.as_ref() != Some(chosen) && !config.service_accounts.contains(chosen) =>
        {
            let field = "executor_options.cloudrun.service_account";
            Err(Allow::refusal(field, chosen, "the account's name in executor_config.service_accounts"))
        }
        Some(chosen) => Ok(Some(chosen.clone())),
        None => Ok(config.service_account.clone()),
    }
}

fn accelerator(gpu: &GpuRequest) -> Result<String> {
    let unsupported = |message: &str| Err(Error::new(ErrorKind::Unsupported, format!("resources.gpu: {message}")));
    if gpu.count.get() > 1 {
        return unsupported("a job on Cloud Run has one graphics processor at most");
    }
    if gpu.vendor.as_deref().is_some_and(|vendor| vendor != "nvidia") {
        return unsupported("Cloud Run has graphics processors of nvidia only");
    }
    let own_memory = GPU_OWN_MEMORY_GIB << 30;
    if gpu.model.is_none() && gpu.minimum_memory.is_some_and(|least| least.bytes() > own_memory) {
        return unsupported("the usual model, nvidia-l4, has 24 GiB; name another in resources.gpu.model");
    }
    Ok(gpu.model.clone().unwrap_or_else(|| GPU_MODEL.to_owned()))
}

/// What Cloud Run can't do.
fn refuse_impossible(template: &JobTemplate, facts: &HostFacts) -> Result<()> {
    refuse_image(template)?;
    refuse_secrets(&template.secrets)?;
    refuse_variables(template)?;
    refuse_arguments(template)?;
    let paths = template.mounts.iter().map(|it| &it.target).chain(template.tmpfs.iter().map(|it| &it.target));
    for path in paths {
        let is_taken = ["/dev", "/proc", "/sys"].iter().any(|own| path == own || path.starts_with(&format!("{own}/")));
        if path.contains(':') || is_taken || path == SECRETS_FOLDER {
            return unsupported(&format!("mounts and tmpfs: Cloud Run mounts nothing at {path}; choose another path"));
        }
    }
    match &template.platform {
        Some(platform) if !facts.platforms.iter().any(|offered| platform.runs_on(offered)) => {
            unsupported(&format!("platform = {platform} is not what Cloud Run runs: linux/amd64"))
        }
        _ => Ok(()),
    }
}

/// Cloud Run itself fetches from Artifact Registry, its forerunner, and Docker Hub
/// (<https://cloud.google.com/run/docs/deploying#images>).
fn refuse_image(template: &JobTemplate) -> Result<()> {
    let ImageSource::Registry(reference) = &template.image else { return Ok(()) };
    let known = |host: &str| {
        let google = ["gcr.io", "pkg.dev"].iter().any(|own| host == *own || host.ends_with(&format!(".{own}")));
        google || host == "docker.io" || host.ends_with(".docker.io")
    };
    match reference.registry() {
        Some(host) if !known(host) => unsupported(&format!(
            "image: Cloud Run fetches from Artifact Registry (*.pkg.dev, gcr.io) and Docker Hub, and not from {host}; make a remote repository for it (https://cloud.google.com/artifact-registry/docs/repositories/remote-overview)"
        )),
        _ => Ok(()),
    }
}

fn refuse_secrets(secrets: &[SecretBinding]) -> Result<()> {
    for secret in secrets {
        if !matches!(secret.reference, SecretReference::Provider(_)) {
            return unsupported(&format!(
                "secrets.{}: a value of this machine would stand readable in the job; keep it in Secret Manager, and write provider:NAME or provider:NAME:VERSION",
                secret.name
            ));
        }
        let (name, version) = secret_version(secret);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
        if name.is_empty() || version.is_empty() || !name.chars().chain(version.chars()).all(allowed) {
            let message = format!(
                "secrets.{}: write provider:NAME, provider:NAME:VERSION, or projects/PROJECT/secrets/ before the name",
                secret.name
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    if secrets.iter().filter(|secret| secret.delivery == SecretDelivery::File).count() > 1 {
        return unsupported(
            "secrets: Cloud Run mounts one secret at a folder, so that only one can be a file below /run/secrets; deliver the others as variables",
        );
    }
    Ok(())
}

fn refuse_variables(template: &JobTemplate) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    let secrets = template.secrets.iter().filter(|it| it.delivery == SecretDelivery::Env).map(|it| it.name.as_str());
    let names: Vec<&str> = template.env.iter().map(|it| it.name.as_str()).chain(secrets).collect();
    if let Some(name) = names.iter().find(|name| RESERVED_VARIABLES.contains(name)) {
        return invalid(format!("env: Cloud Run sets {name} itself; choose another name"));
    }
    if names.len() > MOST_VARIABLES {
        return invalid(format!("env: Cloud Run takes {MOST_VARIABLES} variables at most; here are {}", names.len()));
    }
    match template.env.iter().find(|it| it.value.len() > LONGEST_VARIABLE) {
        Some(it) => {
            invalid(format!("env: the value of {} is longer than Cloud Run takes, {LONGEST_VARIABLE} bytes", it.name))
        }
        None => Ok(()),
    }
}

fn refuse_arguments(template: &JobTemplate) -> Result<()> {
    if template.command.as_ref().is_some_and(Vec::is_empty) && template.args.is_empty() {
        return unsupported(
            "command: Cloud Run can't tell an empty one from none; leave it out, or give an entrypoint",
        );
    }
    let arguments = template.command.as_ref().map_or(0, Vec::len) + template.args.len();
    if arguments > MOST_ARGUMENTS {
        let message = format!("args: Cloud Run takes {MOST_ARGUMENTS} arguments at most; here are {arguments}");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

fn unsupported(message: &str) -> Result<()> {
    Err(Error::new(ErrorKind::Unsupported, message.to_owned()))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
