//! What a job demands of its executor, and the check that nothing demanded is ever ignored.

use std::borrow::Cow;

use super::{
    ContainerJob, ImageSource, JobTemplate, MountSource, Network, PullPolicy, Resources, SecretDelivery,
    SecurityProfile,
};
use crate::{Capabilities, Capability, ContainerExecutor, Error, ErrorKind, ExecutionHost, Result, plan::Grant};

/// One demand of a job: the capability that answers it, the field that makes it, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Demand {
    /// What the executor must be able to do.
    pub capability: Capability,
    /// The field of the template that asks.
    pub field: &'static str,
    /// What it asks for, in words; never a secret.
    pub asked: String,
}

/// A job whose fields are valid and whose every demand is one that the executor declares.
///
/// Only [`CheckedJob::new`] and [`CheckedJob::placed`] make one, and [`ContainerExecutor::plan`] takes nothing else: that is how core
/// refuses what an executor does not know, before the executor could overlook it.
///
/// It holds the resolved template and nothing else of the job, so that a plan can't depend on anything else.
#[derive(Debug, Clone)]
pub struct CheckedJob<'a> {
    template: Cow<'a, JobTemplate>,
    demands: Vec<Demand>,
}

impl<'a> CheckedJob<'a> {
    /// Checks the job against its own rules, then against what the executor declares.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with every broken rule, or [`ErrorKind::Unsupported`] with every demand that the
    /// executor does not declare. A job that asks for a place is one for [`CheckedJob::placed`].
    pub fn new(job: &'a ContainerJob, executor: &dyn ContainerExecutor) -> Result<Self> {
        let template = job.resolved_template();
        if template.placement.is_anywhere() {
            return Self::checked(template, executor);
        }
        let asked = template.placement.asked();
        let message = format!(
            "placement asks for {asked}, which only a configured host can answer; route the job, or tell its host"
        );
        Err(Error::new(ErrorKind::Unsupported, message).with_operation("plan"))
    }

    /// The same for a resolved template on a host whose place is known.
    ///
    /// # Errors
    /// As [`CheckedJob::new`]; `Unsupported` too when the host is not where the job may run.
    pub fn placed(template: &'a JobTemplate, executor: &dyn ContainerExecutor, host: &ExecutionHost) -> Result<Self> {
        template.placement.check(host)?;
        Self::checked(Cow::Borrowed(template), executor)
    }

    fn checked(template: Cow<'a, JobTemplate>, executor: &dyn ContainerExecutor) -> Result<Self> {
        template
            .check()
            .map_err(|violations| Error::new(ErrorKind::Invalid, violations.to_string()).with_operation("plan"))?;
        let demands = demands(&template);
        let checked = Self { template, demands };
        checked.refuse_undeclared(executor.capabilities(), executor)?;
        Ok(checked)
    }

    /// The job's template with its overrides applied.
    #[must_use]
    pub fn template(&self) -> &JobTemplate {
        &self.template
    }

    /// What the job demands.
    #[must_use]
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// Everything demanded, granted as asked: where a plan begins.
    pub(crate) fn grants(&self) -> Vec<Grant> {
        self.demands.iter().map(|demand| Grant::as_asked(demand.field, &demand.asked)).collect()
    }

    fn refuse_undeclared(&self, capabilities: &Capabilities, executor: &dyn ContainerExecutor) -> Result<()> {
        let refused: Vec<String> = self
            .demands
            .iter()
            .filter(|demand| !capabilities.has(demand.capability))
            .map(|demand| format!("{} = {} needs `{}`", demand.field, demand.asked, demand.capability))
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        let message =
            format!("the {} executor can't do what the job asks: {}", executor.executor_type(), refused.join("; "));
        Err(Error::new(ErrorKind::Unsupported, message).with_operation("plan").with_context("host", executor.host()))
    }
}

