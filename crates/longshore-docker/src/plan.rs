//! What this host will do for a job: decided over its facts, its operator's allow-list and Docker's own limits.

use longshore_core::{
    Allow, ByteSize, CheckedJob, ContainerExecutor, Error, ErrorKind, HostFacts, HostSettings, JobTemplate, Network,
    Plan, Result, SecretDelivery, SecretReference, SecurityProfile,
};
use std::time::Duration;

use crate::{
    config::{DockerConfig, DockerOptions},
    identity::EngineId,
    mapping::{
        create::Frozen,
        facts::{DEFAULT_LOG_DRIVER, EXACT_LOG_DRIVERS, LIMITS, LOG_DRIVERS, RUNTIMES, detail_has, keeps_every_byte},
    },
};

/// The least memory that the engine accepts for a container (Engine 20.10: 6 MiB).
const LEAST_MEMORY: u64 = 6 << 20;

/// Makes the plan, or says what can't be done and the way out.
pub(crate) fn plan(
    job: &CheckedJob<'_>,
    executor: &dyn ContainerExecutor,
    config: &DockerConfig,
    allow: &Allow,
    facts: &HostFacts,
    engine: Option<EngineId>,
) -> Result<Plan> {
    let template = job.template();
    let options = DockerOptions::from_value(template.executor_options.get(executor.executor_type()))
        .map_err(|error| error.with_operation("plan"))?;
    allow.check(template)?;
    refuse_unallowed(&options, allow)?;
    refuse_impossible(template, &options, facts)?;
    let frozen = Frozen { log_driver: log_driver(config, facts), pids_limit: config.pids_limit, options, engine };
    let settings = serde_json::to_value(&frozen)
        .map_err(|error| Error::new(ErrorKind::Unexpected, "the host's settings can't be stored").with_source(error))?;
    let mut plan = Plan::granting(job, executor, HostSettings::new(Frozen::VERSION, settings));
    grant(&mut plan, config, &frozen);
    Ok(plan)
}

/// A driver that keeps the bytes exact, unless the operator chose another or the engine has none.
fn log_driver(config: &DockerConfig, facts: &HostFacts) -> String {
    let exact = EXACT_LOG_DRIVERS.into_iter().find(|driver| detail_has(facts, LOG_DRIVERS, driver));
    let default = || facts.details.get(DEFAULT_LOG_DRIVER).map_or("json-file", String::as_str);
    config.log_driver.clone().unwrap_or_else(|| exact.unwrap_or_else(default).to_owned())
}

/// Fills in what the host decides, and says so.
fn grant(plan: &mut Plan, config: &DockerConfig, frozen: &Frozen) {
    if plan.template.log_cap.is_none() {
        plan.template.log_cap = Some(config.log_cap);
        plan.adjust("log_cap", config.log_cap, "the host's default");
    }
    if plan.template.network.is_none() {
        plan.adjust(
            "network",
            Network::Private,
            "the executor's default: a bridge with a way out, never the host's own network",
        );
    }
    if plan.template.resources.pids.is_none() && plan.template.security != SecurityProfile::Platform {
        plan.adjust("resources.pids", frozen.pids_limit, "the host's default");
    }
    if let Some(grace) = plan.template.stop_grace.filter(|grace| grace.subsec_nanos() > 0) {
        let whole = Duration::from_secs(grace.as_secs() + 1);
        plan.template.stop_grace = Some(whole);
        plan.adjust("stop_grace", format!("{whole:?}"), "the engine counts whole seconds");
    }
    if plan.template.secrets.iter().any(|secret| secret.delivery == SecretDelivery::Env) {
        plan.notice("secrets delivered as variables can be read by whoever administers the engine (docker inspect); files under /run/secrets can't be read that way");
    }
    if !keeps_every_byte(&frozen.log_driver) {
        plan.notice(format!(
            "the {} log driver may change or lose bytes; the log will be marked as lossy",
            frozen.log_driver
        ));
    }
}

