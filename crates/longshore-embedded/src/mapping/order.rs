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
        program: program_of(template, request.token, frozen, &image.config, secrets.variables)?,
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

fn program_of(
    template: &JobTemplate,
    token: LaunchToken,
    frozen: &Frozen,
    image: &ImageConfig,
    secrets: Vec<String>,
) -> Result<Program> {
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
        hostname: frozen.options.hostname.clone().unwrap_or_else(|| hostname(token)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::{EnvVar, ImageSource};

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn template() -> JobTemplate {
        let image: ImageSource = "tool".parse().unwrap();
        JobTemplate::builder().name("job".parse().unwrap()).image(image).build()
    }

    /// As `docker run` decides it: `--entrypoint`, and what stands after the image.
    #[test]
    fn entrypoint_and_command_are_put_together_as_docker_does() {
        type Given = Option<&'static [&'static str]>;
        type Case = (Given, Given, Given, &'static [&'static str], &'static [&'static str]);
        let cases: [Case; 7] = [
            (Some(&["/entry"]), Some(&["cmd"]), None, &[], &["/entry", "cmd"]),
            (Some(&["/entry"]), Some(&["cmd"]), None, &["own"], &["/entry", "own"]),
            (Some(&["/entry"]), Some(&["cmd"]), Some(&["/own"]), &[], &["/own"]),
            (Some(&["/entry"]), Some(&["cmd"]), Some(&["/own"]), &["x"], &["/own", "x"]),
            (None, Some(&["cmd", "y"]), None, &[], &["cmd", "y"]),
            (None, None, None, &["own"], &["own"]),
            (Some(&["/entry"]), None, None, &[], &["/entry"]),
        ];
        for (entrypoint, cmd, own, command, expected) in cases {
            let image =
                ImageConfig { entrypoint: entrypoint.map(texts), cmd: cmd.map(texts), ..ImageConfig::default() };
            let mut template = template();
            template.entrypoint = own.map(texts);
            template.command = (!command.is_empty()).then(|| texts(command));
            assert_eq!(arguments(&template, &image).unwrap(), expected, "{entrypoint:?} {cmd:?} {own:?} {command:?}");
        }
        let error = arguments(&template(), &ImageConfig::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn of_two_variables_of_a_name_the_later_counts() {
        let image = texts(&["PATH=/bin", "A=1", "EMPTY="]);
        let own = texts(&["A=2=3", "B=x"]);
        assert_eq!(merged(image.into_iter().chain(own)), ["PATH=/bin", "A=2=3", "EMPTY=", "B=x"]);
    }

    #[test]
    fn the_jobs_stop_signal_counts_then_the_images_then_term() {
        let signal = |own: Option<&str>, image: Option<&str>| {
            let mut template = template();
            template.stop_signal = own.map(|own| own.parse().unwrap());
            let image = ImageConfig { stop_signal: image.map(str::to_owned), ..ImageConfig::default() };
            stop_signal(&template, &image).to_string()
        };
        assert_eq!(signal(None, None), "SIGTERM");
        assert_eq!(signal(None, Some("SIGQUIT")), "SIGQUIT");
        assert_eq!(signal(None, Some("3")), "SIGQUIT");
        assert_eq!(signal(None, Some("nonsense")), "SIGTERM");
        assert_eq!(signal(Some("INT"), Some("SIGQUIT")), "SIGINT");
    }

    #[test]
    fn user_folder_and_variables_come_from_the_job_or_the_image() {
        let frozen = Frozen {
            pids_limit: None,
            cgroup_parent: None,
            root: crate::supervisor::RootForm::Overlay,
            network: crate::supervisor::NetworkOrder::None,
            options: crate::config::EmbeddedOptions::default(),
            runtime: None,
        };
        let image = ImageConfig {
            env: texts(&["A=1"]),
            cmd: Some(texts(&["run"])),
            user: Some("app".to_owned()),
            working_dir: Some("/srv".to_owned()),
            ..ImageConfig::default()
        };
        let token = "ls-019237a45c1e7f008000000000000001-1".parse().unwrap();
        let of = |template: &JobTemplate| program_of(template, token, &frozen, &image, texts(&["KEY=hush"])).unwrap();
        let plain = of(&template());
        assert_eq!((plain.user.as_deref(), plain.working_directory.as_str()), (Some("app"), "/srv"));
        assert_eq!((plain.env, plain.hostname.as_str()), (texts(&["A=1", "KEY=hush"]), "000000000001"));
        let mut own = template();
        own.user = Some("7:8".to_owned());
        own.working_directory = Some("/own".to_owned());
        own.env.push(EnvVar::new("A", "2").unwrap());
        let own = of(&own);
        assert_eq!(
            (own.user.as_deref(), own.working_directory.as_str(), own.env[0].as_str()),
            (Some("7:8"), "/own", "A=2")
        );
        let mut hardened = template();
        hardened.security = SecurityProfile::Hardened;
        assert_eq!(of(&hardened).user.as_deref(), Some(NOBODY));
        assert_eq!(capabilities(SecurityProfile::Hardened, &frozen), Vec::<String>::new());
    }
}
