//! Nothing that a job demands is ever ignored: an executor that does not declare it is not even asked.

use longshore_core::{
    ByteSize, Capability, CheckedJob, ContainerExecutor, Cpu, EnvVar, ErrorKind, GpuRequest, JobTemplate, LabelKey,
    LabelValue, Mount, MountSource, Network, NetworkAlias, NetworkName, Plan, PullPolicy, RegistryCredentials,
    Resources, SecretBinding, SecretName, SecretReference, SecurityProfile, Signal, Tmpfs, VolumeName,
};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

use crate::kit::{
    altered::Altered,
    case::{Case, Execution},
    failure::{CaseResult, Halt, holds, refused, same},
    witness::Witness,
};

cases! { "demands":
    an_executor_that_lacks_a_capability_is_never_asked,
    a_run_on_an_executor_that_lacks_a_capability_launches_nothing,
    what_is_declared_is_granted_or_refused_by_name,
    several_undeclared_demands_are_all_named,
}

/// One way to make a demand: which capability answers it, in which field, and how it is made.
pub(crate) struct Ask {
    pub(crate) capability: Capability,
    pub(crate) field: &'static str,
    pub(crate) make: fn(&mut JobTemplate) -> CaseResult,
}

macro_rules! asks {
    ($($capability:ident in $field:literal by |$template:ident| $make:expr),+ $(,)?) => {
        /// Every demand that a job can make.
        pub(crate) const ASKS: &[Ask] = &[$(Ask {
            capability: Capability::$capability,
            field: $field,
            make: |$template| { $make; Ok(()) },
        }),+];
    };
}

asks! {
    RegistryImages in "image" by |it| it.image = "longshore.test/kit:1".parse()?,
    DockerArchives in "image" by |it| it.image = "docker-archive:/kit/image.tar".parse()?,
    OciArchives in "image" by |it| it.image = "oci-archive:/kit/image.tar".parse()?,
    OciLayouts in "image" by |it| it.image = "oci:/kit/layout".parse()?,
    RootFolders in "image" by |it| it.image = "rootfs:/kit/root".parse()?,
    PullAlways in "pull_policy" by |it| it.pull_policy = PullPolicy::Always,
    PullNever in "pull_policy" by |it| it.pull_policy = PullPolicy::Never,
    RegistryCredentials in "registry_credentials" by |it| it.registry_credentials = Some(credentials()?),
    Platform in "platform" by |it| it.platform = Some("linux/amd64".parse()?),
    Entrypoint in "entrypoint" by |it| it.entrypoint = Some(vec!["/probe".to_owned()]),
    Command in "command" by |it| it.command = Some(vec!["exit 0".to_owned()]),
    Environment in "env" by |it| it.env.push(EnvVar::new("KIT", "kit")?),
    SecretFiles in "secrets" by |it| it.secrets.push(SecretBinding::file(SecretName::new("kit")?, a_reference()?)),
    SecretVariables in "secrets" by |it| it.secrets.push(SecretBinding::env(SecretName::new("KIT")?, a_reference()?)),
    WorkingDirectory in "working_directory" by |it| it.working_directory = Some("/tmp".to_owned()),
    User in "user" by |it| it.user = Some("1000:1000".to_owned()),
    NetworkNone in "network" by |it| it.network = Some(Network::None),
    NetworkPrivate in "network" by |it| it.network = Some(Network::Private),
    NetworkHost in "network" by |it| it.network = Some(Network::Host),
    NetworkNamed in "network" by |it| it.network = Some(Network::Named(NetworkName::new("kit-network")?)),
    NetworkAliases in "network_aliases" by |it| {
        it.network = None;
        it.network_aliases.push(NetworkAlias::new("kit-alias")?);
    },
    BindMounts in "mounts" by |it| it.mounts.push(Mount::new(MountSource::Bind("/kit".to_owned()), "/mnt")),
    Volumes in "mounts" by |it| it.mounts.push(Mount::new(MountSource::Volume(VolumeName::new("kit")?), "/mnt")),
    Tmpfs in "tmpfs" by |it| it.tmpfs.push(Tmpfs::new("/scratch", Some(ByteSize::from_mib(16)))),
    Labels in "labels" by |it| it.labels.insert(LabelKey::new("kit")?, LabelValue::new("kit")?),
    MemoryLimit in "resources.memory" by |it| it.resources.memory = Some(ByteSize::from_mib(512)),
    CpuLimit in "resources.cpu" by |it| it.resources.cpu = Cpu::from_millis(500),
    Gpu in "resources.gpu" by |it| it.resources.gpu = Some(GpuRequest::builder().count(NonZeroU32::MIN).build()),
    EphemeralStorage in "resources.ephemeral_storage"
        by |it| it.resources.ephemeral_storage = Some(ByteSize::from_mib(1024)),
    PidsLimit in "resources.pids" by |it| it.resources.pids = NonZeroU32::new(64),
    StopSignal in "stop_signal" by |it| it.stop_signal = Some(Signal::INT),
    StopGrace in "stop_grace" by |it| it.stop_grace = Some(Duration::from_secs(3)),
    HardenedProfile in "security" by |it| it.security = SecurityProfile::Hardened,
    PlatformProfile in "security" by |it| it.security = SecurityProfile::Platform,
}