/// What the operator of the host has not allowed of what only Docker knows.
fn refuse_unallowed(options: &DockerOptions, allow: &Allow) -> Result<()> {
    if let Some(runtime) = options.runtime.as_ref().filter(|runtime| !allow.runtimes.contains(*runtime)) {
        let field = "executor_options.docker.runtime";
        return Err(Allow::refusal(field, runtime, "the runtime's name in allow.runtimes"));
    }
    match options.add_capabilities.iter().find(|capability| !allow.capabilities.contains(*capability)) {
        Some(capability) => Err(Allow::refusal(
            "executor_options.docker.add_capabilities",
            capability,
            "the capability's name in allow.capabilities",
        )),
        None => Ok(()),
    }
}

/// What Docker can't do, or this engine.
fn refuse_impossible(template: &JobTemplate, options: &DockerOptions, facts: &HostFacts) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message).with_operation("plan"));
    let unsupported = |message: String| Err(Error::new(ErrorKind::Unsupported, message).with_operation("plan"));
    let resources = &template.resources;
    if let Some(memory) = resources.memory.filter(|memory| memory.bytes() < LEAST_MEMORY) {
        return invalid(format!(
            "resources.memory = {memory} is less than the engine's least, {}",
            ByteSize::from_mib(6)
        ));
    }
    if let (Some(memory), Some(all)) = (resources.memory, facts.memory)
        && memory > all
    {
        return unsupported(format!("resources.memory = {memory} is more than the host has, {all}"));
    }
    if let (Some(cpu), Some(all)) = (resources.cpu, facts.cpu)
        && (cpu > all || cpu.millis() < 10)
    {
        return unsupported(format!(
            "resources.cpu = {cpu} is not between the engine's least, 10m, and what the host has, {all}"
        ));
    }
    let limits =
        [("memory", resources.memory.is_some()), ("cpu", resources.cpu.is_some()), ("pids", resources.pids.is_some())];
    if let Some((name, _)) = limits.into_iter().find(|(name, asked)| *asked && !detail_has(facts, LIMITS, name)) {
        return unsupported(format!(
            "this engine can't limit {name}; its kernel or cgroup set-up lacks the controller"
        ));
    }
    refuse_platform(template, facts)?;
    if !template.network_aliases.is_empty() && !matches!(template.network, Some(Network::Named(_))) {
        return unsupported("network_aliases need a network that is named; the default bridge has none".to_owned());
    }
    if let Some(runtime) = options.runtime.as_ref().filter(|runtime| !detail_has(facts, RUNTIMES, runtime)) {
        let known = facts.details.get(RUNTIMES).cloned().unwrap_or_default();
        return unsupported(format!(
            "executor_options.docker.runtime = {runtime:?} is not installed in this engine; available: {known}"
        ));
    }
    if resources.gpu.as_ref().is_some_and(|gpu| gpu.model.is_some() || gpu.minimum_memory.is_some()) {
        return unsupported(
            "resources.gpu: Docker can't choose by model or memory; ask for a count, and a vendor at most".to_owned(),
        );
    }
    match template.secrets.iter().find(|secret| matches!(secret.reference, SecretReference::Provider(_))) {
        Some(secret) => {
            unsupported(format!("secrets.{}: Docker has no secret store; use an env: or file: reference", secret.name))
        }
        None => Ok(()),
    }
}

fn refuse_platform(template: &JobTemplate, facts: &HostFacts) -> Result<()> {
    let Some(platform) = &template.platform else { return Ok(()) };
    if facts.platforms.iter().any(|offered| platform.runs_on(offered)) {
        return Ok(());
    }
    let offered: Vec<String> = facts.platforms.iter().map(ToString::to_string).collect();
    let message = format!("platform = {platform} is not what this engine runs: {}", offered.join(", "));
    Err(Error::new(ErrorKind::Unsupported, message).with_operation("plan"))
}
