//! What a task's template makes of a container: its program, and what that finds around it.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::{
    error::{Code, Refusal},
    resources,
    rules::{object, objects, text, texts},
    secrets::{Reference, Secrets},
};
use crate::fakes::process::{Files, Surroundings};

/// Under these names the probe is found in its image; it is also the image's entrypoint.
const PROBES: [&str; 4] = ["/longshore-probe", "longshore-probe", "/probe", "probe"];

/// A container that can be started as often as it is needed. It may hold secrets and is never shown.
pub(crate) struct Container {
    script: Result<Vec<String>, Refusal>,
    env: BTreeMap<String, Vec<u8>>,
    files: Files,
    working_directory: String,
    memory_limit: u64,
}

impl Container {
    /// The container of the task's template. What can't be started is told when it is started.
    pub(crate) fn new(template: &Map<String, Value>, secrets: &Secrets) -> Self {
        let container = objects(template, "containers").into_iter().next().unwrap_or_default();
        let mut files = Files::new();
        let mounted = mount(&container, template, secrets, &mut files);
        let env = environment(&container, secrets);
        let limits = resources::granted(object(&container, "resources").get("limits"));
        let memory = limits.get("memory").and_then(Value::as_str).and_then(resources::bytes);
        let script = mounted.and_then(|()| script(&container, &files));
        Self {
            script: env.as_ref().map_or_else(|refusal| Err(refusal.clone()), |_| script),
            env: env.unwrap_or_default(),
            files,
            working_directory: text(&container, "workingDir").unwrap_or("/").to_owned(),
            memory_limit: memory.unwrap_or(u64::MAX),
        }
    }

    /// The script, and what the program finds, with the variables of this attempt among it.
    pub(crate) fn start(&self, own: BTreeMap<String, String>) -> Result<(&[String], Surroundings), Refusal> {
        let script = self.script.as_ref().map_err(Clone::clone)?;
        let mut env = self.env.clone();
        env.extend(own.into_iter().map(|(name, value)| (name, value.into_bytes())));
        let surroundings = Surroundings {
            env,
            working_directory: self.working_directory.clone(),
            hostname: "localhost".to_owned(),
            files: self.files.clone(),
            memory_limit: self.memory_limit,
        };
        Ok((script, surroundings))
    }

    /// In bytes.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.memory_limit
    }
}

fn script(container: &Map<String, Value>, files: &Files) -> Result<Vec<String>, Refusal> {
    let args = texts(container, "args").unwrap_or_default();
    let command = texts(container, "command").filter(|command| !command.is_empty());
    let Some(command) = command else { return Ok(args) };
    let mut argv = command.into_iter().chain(args);
    let program = argv.next().unwrap_or_default();
    if PROBES.contains(&program.as_str()) {
        return Ok(argv.collect());
    }
    let why = if files.is_folder(&program) { "permission denied" } else { "no such file or directory" };
    Err(Refusal::new(Code::FailedPrecondition, format!("Application failed to start: \"{program}\": {why}")))
}

fn environment(container: &Map<String, Value>, secrets: &Secrets) -> Result<BTreeMap<String, Vec<u8>>, Refusal> {
    let variables = objects(container, "env").into_iter().map(|variable| {
        let name = text(&variable, "name").unwrap_or_default().to_owned();
        let reference = object(&object(&variable, "valueSource"), "secretKeyRef");
        let value = if reference.is_empty() {
            text(&variable, "value").unwrap_or_default().as_bytes().to_vec()
        } else {
            secrets.read(&referred(&reference, &reference))?
        };
        Ok((name, value))
    });
    variables.collect()
}

fn mount(
    container: &Map<String, Value>,
    template: &Map<String, Value>,
    secrets: &Secrets,
    files: &mut Files,
) -> Result<(), Refusal> {
    let volumes = objects(template, "volumes");
    for mount in objects(container, "volumeMounts") {
        let name = text(&mount, "name");
        let Some(volume) = volumes.iter().find(|volume| text(volume, "name") == name) else { continue };
        let place = text(&mount, "mountPath").unwrap_or_default().trim_end_matches('/');
        let limit = text(&object(volume, "emptyDir"), "sizeLimit").and_then(resources::bytes);
        let source = object(volume, "secret");
        let read_only = !source.is_empty() || object(volume, "gcs").get("readOnly") == Some(&Value::Bool(true));
        files.mount(place, read_only, limit);
        for (path, reference) in secret_files(&source) {
            files.place(&format!("{place}/{path}"), secrets.read(&reference)?);
        }
    }
    Ok(())
}

/// The files of a secret's volume: each version under the path that is given for it, or the latest under the secret's
/// own name.
fn secret_files(source: &Map<String, Value>) -> Vec<(String, Reference<'_>)> {
    let Some(secret) = text(source, "secret") else { return Vec::new() };
    let items = source.get("items").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    let listed = items.map(|item| (text(item, "path").unwrap_or_default().to_owned(), referred(source, item)));
    let mut files: Vec<_> = listed.collect();
    if files.is_empty() {
        let short = secret.rsplit('/').next().unwrap_or(secret);
        files.push((short.to_owned(), Reference { secret, version: "latest" }));
    }
    files
}

/// The secret that one message names, in the version that another does.
fn referred<'a>(secret: &'a Map<String, Value>, version: &'a Map<String, Value>) -> Reference<'a> {
    Reference {
        secret: text(secret, "secret").unwrap_or_default(),
        version: text(version, "version").unwrap_or_default(),
    }
}

/// Why a secret that the template refers to can't be read.
pub(crate) fn secret_failure(template: &Map<String, Value>, secrets: &Secrets) -> Option<Refusal> {
    let mut files = Files::new();
    objects(template, "containers").iter().find_map(|container| {
        let variables = environment(container, secrets).map(drop);
        variables.and_then(|()| mount(container, template, secrets, &mut files)).err()
    })
}
