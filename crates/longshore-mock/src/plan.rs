//! What a mock host will do for a job: decided over its configuration and facts, and nothing else.

use longshore_core::{
    Allow, ByteSize, Capability, CheckedJob, ContainerExecutor, Cpu, Error, ErrorKind, GpuRequest, HostFacts,
    HostSettings, JobTemplate, LaunchIdempotency, MountSource, Network, Plan, Result, SecretDelivery, SecretReference,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{behaviour::Behaviour, config::MockConfig};

/// The settings of the host that a launch needs, as they were when it was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frozen {
    /// The memory of a job that names no limit.
    pub(crate) memory: ByteSize,
}

impl Frozen {
    const VERSION: u32 = 1;

    pub(crate) fn of(plan: &Plan) -> Result<Self> {
        let settings = &plan.host_settings;
        if settings.version > Self::VERSION {
            let message = format!(
                "the plan is of version {} and this version reads up to {}; use the newer Longshore that made it",
                settings.version,
                Self::VERSION
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Self::deserialize(&settings.settings).map_err(|error| {
            Error::new(ErrorKind::Invalid, "the host's settings in the plan are not readable").with_source(error)
        })
    }
}

/// Makes the plan, or says what can't be done and the way out.
pub(crate) fn plan(
    job: &CheckedJob<'_>,
    executor: &dyn ContainerExecutor,
    config: &MockConfig,
    image_folders: &BTreeSet<PathBuf>,
    facts: &HostFacts,
) -> Result<Plan> {
    let template = job.template();
    Behaviour::from_options(template.executor_options.get(executor.executor_type()))?;
    refuse_unallowed(template, image_folders)?;
    refuse_missing(template, config, facts)?;
    refuse_endless(template, executor)?;
    refuse_values(template, config)?;
    let settings = serde_json::json!(Frozen { memory: config.memory });
    let mut plan = Plan::granting(job, executor, HostSettings::new(Frozen::VERSION, settings));
    grant_resources(&mut plan, config)?;
    grant_the_rest(&mut plan, config);
    Ok(plan)
}

/// An image that lies where the host's operator does not allow it. What else jobs may reach, the configuration has.
fn refuse_unallowed(template: &JobTemplate, image_folders: &BTreeSet<PathBuf>) -> Result<()> {
    match template.image.local() {
        Some(local) if !image_folders.iter().any(|folder| Path::new(local.path()).starts_with(folder)) => {
            Err(Allow::refusal("image", &local.to_string(), "its folder, or one above it, in allow.image_folders"))
        }
        _ => Ok(()),
    }
}

/// What this host does not have.
fn refuse_missing(template: &JobTemplate, config: &MockConfig, facts: &HostFacts) -> Result<()> {
    if let Some(platform) = &template.platform
        && !facts.platforms.iter().any(|offered| platform.runs_on(offered))
    {
        let offered: Vec<String> = facts.platforms.iter().map(ToString::to_string).collect();
        return Err(unsupported(format!("platform {platform}: the host runs {}", offered.join(", "))));
    }
    if let Some(Network::Named(name)) = &template.network
        && !config.networks.contains(name)
    {
        return Err(unsupported(format!("network {name}: the host has none of this name; see `networks`")));
    }
    for mount in &template.mounts {
        if let MountSource::Bind(folder) = &mount.source
            && !config.folders.contains_key(folder)
        {
            return Err(unsupported(format!("mounts {folder}: the host has no such folder for jobs; see `folders`")));
        }
    }
    match &template.resources.gpu {
        Some(asked) if !config.gpu.as_ref().is_some_and(|offered| gpu_fits(asked, offered)) => Err(unsupported(
            format!("resources.gpu: the host does not have {} of what is asked; see `gpu`", asked.count),
        )),
        _ => Ok(()),
    }
}

fn gpu_fits(asked: &GpuRequest, offered: &GpuRequest) -> bool {
    let named = |asked: &Option<String>, offered: &Option<String>| asked.is_none() || asked == offered;
    asked.count <= offered.count
        && named(&asked.vendor, &offered.vendor)
        && named(&asked.model, &offered.model)
        && asked.minimum_memory <= offered.minimum_memory
}

/// A limit on time that nobody could keep.
fn refuse_endless(template: &JobTemplate, executor: &dyn ContainerExecutor) -> Result<()> {
    let limits = [("start_timeout", template.start_timeout), ("run_timeout", template.run_timeout)];
    let limit = limits.into_iter().find(|(_, limit)| limit.is_some());
    match limit {
        Some((field, _)) if !executor.capabilities().has(Capability::Stop) => {
            Err(unsupported(format!("{field}: this executor can't stop what takes too long; leave it out")))
        }
        _ => Ok(()),
    }
}

/// A provider that knows a launch by its bytes must get the same bytes each time: references that it resolves itself.
fn refuse_values(template: &JobTemplate, config: &MockConfig) -> Result<()> {
    if !matches!(config.launch, LaunchIdempotency::ByToken { .. }) {
        return Ok(());
    }
    let secrets = template.secrets.iter().map(|secret| ("secrets", &secret.reference));
    let password = template.registry_credentials.iter().map(|it| ("registry_credentials", &it.password));
    match secrets.chain(password).find(|(_, reference)| !matches!(reference, SecretReference::Provider(_))) {
        Some((field, reference)) => Err(unsupported(format!(
            "{field} {reference}: a launch by token sends no values; keep it with the provider and use provider:NAME"
        ))),
        None => Ok(()),
    }
}

fn grant_resources(plan: &mut Plan, config: &MockConfig) -> Result<()> {
    if !config.limits {
        drop_limits(plan);
    }
    let asked = plan.template.resources.clone();
    if let Some(asked) = asked.memory {
        let step = config.memory_step.map_or(1, ByteSize::bytes);
        let granted = asked.bytes().checked_next_multiple_of(step).and_then(ByteSize::from_bytes);
        let most = config.memory;
        let granted = granted.filter(|granted| *granted <= most).ok_or_else(|| too_much("memory", asked, most))?;
        if granted != asked {
            plan.template.resources.memory = Some(granted);
            plan.adjust(
                "resources.memory",
                granted,
                format!("memory is granted in steps of {}", shown(config.memory_step)),
            );
        }
    }
    if let Some(asked) = asked.cpu {
        let step = config.cpu_step.map_or(1, Cpu::millis);
        let granted = asked.millis().checked_next_multiple_of(step).and_then(Cpu::from_millis);
        let most = config.cpu;
        let granted = granted.filter(|granted| *granted <= most).ok_or_else(|| too_much("cpu", asked, most))?;
        if granted != asked {
            plan.template.resources.cpu = Some(granted);
            plan.adjust("resources.cpu", granted, format!("CPU is granted in steps of {}", shown(config.cpu_step)));
        }
    }
    Ok(())
}

fn drop_limits(plan: &mut Plan) {
    let limits = &mut plan.template.resources;
    let asked = [
        ("resources.memory", limits.memory.take().is_some()),
        ("resources.cpu", limits.cpu.take().is_some()),
        ("resources.pids", limits.pids.take().is_some()),
    ];
    for (field, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        plan.drop_demand(field, "jobs can't be held to limits here; see `limits`");
    }
}

fn shown(step: Option<impl ToString>) -> String {
    step.map(|step| step.to_string()).unwrap_or_default()
}

/// What the host decides or leaves out, and what the user should know.
fn grant_the_rest(plan: &mut Plan, config: &MockConfig) {
    if plan.template.log_cap.is_none() {
        plan.template.log_cap = Some(config.log_cap);
        plan.adjust("log_cap", config.log_cap, "the host's default");
    }
    if !plan.template.network_aliases.is_empty() {
        plan.template.network_aliases.clear();
        plan.drop_demand("network_aliases", "nobody else is on the networks of a mock");
    }
    if plan.template.mounts.iter().any(|mount| matches!(mount.source, MountSource::Volume(_))) {
        plan.notice("each execution sees its volumes empty: a mock shares no files between executions");
    }
    let variables = plan.template.secrets.iter().filter(|secret| secret.delivery == SecretDelivery::Env);
    let variables: Vec<&str> = variables.map(|secret| secret.name.as_str()).collect();
    if !variables.is_empty() {
        let names = variables.join(", ");
        plan.notice(format!(
            "secrets delivered as variables ({names}) can be read by the platform's administrators; files under /run/secrets can't"
        ));
    }
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, message).with_operation("plan")
}

fn too_much(what: &str, asked: impl ToString, most: impl ToString) -> Error {
    let (asked, most) = (asked.to_string(), most.to_string());
    unsupported(format!("resources.{what} {asked}: a job can have {most} here at most"))
}