/// Every demand of the template. It takes the template apart field by field, so that a new field does not
/// compile until somebody has said here which capability answers it.
#[expect(clippy::too_many_lines, reason = "one line a field, and every field in one place")]
fn demands(template: &JobTemplate) -> Vec<Demand> {
    let JobTemplate {
        name: _,
        image,
        pull_policy,
        registry_credentials,
        platform,
        entrypoint,
        command,
        args,
        env,
        secrets,
        working_directory,
        user,
        network,
        network_aliases,
        mounts,
        tmpfs,
        labels,
        resources,
        start_timeout: _,
        run_timeout: _,
        expected_duration: _,
        stop_signal,
        stop_grace,
        security,
        // The host answers it: `CheckedJob` checks it before anything else.
        placement: _,
        log_cap: _,
        executor_options: _,
    } = template;
    let mut list = Demands::default();
    list.image(image, *pull_policy);
    list.each(
        "registry_credentials",
        Capability::RegistryCredentials,
        registry_credentials.iter().map(|it| &it.username),
    );
    list.each("platform", Capability::Platform, platform);
    list.each("entrypoint", Capability::Entrypoint, entrypoint.iter().map(|it| format!("{it:?}")));
    list.each("command", Capability::Command, command.iter().map(|it| format!("{it:?}")));
    list.each("args", Capability::Command, (!args.is_empty()).then(|| format!("{args:?}")));
    list.each("env", Capability::Environment, env.iter().map(|it| &it.name));
    for secret in secrets {
        let capability = match secret.delivery {
            SecretDelivery::File => Capability::SecretFiles,
            SecretDelivery::Env => Capability::SecretVariables,
        };
        list.add("secrets", capability, &secret.name);
    }
    list.each("working_directory", Capability::WorkingDirectory, working_directory);
    list.each("user", Capability::User, user);
    list.each("network_aliases", Capability::NetworkAliases, network_aliases);
    for mount in mounts {
        let capability = match mount.source {
            MountSource::Bind(_) => Capability::BindMounts,
            MountSource::Volume(_) => Capability::Volumes,
        };
        list.add("mounts", capability, &mount.target);
    }
    list.each("tmpfs", Capability::Tmpfs, tmpfs.iter().map(|it| &it.target));
    list.each("labels", Capability::Labels, labels.keys());
    list.each("stop_signal", Capability::StopSignal, stop_signal);
    list.each("stop_grace", Capability::StopGrace, stop_grace.map(|grace| format!("{grace:?}")));
    list.network(network.as_ref());
    list.security(*security);
    list.resources(resources);
    list.0
}

#[derive(Default)]
struct Demands(Vec<Demand>);

impl Demands {
    fn add(&mut self, field: &'static str, capability: Capability, asked: impl ToString) {
        self.0.push(Demand { capability, field, asked: asked.to_string() });
    }

    fn each<T: ToString>(&mut self, field: &'static str, capability: Capability, asked: impl IntoIterator<Item = T>) {
        asked.into_iter().for_each(|asked| self.add(field, capability, asked));
    }

    fn image(&mut self, image: &ImageSource, policy: PullPolicy) {
        match image {
            ImageSource::Registry(reference) => self.add("image", Capability::RegistryImages, reference),
            ImageSource::Local(local) => self.add("image", local.format().capability(), local),
        }
        match policy {
            PullPolicy::IfMissing => {}
            PullPolicy::Always => self.add("pull_policy", Capability::PullAlways, "always"),
            PullPolicy::Never => self.add("pull_policy", Capability::PullNever, "never"),
        }
    }

    fn network(&mut self, network: Option<&Network>) {
        let Some(network) = network else { return };
        let capability = match network {
            Network::None => Capability::NetworkNone,
            Network::Private => Capability::NetworkPrivate,
            Network::Host => Capability::NetworkHost,
            Network::Named(_) => Capability::NetworkNamed,
        };
        self.add("network", capability, network);
    }

    fn security(&mut self, profile: SecurityProfile) {
        match profile {
            SecurityProfile::Default => {}
            SecurityProfile::Hardened => self.add("security", Capability::HardenedProfile, profile),
            SecurityProfile::Platform => self.add("security", Capability::PlatformProfile, profile),
        }
    }

    fn resources(&mut self, resources: &Resources) {
        let Resources { memory, cpu, gpu, ephemeral_storage, pids } = resources;
        self.each("resources.memory", Capability::MemoryLimit, memory);
        self.each("resources.cpu", Capability::CpuLimit, cpu);
        self.each("resources.gpu", Capability::Gpu, gpu.iter().map(|gpu| gpu.count));
        self.each("resources.ephemeral_storage", Capability::EphemeralStorage, ephemeral_storage);
        self.each("resources.pids", Capability::PidsLimit, pids);
    }
}
