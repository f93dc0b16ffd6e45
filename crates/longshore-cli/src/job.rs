//! From what was typed to a job: pure, with the environment passed in, and every mistake told at once.

use longshore::{EnvName, EnvVar, GpuRequest, ImageSource, JobName, JobTemplate, Result, Violation, Violations};
use std::{ffi::OsString, str::FromStr};

use crate::{
    args::{ContainerArgs, ResourceArgs, RunArgs, TimeArgs},
    env_file::Line,
    values,
};

/// Finds a variable of our own environment.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<OsString> + Sync + 'a;

/// A template, and what its author should know about how it was made.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) template: JobTemplate,
    pub(crate) notices: Vec<String>,
}

/// Makes the template that the options describe.
///
/// # Errors
/// `Invalid` with every broken rule, each with the option that breaks it.
pub(crate) fn template(args: &RunArgs, files: &[Line], lookup: &Lookup<'_>) -> Result<Assembled> {
    let mut reader = Reader::default();
    let image = reader.one("IMAGE", Some(args.image()));
    let name = match (&args.container.name, &image) {
        (Some(name), _) => reader.one("--name", Some(name)),
        (None, image) => image.as_ref().and_then(|image| reader.one("--name", Some(&name_of(image)))),
    };
    // What is typed beside a wrong image or name is still checked, on a template that goes no further.
    let mut template = JobTemplate::builder()
        .name(name.map_or_else(|| JobName::new("unnamed"), Ok)?)
        .image(image.map_or_else(|| ImageSource::from_str("unnamed"), Ok)?)
        .build();
    template.command = args.command().map(<[String]>::to_vec);
    template.env = reader.variables(files, &args.container.env, lookup);
    reader.container(&args.container, &mut template);
    reader.resources(&args.resources, &mut template);
    reader.times(&args.times, &mut template);
    if let Err(violations) = template.check() {
        reader.found.extend(violations.as_slice().iter().cloned().map(as_typed));
    }
    Violations::check(reader.found)?;
    Ok(Assembled { template, notices: reader.notices })
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

/// Reads options, and goes on after a mistake.
#[derive(Default)]
struct Reader {
    found: Vec<Violation>,
    notices: Vec<String>,
}

impl Reader {
    /// What one option says; nothing when it is absent or wrong.
    fn read<T>(&mut self, option: &str, text: Option<&str>, parse: impl Fn(&str) -> Result<T, Violation>) -> Option<T> {
        let text = text?;
        let violation = match parse(text) {
            Ok(value) => return Some(value),
            Err(violation) => violation,
        };
        // Where only a part of the text is wrong, the part is named as well.
        let is_whole = violation.shown == format!("{text:?}");
        let field = if is_whole { option.to_owned() } else { format!("{option}: {}", violation.field) };
        self.found.push(violation.within(field));
        None
    }

    fn one<T: FromStr<Err = Violation>>(&mut self, option: &str, text: Option<&str>) -> Option<T> {
        self.read(option, text, str::parse)
    }

    /// What a repeatable option says.
    fn each<T>(&mut self, option: &str, texts: &[String], parse: impl Fn(&str) -> Result<T, Violation>) -> Vec<T> {
        texts.iter().filter_map(|text| self.read(option, Some(text), &parse)).collect()
    }

    fn container(&mut self, args: &ContainerArgs, template: &mut JobTemplate) {
        template.entrypoint = (!args.entrypoint.is_empty()).then(|| args.entrypoint.clone());
        template.working_directory.clone_from(&args.workdir);
        template.user.clone_from(&args.user);
        template.secrets = self.each("--secret", &args.secret, values::secret);
        template.labels = self.each("--label", &args.label, values::label).into_iter().collect();
        template.network = self.one("--network", args.network.as_deref());
        template.network_aliases = self.each("--network-alias", &args.network_alias, str::parse);
        template.mounts = self.each("--volume", &args.volume, values::volume);
        template.tmpfs = self.each("--tmpfs", &args.tmpfs, values::tmpfs);
        template.platform = self.one("--platform", args.platform.as_deref());
        template.stop_signal = self.one("--stop-signal", args.stop_signal.as_deref());
        template.pull_policy = self.one("--pull", args.pull.as_deref()).unwrap_or_default();
        template.security = self.one("--security", args.security.as_deref()).unwrap_or_default();
    }

    fn resources(&mut self, args: &ResourceArgs, template: &mut JobTemplate) {
        let resources = &mut template.resources;
        resources.memory = self.one("--memory", args.memory.as_deref());
        resources.cpu = self.one("--cpus", args.cpus.as_deref());
        resources.pids = self.read("--pids-limit", args.pids_limit.as_deref(), values::count);
        let gpus = self.read("--gpus", args.gpus.as_deref(), values::count);
        resources.gpu = gpus.map(|count| GpuRequest::builder().count(count).build());
        template.log_cap = self.one("--log-cap", args.log_cap.as_deref());
    }

    fn times(&mut self, args: &TimeArgs, template: &mut JobTemplate) {
        template.run_timeout = self.read("--timeout", args.timeout.as_deref(), values::time);
        template.start_timeout = self.read("--start-timeout", args.start_timeout.as_deref(), values::time);
        template.stop_grace = self.read("--grace", args.grace.as_deref(), values::time);
    }

    /// Variables of files and options; of the same name, the later one.
    fn variables(&mut self, files: &[Line], options: &[String], lookup: &Lookup<'_>) -> Vec<EnvVar> {
        let mut variables: Vec<EnvVar> = Vec::new();
        for line in files {
            let value = match &line.value {
                Some(value) => Some(value.clone()),
                // The name is not told: a stray line may well be a part of a secret.
                None => self.own(&line.name, &line.place, &format!("the variable named at {}", line.place), lookup),
            };
            set(&mut variables, &line.name, value);
        }
        for option in options {
            let (name, value) =
                option.split_once('=').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
            let Some(name) = self.one::<EnvName>("--env", Some(name)) else { continue };
            let value = match value {
                Some(value) => Some(value.to_owned()),
                None => self.own(&name, "--env", &format!("--env {name}"), lookup),
            };
            set(&mut variables, &name, value);
        }
        variables
    }

    /// The value of our own variable. As with Docker, one that is not set is left out.
    fn own(&mut self, name: &EnvName, place: &str, what: &str, lookup: &Lookup<'_>) -> Option<String> {
        match lookup(name.as_str()).map(OsString::into_string) {
            Some(Ok(value)) => Some(value),
            Some(Err(_)) => {
                self.found.push(Violation::new(place, name, "the variable's value here must be UTF-8"));
                None
            }
            None => {
                self.notices.push(format!("{what} is not set here and is left out"));
                None
            }
        }
    }
}

fn set(variables: &mut Vec<EnvVar>, name: &EnvName, value: Option<String>) {
    variables.retain(|variable| variable.name != *name);
    variables.extend(value.map(|value| EnvVar { name: name.clone(), value }));
}

#[cfg(test)]
mod tests;