fn credentials() -> CaseResult<RegistryCredentials> {
    Ok(RegistryCredentials::new("kit", a_reference()?))
}

/// A reference that leads nowhere: a plan resolves none.
fn a_reference() -> CaseResult<SecretReference> {
    Ok("file:/kit/no-such-secret".parse()?)
}

/// A limit: its field, and whether it is set.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    field: &'static str,
    is_set: fn(&Resources) -> bool,
}

/// The limit on memory.
pub(crate) const MEMORY: Limit = Limit { field: "resources.memory", is_set: |it| it.memory.is_some() };
/// The limit on processes.
pub(crate) const PIDS: Limit = Limit { field: "resources.pids", is_set: |it| it.pids.is_some() };
/// The limit on CPU.
pub(crate) const CPU: Limit = Limit { field: "resources.cpu", is_set: |it| it.cpu.is_some() };

/// Requires that the template is refused before the executor's plan, naming the capability.
pub(crate) fn undeclared(case: &Case, template: &JobTemplate, capability: Capability) -> CaseResult {
    refused_before_plan(case, Arc::clone(&case.executor), template, capability)
}

/// Launches the template where the capability is declared. `None` where it is not; then the case has proven that
/// the template is refused.
pub(crate) async fn launch_if_declared(
    case: &Case,
    template: JobTemplate,
    capability: Capability,
) -> CaseResult<Option<Execution>> {
    if case.has(capability) {
        return Ok(Some(case.launch_template(template).await?));
    }
    undeclared(case, &template, capability)?;
    Ok(None)
}

fn refused_before_plan(
    case: &Case,
    executor: Arc<dyn ContainerExecutor>,
    template: &JobTemplate,
    capability: Capability,
) -> CaseResult {
    let lacking = Altered::without(executor, capability);
    let job = case.job(template.clone());
    let answer = CheckedJob::new(&job, &lacking).and_then(|checked| lacking.plan(&checked));
    let error = refused(&format!("a demand for {capability}"), answer, &[ErrorKind::Unsupported])?;
    let named = error.to_string().contains(&capability.to_string());
    holds(named, format!("the refusal names {capability}; found {error}"))?;
    same("whether the executor was asked for a plan", lacking.was_planned(), false)
}

/// An older executor that has never heard of a demand, for every demand there is.
async fn an_executor_that_lacks_a_capability_is_never_asked(case: &Case) -> CaseResult {
    for ask in ASKS {
        let mut template = case.template(["exit 0"]);
        (ask.make)(&mut template)?;
        refused_before_plan(case, Arc::clone(&case.executor), &template, ask.capability)?;
    }
    Ok(())
}

async fn a_run_on_an_executor_that_lacks_a_capability_launches_nothing(case: &Case) -> CaseResult {
    for ask in ASKS {
        let lacking = Arc::new(Altered::without(Arc::clone(&case.executor), ask.capability));
        let mut template = case.template(["exit 0"]);
        (ask.make)(&mut template)?;
        let witness = Witness::willing();
        let ran = case.runner_on(lacking.clone()).run(&case.job(template), &witness).await;
        refused(&format!("a run that demands {}", ask.capability), ran, &[ErrorKind::Unsupported])?;
        same("whether the executor was asked for a plan", lacking.was_planned(), false)?;
        same("what was launched", witness.handle(), None)?;
    }
    if case.has(Capability::ListOwned) {
        same("what the owner has", case.executor.list_owned(&case.owner).await?, vec![])?;
    }
    Ok(())
}

