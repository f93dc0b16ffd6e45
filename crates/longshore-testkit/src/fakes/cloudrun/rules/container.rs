//! The rules of a task's container.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

use super::{object, objects, text};
use crate::fakes::cloudrun::{error::Refusal, resources};

/// Variables that the platform sets itself (`cloud.google.com/run/docs/container-contract#jobs-env-vars`).
const RESERVED: [&str; 5] =
    ["CLOUD_RUN_EXECUTION", "CLOUD_RUN_JOB", "CLOUD_RUN_TASK_ATTEMPT", "CLOUD_RUN_TASK_COUNT", "CLOUD_RUN_TASK_INDEX"];
const LONGEST: usize = 32_768;

/// Requires that the task has one container, and that it may be so.
pub(super) fn check(path: &str, template: &Map<String, Value>, accelerator: Option<&str>) -> Result<(), Refusal> {
    let containers = objects(template, "containers");
    let [container] = containers.as_slice() else {
        return Err(Refusal::field(&format!("{path}.containers"), "must be exactly one container."));
    };
    let path = format!("{path}.containers[0]");
    image(&path, text(container, "image").unwrap_or_default())?;
    environment(&path, &objects(container, "env"))?;
    let resources = object(container, "resources");
    resources::check(&path, resources.get("limits"), accelerator)
}

fn image(path: &str, image: &str) -> Result<(), Refusal> {
    let (first, rest) = image.split_once('/').unwrap_or(("docker.io", image));
    let names_host = first.contains(['.', ':']) || first == "localhost";
    let known = first == "docker.io" || first.ends_with("gcr.io") || first.ends_with("docker.pkg.dev");
    if rest.is_empty() || image.contains(char::is_whitespace) || (names_host && !known) {
        let rule = format!(
            "Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, \
             [region-]docker.pkg.dev or docker.io but obtained {image}. To deploy container images from other public \
             or private registries, set up an Artifact Registry remote repository."
        );
        return Err(Refusal::field(&format!("{path}.image"), rule));
    }
    Ok(())
}

/// The rules of variables, those of overrides included.
pub(crate) fn environment(path: &str, variables: &[Map<String, Value>]) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for (index, variable) in variables.iter().enumerate() {
        let field = format!("{path}.env[{index}]");
        let name = text(variable, "name").unwrap_or_default();
        if name.len() > LONGEST || name.contains(['=', '\0']) {
            return Err(Refusal::field(&field, format!("the name must not exceed {LONGEST} characters or hold '='.")));
        }
        if RESERVED.contains(&name) {
            let rule = format!(
                "The following reserved env names were provided: {name}. These values are automatically set by the \
                 system."
            );
            return Err(Refusal::field(&format!("{path}.env"), rule));
        }
        if !seen.insert(name) {
            return Err(Refusal::field(&format!("{path}.env"), format!("the name '{name}' is there twice.")));
        }
        value(&field, variable)?;
    }
    Ok(())
}

fn value(field: &str, variable: &Map<String, Value>) -> Result<(), Refusal> {
    let value = text(variable, "value").unwrap_or_default();
    if value.len() > LONGEST || value.contains('\0') {
        return Err(Refusal::field(field, format!("the value must not exceed {LONGEST} bytes.")));
    }
    let source = object(variable, "valueSource");
    if source.is_empty() {
        return Ok(());
    }
    let reference = object(&source, "secretKeyRef");
    if text(&reference, "secret").is_none() || text(&reference, "version").is_none() {
        return Err(Refusal::field(
            &format!("{field}.value_source.secret_key_ref"),
            "must have a secret and a version.",
        ));
    }
    Ok(())
}
