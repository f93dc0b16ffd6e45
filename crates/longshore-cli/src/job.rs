//! From what was typed to a job: pure, with the environment passed in, and every mistake told at once.

use longshore::{
    EnvName, EnvVar, GpuRequest, ImageSource, JobName, JobTemplate, PreferredExecutor, Principal, Result, Violation,
    config::DescribedJob,
};
use std::{ffi::OsString, path::Path, str::FromStr};

use crate::{
    args::{ContainerArgs, JobArgs, RequesterArgs, ResourceArgs, TimeArgs},
    env_file::Line,
    image,
    reader::Reader,
    values,
};

/// Finds a variable of our own environment.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<OsString> + Sync + 'a;

/// The job that the options describe, on top of what a template or a file has. After a mistake it goes no further.
///
/// # Errors
/// Mistakes are the reader's to tell; there are no others.
pub(crate) fn job(
    reader: &mut Reader,
    args: &JobArgs,
    begun: Option<DescribedJob>,
    files: &[Line],
    lookup: &Lookup<'_>,
    folder: &Path,
) -> Result<DescribedJob> {
    let mut job = match begun {
        Some(mut job) => {
            if let Some(name) = reader.one("--name", args.container.name.as_deref()) {
                job.template.name = name;
            }
            job
        }
        None => DescribedJob::new(of_image(reader, args, folder)?),
    };
    let template = &mut job.template;
    if let Some(command) = args.command() {
        template.command = Some(command.to_vec());
        template.args.clear();
    }
    variables(reader, files, &args.container.env, lookup, &mut template.env);
    container(reader, &args.container, template);
    resources(reader, &args.resources, template);
    times(reader, &args.times, template);
    placement(reader, &args.requester, template);
    if let Err(violations) = template.check() {
        violations.as_slice().iter().cloned().map(as_typed).for_each(|mistake| reader.complain(mistake));
    }
    requester(reader, &args.requester, lookup, &mut job);
    Ok(job)
}

/// A template of the image alone. What is typed beside a wrong image or name is still checked.
fn of_image(reader: &mut Reader, args: &JobArgs, folder: &Path) -> Result<JobTemplate> {
    let image = reader.read("IMAGE", Some(args.image()), |text| image::typed(text, folder));
    let name = match (&args.container.name, &image) {
        (Some(name), _) => reader.one("--name", Some(name)),
        (None, image) => image.as_ref().and_then(|image| reader.one("--name", Some(&name_of(image)))),
    };
    Ok(JobTemplate::builder()
        .name(name.map_or_else(|| JobName::new("unnamed"), Ok)?)
        .image(image.map_or_else(|| ImageSource::from_str("unnamed"), Ok)?)
        .build())
}

/// The job's name where none is given: the last part of the image's, or of its path as far as a name may be like it.
fn name_of(image: &ImageSource) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let name: String = image.short_name().chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let name = name.trim_start_matches(['_', '.', '-']);
    if name.is_empty() { "image".to_owned() } else { name.chars().take(128).collect() }
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
        "expected_duration" => "--expect",
        _ => return violation,
    };
    violation.within(option)
}

fn container(reader: &mut Reader, args: &ContainerArgs, template: &mut JobTemplate) {
    if !args.entrypoint.is_empty() {
        template.entrypoint = Some(args.entrypoint.clone());
    }
    set(&mut template.working_directory, args.workdir.clone());
    set(&mut template.user, args.user.clone());
    let secrets = reader.each("--secret", &args.secret, values::secret);
    template.secrets.retain(|old| secrets.iter().all(|new| new.name != old.name));
    template.secrets.extend(secrets);
    template.labels.extend(reader.each("--label", &args.label, values::label));
    set(&mut template.network, reader.one("--network", args.network.as_deref()));
    template.network_aliases.extend(reader.each("--network-alias", &args.network_alias, str::parse));
    template.mounts.extend(reader.each("--volume", &args.volume, values::volume));
    template.tmpfs.extend(reader.each("--tmpfs", &args.tmpfs, values::tmpfs));
    set(&mut template.platform, reader.one("--platform", args.platform.as_deref()));
    set(&mut template.stop_signal, reader.one("--stop-signal", args.stop_signal.as_deref()));
    replace(&mut template.pull_policy, reader.one("--pull", args.pull.as_deref()));
    replace(&mut template.security, reader.one("--security", args.security.as_deref()));
}

