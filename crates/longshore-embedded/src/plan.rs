//! What this host will do for a job: decided over its facts and its operator's allow-list.

use longshore_core::{
    Allow, ByteSize, CheckedJob, ContainerExecutor, Error, ErrorKind, HostFacts, HostSettings, JobTemplate, Network,
    Plan, Result, SecretDelivery, SecretReference,
};
use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, path::PathBuf};

use crate::{
    config::{EmbeddedConfig, EmbeddedOptions},
    facts::{self, LIMITS, ROOT, RUNTIME, detail_has},
    groups,
    state::RuntimeId,
    supervisor::{NetworkHelper, NetworkOrder, RootForm},
};

/// The least memory for a container: libcontainer itself needs some before the program has any.
const LEAST_MEMORY: u64 = 6 << 20;

/// The host's settings that a plan freezes, so that a launch is the same whenever it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frozen {
    pub(crate) pids_limit: Option<u32>,
    pub(crate) cgroup_parent: Option<PathBuf>,
    pub(crate) root: RootForm,
    pub(crate) network: NetworkOrder,
    pub(crate) options: EmbeddedOptions,
    /// The runtime that it is for; absent in older plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runtime: Option<RuntimeId>,
}

impl Frozen {
    pub(crate) const VERSION: u32 = 1;
}

/// What a plan is made from.
pub(crate) struct Host<'a> {
    pub(crate) config: &'a EmbeddedConfig,
    pub(crate) allow: &'a Allow,
    pub(crate) facts: &'a HostFacts,
    /// Where containers get control groups of their own.
    pub(crate) group: Option<PathBuf>,
    /// What gives a network a way out, or what is missing for it.
    pub(crate) helper: Result<NetworkHelper, String>,
}