/// What an executor declares it may still refuse on this host, as its operator configured it; but it says so, and
/// what it accepts it answers in the plan.
async fn what_is_declared_is_granted_or_refused_by_name(case: &Case) -> CaseResult {
    for ask in ASKS.iter().filter(|ask| case.has(ask.capability)) {
        let mut template = case.template(["exit 0"]);
        (ask.make)(&mut template)?;
        match case.plan(template) {
            Ok(plan) => {
                is_granted(&plan, ask.field)?;
            }
            Err(error) => {
                let kinds = [ErrorKind::Unsupported, ErrorKind::Invalid];
                let error = refused(&format!("a demand for {}", ask.capability), Err::<(), _>(error), &kinds)?;
                let named = error.to_string().contains(first_word(ask.field));
                holds(named, format!("the refusal names {}; found {error}", ask.field))?;
            }
        }
    }
    Ok(())
}

/// Whether the plan grants what was asked for in the field. A demand that it drops is dropped for a reason that it
/// tells.
#[track_caller]
fn is_granted(plan: &Plan, field: &str) -> CaseResult<bool> {
    let grant = plan.grants.iter().find(|grant| grant.field == field);
    let grant = grant.ok_or_else(|| Halt::broken(format!("the plan says what became of {field}")))?;
    let reason = grant.reason.as_deref().unwrap_or_default();
    let told = grant.granted.is_some() || (grant.asked.is_some() && !reason.is_empty());
    holds(told, format!("the plan tells what was asked in {field}, and why it is dropped; found {grant:?}"))?;
    Ok(grant.granted.is_some())
}

/// Whether a job is held to the limit on this host. Some hosts can't hold jobs to a limit that their executor
/// declares: then the plan drops the demand for a reason that it tells, nothing of the limit is sent, and the case has
/// proven that the job runs without it.
pub(crate) async fn is_limited(case: &Case, limit: Limit, asking: &JobTemplate) -> CaseResult<bool> {
    let plan = case.plan(asking.clone())?;
    let granted = is_granted(&plan, limit.field)?;
    let what = format!("whether the plan sends a limit in {}", limit.field);
    same(&what, (limit.is_set)(&plan.template.resources), granted)?;
    if !granted {
        let mut template = case.template(["print without the limit"]);
        template.resources = asking.resources.clone();
        case.run_template(template).await?.exited(0)?;
    }
    Ok(granted)
}

/// The word by which a person knows the field: `secret` of `secrets`, `gpu` of `resources.gpu`.
fn first_word(field: &str) -> &str {
    let name = field.rsplit('.').next().unwrap_or(field);
    name.split('_').next().unwrap_or(name).trim_end_matches('s')
}

async fn several_undeclared_demands_are_all_named(case: &Case) -> CaseResult {
    let first = Altered::without(Arc::clone(&case.executor), Capability::Environment);
    let lacking = Altered::without(Arc::new(first), Capability::Labels);
    let mut template = case.template(["exit 0"]);
    template.env.push(EnvVar::new("KIT", "kit")?);
    template.labels.insert(LabelKey::new("kit")?, LabelValue::new("kit")?);
    let job = case.job(template);
    let error = refused("two undeclared demands", CheckedJob::new(&job, &lacking), &[ErrorKind::Unsupported])?;
    let text = error.to_string();
    holds(text.contains("`environment`") && text.contains("`labels`"), format!("both are named; found {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller relies on and no job demands.
    const PROMISES: [Capability; 8] = [
        Capability::Stop,
        Capability::SignalEvidence,
        Capability::OutOfMemoryEvidence,
        Capability::SeparateStreams,
        Capability::LogTimestamps,
        Capability::BinaryLogs,
        Capability::Events,
        Capability::ListOwned,
    ];

    /// A capability that core has and the kit does not know would never be proven.
    #[test]
    fn every_capability_of_the_contract_is_known_to_the_kit() {
        let known: std::collections::BTreeSet<String> =
            ASKS.iter().map(|ask| ask.capability).chain(PROMISES).map(|capability| capability.to_string()).collect();
        let schema = schemars::schema_for!(Capability).to_value();
        let variants = schema["oneOf"].as_array().unwrap();
        for variant in variants {
            let name = variant["const"].as_str().unwrap();
            assert!(known.contains(name), "{name} is in no case");
        }
        assert_eq!(variants.len(), known.len());
    }

    #[test]
    fn every_ask_makes_the_demand_that_it_names() {
        for ask in ASKS {
            let mut template = JobTemplate::builder()
                .name(longshore_core::JobName::new("kit").unwrap())
                .image("kit:1".parse::<longshore_core::ImageSource>().unwrap())
                .build();
            (ask.make)(&mut template).unwrap();
            template.check().unwrap();
        }
    }
}
