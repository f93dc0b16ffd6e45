//! A launch request and its image's configuration, as what a supervisor is told.

use longshore_core::{
    ByteSize, Cpu, Error, ErrorKind, JobTemplate, LaunchRequest, LaunchToken, Result, SecurityProfile, Signal,
};
use std::{path::PathBuf, time::Duration};

use crate::{
    image::{Image, ImageConfig},
    plan::Frozen,
    state::Folder,
    supervisor::{Limits, Order, Program, Root, SecretFile},
};

/// What a container of the default profile may do of what root may: Docker's list, less what ordinary images do not miss
/// and intruders do.
const KEPT: [&str; 8] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

/// The user of a hardened job whose template names none: `nobody` on every distribution.
const NOBODY: &str = "65534:65534";

/// `/dev/shm`, as Docker has it.
const SHM: ByteSize = ByteSize::from_mib(64);

/// The values of the job's secrets, which are on no disk.
pub(crate) struct Secrets {
    pub(crate) files: Vec<SecretFile>,
    /// `NAME=value`.
    pub(crate) variables: Vec<String>,
}

/// Where and by whom it is run.
pub(crate) struct Circumstances<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) rootless: bool,
    pub(crate) start_by: Duration,
}

/// What the supervisor of the request's container is told.
///
/// # Errors
/// `Invalid` when neither the job nor its image says what to run.
pub(crate) fn order(
    request: &LaunchRequest,
    frozen: &Frozen,
    image: &Image,
    secrets: Secrets,
    circumstances: &Circumstances<'_>,
) -> Result<Order> {
    let template = &request.plan.template;
    let hardened = template.security == SecurityProfile::Hardened;
    let resources = &template.resources;
    Ok(Order {
        folder: circumstances.folder.path().to_owned(),
        rootless: circumstances.rootless,
        start_by: circumstances.start_by,
        program: program(request, frozen, &image.config, secrets.variables)?,
        secrets: secrets.files,
        root: Root {
            layers: image.layers.clone(),
            lock: Some(image.lock.clone()),
            form: frozen.root,
            read_only: hardened,
        },
        mounts: template.mounts.clone(),
        tmpfs: template.tmpfs.clone(),
        shm_bytes: frozen.options.shm_size.unwrap_or(SHM).bytes(),
        limits: Limits {
            memory_bytes: resources.memory.map(ByteSize::bytes),
            cpu_millis: resources.cpu.map(Cpu::millis),
            pids: frozen.pids_limit,
        },
        cgroup: group(frozen, request.token),
        capabilities: capabilities(template.security, frozen),
        network: frozen.network.clone(),
        stop_signal: stop_signal(template, &image.config),
        log_cap: template.log_cap.unwrap_or(ByteSize::from_mib(64)).bytes(),
    })
}

/// The container's own control group, where it has one.
pub(crate) fn group(frozen: &Frozen, token: LaunchToken) -> Option<PathBuf> {
    frozen.cgroup_parent.as_ref().map(|parent| parent.join(token.to_string()))
}

fn program(request: &LaunchRequest, frozen: &Frozen, image: &ImageConfig, secrets: Vec<String>) -> Result<Program> {
    let template = &request.plan.template;
    let hardened = template.security == SecurityProfile::Hardened;
    let named = |user: &Option<String>| user.clone().filter(|user| !user.is_empty());
    let user = named(&template.user).or_else(|| hardened.then(|| NOBODY.to_owned())).or_else(|| named(&image.user));
    let own = template.env.iter().map(|variable| format!("{}={}", variable.name, variable.value));
    let folder = template.working_directory.clone().or_else(|| image.working_dir.clone());
    Ok(Program {
        arguments: arguments(template, image)?,
        env: merged(image.env.iter().cloned().chain(own).chain(secrets)),
        working_directory: folder.filter(|folder| folder.starts_with('/')).unwrap_or_else(|| "/".to_owned()),
        user,
        hostname: frozen.options.hostname.clone().unwrap_or_else(|| hostname(request.token)),
    })
}

/// The entrypoint, then the command, as Docker has it: an entrypoint of the job's own leaves the image's command, which
/// belongs to the image's, behind.
fn arguments(template: &JobTemplate, image: &ImageConfig) -> Result<Vec<String>> {
    let given = template.command.is_some() || !template.args.is_empty();
    let own = template.command.iter().flatten().chain(&template.args).cloned().collect();
    let command: Vec<String> = match &template.entrypoint {
        _ if given => own,
        Some(_) => Vec::new(),
        None => image.cmd.clone().unwrap_or_default(),
    };
    let entrypoint = template.entrypoint.clone().or_else(|| image.entrypoint.clone()).unwrap_or_default();
    let arguments: Vec<String> = entrypoint.into_iter().chain(command).collect();
    if arguments.first().is_none_or(String::is_empty) {
        return Err(Error::new(ErrorKind::Invalid, "neither the job nor its image says what to run; give a command"));
    }
    Ok(arguments)
}

/// Of two variables of a name the later counts, in the place of the earlier.
fn merged(variables: impl Iterator<Item = String>) -> Vec<String> {
    let mut merged: Vec<String> = Vec::new();
    let name = |variable: &str| variable.split('=').next().map(str::to_owned);
    for variable in variables {
        match merged.iter_mut().find(|known| name(known) == name(&variable)) {
            Some(known) => *known = variable,
            None => merged.push(variable),
        }
    }
    merged
}

fn hostname(token: LaunchToken) -> String {
    let job = token.job().as_uuid().simple().to_string();
    job.get(20..).unwrap_or(&job).to_owned()
}

fn capabilities(profile: SecurityProfile, frozen: &Frozen) -> Vec<String> {
    if profile == SecurityProfile::Hardened {
        return Vec::new();
    }
    let added = frozen.options.add_capabilities.iter().map(|name| name.trim_start_matches("CAP_").to_owned());
    KEPT.map(str::to_owned).into_iter().chain(added).collect()
}

fn stop_signal(template: &JobTemplate, image: &ImageConfig) -> Signal {
    let of_image = || image.stop_signal.as_ref().and_then(|signal| signal.parse().ok());
    template.stop_signal.or_else(of_image).unwrap_or(Signal::TERM)
}
