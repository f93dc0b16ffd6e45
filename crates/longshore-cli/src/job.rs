//! From what was typed to a job: pure, with the environment passed in, and every mistake told at once.

use longshore::{EnvName, EnvVar, GpuRequest, ImageSource, JobName, JobTemplate, Result, Violation};
use std::{ffi::OsString, str::FromStr};

use crate::{
    args::{ContainerArgs, ResourceArgs, RunArgs, TimeArgs},
    env_file::Line,
    reader::Reader,
    values,
};

/// Finds a variable of our own environment.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<OsString> + Sync + 'a;

/// The template that the options describe. After a mistake it goes no further.
///
/// # Errors
/// Mistakes are the reader's to tell; there are no others.
pub(crate) fn template(
    reader: &mut Reader,
    args: &RunArgs,
    files: &[Line],
    lookup: &Lookup<'_>,
) -> Result<JobTemplate> {
    let image = reader.one("IMAGE", Some(args.image()));
    let name = match (&args.container.name, &image) {
        (Some(name), _) => reader.one("--name", Some(name)),
        (None, image) => image.as_ref().and_then(|image| reader.one("--name", Some(&name_of(image)))),
    };
    // What is typed beside a wrong image or name is still checked.
    let mut template = JobTemplate::builder()
        .name(name.map_or_else(|| JobName::new("unnamed"), Ok)?)
        .image(image.map_or_else(|| ImageSource::from_str("unnamed"), Ok)?)
        .build();
    template.command = args.command().map(<[String]>::to_vec);
    template.env = variables(reader, files, &args.container.env, lookup);
    container(reader, &args.container, &mut template);
    resources(reader, &args.resources, &mut template);
    times(reader, &args.times, &mut template);
    if let Err(violations) = template.check() {
        violations.as_slice().iter().cloned().map(as_typed).for_each(|mistake| reader.complain(mistake));
    }
    Ok(template)
}

/// The job's name where none is given: the last part of the image's.
fn name_of(image: &ImageSource) -> String {
    let repository = match image {
        ImageSource::Registry(reference) => reference.repository(),
        _ => "job",
    };
    repository.rsplit('/').next().unwrap_or(repository).chars().take(128).collect()
}

/// Core names its own fields; here people know the options.
fn as_typed(violation: Violation) -> Violation {
    let option = match violation.field.as_str() {
        "command" | "args" => "COMMAND",
        "entrypoint" => "--entrypoint",
        "env" => "--env",
        "secrets" => "--secret",
        "working_directory" => "--workdir",
        "user" => "--user",
        "network_aliases" => "--network-alias",
        "mounts" => "--volume or --tmpfs",
        "mounts.source" | "mounts.target" => "--volume",
        "tmpfs.target" => "--tmpfs",
        "labels" => "--label",
        "start_timeout" => "--start-timeout",
        "run_timeout" => "--timeout",
        _ => return violation,
    };
    violation.within(option)
}

fn container(reader: &mut Reader, args: &ContainerArgs, template: &mut JobTemplate) {
    template.entrypoint = (!args.entrypoint.is_empty()).then(|| args.entrypoint.clone());
    template.working_directory.clone_from(&args.workdir);
    template.user.clone_from(&args.user);
    template.secrets = reader.each("--secret", &args.secret, values::secret);
    template.labels = reader.each("--label", &args.label, values::label).into_iter().collect();
    template.network = reader.one("--network", args.network.as_deref());
    template.network_aliases = reader.each("--network-alias", &args.network_alias, str::parse);
    template.mounts = reader.each("--volume", &args.volume, values::volume);
    template.tmpfs = reader.each("--tmpfs", &args.tmpfs, values::tmpfs);
    template.platform = reader.one("--platform", args.platform.as_deref());
    template.stop_signal = reader.one("--stop-signal", args.stop_signal.as_deref());
    template.pull_policy = reader.one("--pull", Some(&args.pull)).unwrap_or_default();
    template.security = reader.one("--security", Some(&args.security)).unwrap_or_default();
}

fn resources(reader: &mut Reader, args: &ResourceArgs, template: &mut JobTemplate) {
    let resources = &mut template.resources;
    resources.memory = reader.one("--memory", args.memory.as_deref());
    resources.cpu = reader.one("--cpus", args.cpus.as_deref());
    resources.pids = reader.read("--pids-limit", args.pids_limit.as_deref(), values::count);
    let gpus = reader.read("--gpus", args.gpus.as_deref(), values::count);
    resources.gpu = gpus.map(|count| GpuRequest::builder().count(count).build());
    template.log_cap = reader.one("--log-cap", args.log_cap.as_deref());
}

fn times(reader: &mut Reader, args: &TimeArgs, template: &mut JobTemplate) {
    template.run_timeout = reader.read("--timeout", args.timeout.as_deref(), values::time);
    template.start_timeout = reader.read("--start-timeout", args.start_timeout.as_deref(), values::time);
    template.stop_grace = reader.read("--grace", args.grace.as_deref(), values::time);
}

/// Variables of files and options; of the same name, the later one.
fn variables(reader: &mut Reader, files: &[Line], options: &[String], lookup: &Lookup<'_>) -> Vec<EnvVar> {
    let mut variables: Vec<EnvVar> = Vec::new();
    for line in files {
        let value = match &line.value {
            Some(value) => Some(value.clone()),
            // The name is not told: a stray line may well be a part of a secret.
            None => own(reader, &line.name, &line.place, &format!("the variable named at {}", line.place), lookup),
        };
        set(&mut variables, &line.name, value);
    }
    for option in options {
        let (name, value) = option.split_once('=').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
        let Some(name) = reader.one::<EnvName>("--env", Some(name)) else { continue };
        let value = match value {
            Some(value) => Some(value.to_owned()),
            None => own(reader, &name, "--env", &format!("--env {name}"), lookup),
        };
        set(&mut variables, &name, value);
    }
    variables
}

/// The value of our own variable. As with Docker, one that is not set is left out.
fn own(reader: &mut Reader, name: &EnvName, place: &str, what: &str, lookup: &Lookup<'_>) -> Option<String> {
    match lookup(name.as_str()).map(OsString::into_string) {
        Some(Ok(value)) => Some(value),
        Some(Err(_)) => {
            reader.complain(Violation::new(place, name, "the variable's value here must be UTF-8"));
            None
        }
        None => {
            reader.notice(format!("{what} is not set here and is left out"));
            None
        }
    }
}

fn set(variables: &mut Vec<EnvVar>, name: &EnvName, value: Option<String>) {
    variables.retain(|variable| variable.name != *name);
    variables.extend(value.map(|value| EnvVar { name: name.clone(), value }));
}

#[cfg(test)]
mod tests;