impl Host<'_> {
    /// Makes the plan, or says what can't be done and the way out.
    pub(crate) fn plan(&self, job: &CheckedJob<'_>, executor: &dyn ContainerExecutor) -> Result<Plan> {
        let template = job.template();
        let options = EmbeddedOptions::from_value(template.executor_options.get(executor.executor_type()))
            .map_err(|error| error.with_operation("plan"))?;
        self.allow.check(template)?;
        self.refuse_unallowed(&options)?;
        self.refuse_impossible(template)?;
        let network = self.network(template)?;
        let pids = template.resources.pids.map_or(self.config.pids_limit, NonZeroU32::get);
        let frozen = Frozen {
            pids_limit: self.limits("pids").then_some(pids),
            cgroup_parent: self.group.clone(),
            root: if detail_has(self.facts, ROOT, "overlay") { RootForm::Overlay } else { RootForm::Copy },
            network,
            options,
            runtime: self.facts.details.get(RUNTIME).cloned().map(RuntimeId::new),
        };
        let settings = serde_json::to_value(&frozen).map_err(|error| {
            Error::new(ErrorKind::Unexpected, "the host's settings can't be stored").with_source(error)
        })?;
        let mut plan = Plan::granting(job, executor, HostSettings::new(Frozen::VERSION, settings));
        self.grant(&mut plan, &frozen);
        Ok(plan)
    }

    fn limits(&self, resource: &str) -> bool {
        self.group.is_some() && detail_has(self.facts, LIMITS, resource)
    }

    /// Fills in what the host decides, and says so.
    fn grant(&self, plan: &mut Plan, frozen: &Frozen) {
        self.grant_limits(plan);
        if plan.template.log_cap.is_none() {
            plan.template.log_cap = Some(self.config.log_cap);
            plan.adjust("log_cap", self.config.log_cap, "the host's default");
        }
        match (&plan.template.network, &frozen.network) {
            (None, NetworkOrder::Private(helper)) => {
                let reason =
                    format!("the executor's default: its own, with a way out through {}", helper.path().display());
                plan.adjust("network", Network::Private, reason);
            }
            (None, _) => {
                let why = self.helper.as_ref().err().cloned().unwrap_or_default();
                plan.adjust("network", Network::None, format!("no way out, and never the host's own: {why}"));
            }
            _ => {}
        }
        if plan.template.secrets.iter().any(|secret| secret.delivery == SecretDelivery::Env) {
            plan.notice("secrets delivered as variables are inherited by every process of the job and show in /proc to root on this machine; files under /run/secrets are in memory, and only what opens them reads them");
        }
        if frozen.root == RootForm::Copy {
            plan.notice("the image is copied for each container: this machine gives no overlayfs here");
        }
    }

    fn grant_limits(&self, plan: &mut Plan) {
        let why = "this user has no control groups of its own; run as root, or have one delegated and name it by executor_config.cgroup_parent";
        let resources = &mut plan.template.resources;
        let dropped = [
            ("memory", resources.memory.is_some() && !self.limits("memory")),
            ("cpu", resources.cpu.is_some() && !self.limits("cpu")),
            ("pids", resources.pids.is_some() && !self.limits("pids")),
        ];
        for (name, _) in dropped.into_iter().filter(|(_, dropped)| *dropped) {
            match name {
                "memory" => plan.template.resources.memory = None,
                "cpu" => plan.template.resources.cpu = None,
                _ => plan.template.resources.pids = None,
            }
            plan.drop_demand(&format!("resources.{name}"), why);
        }
        if plan.template.resources.pids.is_none() && self.limits("pids") {
            plan.adjust("resources.pids", self.config.pids_limit, "the host's default");
        }
    }

    fn network(&self, template: &JobTemplate) -> Result<NetworkOrder> {
        match &template.network {
            Some(Network::None) => Ok(NetworkOrder::None),
            Some(Network::Host) => Ok(NetworkOrder::Host),
            None => Ok(self.helper.clone().map_or(NetworkOrder::None, NetworkOrder::Private)),
            Some(Network::Private) => match &self.helper {
                Ok(helper) => Ok(NetworkOrder::Private(helper.clone())),
                Err(missing) => {
                    Err(unsupported(format!("network = private has no way out here: {missing}; or ask for `none`")))
                }
            },
            Some(other) => Err(unsupported(format!("network = {other}: there are `none`, `private` and `host` here"))),
        }
    }

    /// What the operator of the host has not allowed of what only this runtime knows.
    fn refuse_unallowed(&self, options: &EmbeddedOptions) -> Result<()> {
        let allowed = |capability: &&String| !self.allow.capabilities.contains(*capability);
        match options.add_capabilities.iter().find(allowed) {
            Some(capability) => Err(Allow::refusal(
                "executor_options.embedded.add_capabilities",
                capability,
                "the capability's name in allow.capabilities",
            )),
            None => Ok(()),
        }
    }

    /// What this runtime can't do, or this machine.
    fn refuse_impossible(&self, template: &JobTemplate) -> Result<()> {
        self.refuse_amounts(template)?;
        if let Some(platform) = &template.platform
            && !self.facts.platforms.iter().any(|offered| platform.runs_on(offered))
        {
            let offered: Vec<String> = self.facts.platforms.iter().map(ToString::to_string).collect();
            return Err(unsupported(format!(
                "platform = {platform} is not what this machine runs: {}",
                offered.join(", ")
            )));
        }
        match template.secrets.iter().find(|secret| matches!(secret.reference, SecretReference::Provider(_))) {
            Some(secret) => Err(unsupported(format!(
                "secrets.{}: there is no secret store here; use an env: or file: reference",
                secret.name
            ))),
            None => Ok(()),
        }
    }

    fn refuse_amounts(&self, template: &JobTemplate) -> Result<()> {
        let resources = &template.resources;
        if let Some(memory) = resources.memory.filter(|memory| memory.bytes() < LEAST_MEMORY) {
            let message =
                format!("resources.memory = {memory} is less than a container's least, {}", ByteSize::from_mib(6));
            return Err(Error::new(ErrorKind::Invalid, message).with_operation("plan"));
        }
        if let (Some(memory), Some(all)) = (resources.memory, self.facts.memory)
            && memory > all
        {
            return Err(unsupported(format!("resources.memory = {memory} is more than the host has, {all}")));
        }
        match (resources.cpu, self.facts.cpu) {
            (Some(cpu), Some(all)) if cpu > all || cpu.millis() < 10 => Err(unsupported(format!(
                "resources.cpu = {cpu} is not between the kernel's least, 10m, and what the host has, {all}"
            ))),
            _ => Ok(()),
        }
    }
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message).with_operation("plan")
}

/// Reads what a plan froze.
///
/// # Errors
/// `Invalid` for what another version or executor froze.
pub(crate) fn frozen(plan: &Plan) -> Result<Frozen> {
    let settings = &plan.host_settings;
    if settings.version != Frozen::VERSION {
        let message = format!(
            "the plan's settings are of version {}, and this Longshore reads {}",
            settings.version,
            Frozen::VERSION
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    serde_json::from_value(settings.settings.clone())
        .map_err(|error| Error::new(ErrorKind::Invalid, "the plan's settings can't be read").with_source(error))
}

/// What gives a network a way out, and where control groups may be made, as they are now.
pub(crate) fn host<'a>(
    config: &'a EmbeddedConfig,
    allow: &'a Allow,
    facts: &'a HostFacts,
    helpers: &crate::helper::Helpers,
) -> Host<'a> {
    Host {
        config,
        allow,
        facts,
        group: groups::parent(config, helpers)
            .filter(|_| facts.details.get(LIMITS).is_some_and(|limits| !limits.is_empty())),
        helper: facts::helper_of(facts),
    }
}