fn resources(reader: &mut Reader, args: &ResourceArgs, template: &mut JobTemplate) {
    let resources = &mut template.resources;
    set(&mut resources.memory, reader.one("--memory", args.memory.as_deref()));
    set(&mut resources.cpu, reader.one("--cpus", args.cpus.as_deref()));
    set(&mut resources.pids, reader.read("--pids-limit", args.pids_limit.as_deref(), values::count));
    let gpus = reader.read("--gpus", args.gpus.as_deref(), values::count);
    match &mut resources.gpu {
        Some(gpu) => replace(&mut gpu.count, gpus),
        none => *none = gpus.map(|count| GpuRequest::builder().count(count).build()),
    }
    set(&mut template.log_cap, reader.one("--log-cap", args.log_cap.as_deref()));
}

fn times(reader: &mut Reader, args: &TimeArgs, template: &mut JobTemplate) {
    set(&mut template.run_timeout, reader.read("--timeout", args.timeout.as_deref(), values::time));
    set(&mut template.start_timeout, reader.read("--start-timeout", args.start_timeout.as_deref(), values::time));
    set(&mut template.stop_grace, reader.read("--grace", args.grace.as_deref(), values::time));
}

fn placement(reader: &mut Reader, args: &RequesterArgs, template: &mut JobTemplate) {
    let regions = reader.each("--region", &args.region, str::parse);
    if !regions.is_empty() {
        template.placement.regions = regions.into_iter().collect();
    }
    set(&mut template.placement.residency, reader.one("--residency", args.residency.as_deref()));
    set(&mut template.expected_duration, reader.read("--expect", args.expect.as_deref(), values::time));
}

/// Who asks, and where they would like it to run. Groups without a name are those of whoever is signed in here.
fn requester(reader: &mut Reader, args: &RequesterArgs, lookup: &Lookup<'_>, job: &mut DescribedJob) {
    if args.requester.is_some() || !args.group.is_empty() {
        let before = job.created_by.take();
        let own = || ["LOGNAME", "USER"].iter().find_map(|name| lookup(name)?.into_string().ok());
        let name = args.requester.clone().or_else(|| before.as_ref().map(|before| before.name.clone())).or_else(own);
        let groups = if args.group.is_empty() { before.map(|before| before.groups) } else { Some(args.group.clone()) };
        let name = name.unwrap_or_else(|| "unknown".to_owned());
        job.created_by = Some(Principal::builder().name(name).groups(groups.unwrap_or_default()).build());
    }
    if let Some(host) = reader.one("--prefer", args.prefer.as_deref()) {
        job.preferred_executor = Some(PreferredExecutor::builder().host(host).build());
    }
}

/// What an option says wins over what was there.
fn set<T>(field: &mut Option<T>, option: Option<T>) {
    if option.is_some() {
        *field = option;
    }
}

fn replace<T>(field: &mut T, option: Option<T>) {
    if let Some(option) = option {
        *field = option;
    }
}

/// Variables of files and options, on top of those that are there; of the same name, the later one.
fn variables(
    reader: &mut Reader,
    files: &[Line],
    options: &[String],
    lookup: &Lookup<'_>,
    variables: &mut Vec<EnvVar>,
) {
    for line in files {
        let value = match &line.value {
            Some(value) => Some(value.clone()),
            // The name is not told: a stray line may well be a part of a secret.
            None => own(reader, &line.name, &line.place, &format!("the variable named at {}", line.place), lookup),
        };
        set_variable(variables, &line.name, value);
    }
    for option in options {
        let (name, value) = option.split_once('=').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
        let Some(name) = reader.one::<EnvName>("--env", Some(name)) else { continue };
        let value = match value {
            Some(value) => Some(value.to_owned()),
            None => own(reader, &name, "--env", &format!("--env {name}"), lookup),
        };
        set_variable(variables, &name, value);
    }
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

fn set_variable(variables: &mut Vec<EnvVar>, name: &EnvName, value: Option<String>) {
    variables.retain(|variable| variable.name != *name);
    variables.extend(value.map(|value| EnvVar { name: name.clone(), value }));
}

#[cfg(test)]
mod tests;
