//! What the API asks of a job beyond its form: names, labels, images, variables, volumes, limits.
//!
//! Each rule is in the words of the reference (`cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs`)
//! or of the page on configuring what it is about.

pub(crate) mod container;
mod volumes;

use serde_json::{Map, Value};
use std::time::Duration;

use super::{error::Refusal, schema};

/// Namespaces of labels and annotations that are the provider's own.
const RESERVED: [&str; 4] =
    ["run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev"];
const LONGEST_JOB_NAME: usize = 49;
/// The name of a job and a token together must be shorter.
const LONGEST_EXECUTION_NAME: usize = 63;
const MOST_TASKS: i64 = 10_000;
const MOST_RETRIES: i64 = 10;
const LONGEST_TIMEOUT: Duration = Duration::from_secs(168 * 3_600);
const LONGEST_TIMEOUT_WITH_GPU: Duration = Duration::from_secs(3_600);

/// Requires that the name may be a job's.
pub(crate) fn job_name(name: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let well = begins_well && name.bytes().all(plain) && !name.ends_with('-') && name.len() <= LONGEST_JOB_NAME;
    if well {
        return Ok(());
    }
    let rule = format!(
        "Resource name must use only lowercase letters, numbers and '-'. Must begin with a letter and cannot end with \
         a '-'. Maximum length is {LONGEST_JOB_NAME} characters. Found '{name}'."
    );
    Err(Refusal::field("job_id", rule))
}

/// Requires that a job of the name may be so.
pub(crate) fn job(name: &str, job: &Map<String, Value>) -> Result<(), Refusal> {
    for kind in ["startExecutionToken", "runExecutionToken"] {
        if let Some(token) = text(job, kind) {
            execution_token(kind, name, token)?;
        }
    }
    if matches!(text(job, "launchStage"), Some("UNIMPLEMENTED" | "PRELAUNCH" | "EARLY_ACCESS" | "DEPRECATED")) {
        return Err(Refusal::field("job.launch_stage", "Supported are ALPHA, BETA and GA."));
    }
    tags("job", job)?;
    execution("job.template", &object(job, "template"))
}

fn execution_token(kind: &str, job: &str, token: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if job.len() + token.len() >= LONGEST_EXECUTION_NAME {
        let rule =
            format!("The sum of job name and token length must be fewer than {LONGEST_EXECUTION_NAME} characters.");
        return Err(Refusal::field(kind, rule));
    }
    if token.is_empty() || !token.bytes().all(plain) || token.ends_with('-') {
        return Err(Refusal::field(
            kind,
            "must use only lowercase letters, numbers and '-', and cannot end with a '-'.",
        ));
    }
    Ok(())
}

fn execution(path: &str, template: &Map<String, Value>) -> Result<(), Refusal> {
    tags(path, template)?;
    let tasks = number(template, "taskCount").unwrap_or(1);
    task_count(&format!("{path}.task_count"), tasks)?;
    if !(0..=tasks).contains(&number(template, "parallelism").unwrap_or(0)) {
        return Err(Refusal::field(&format!("{path}.parallelism"), "must be at least 0 and at most task_count."));
    }
    task(&format!("{path}.template"), &object(template, "template"))
}

pub(crate) fn task_count(path: &str, tasks: i64) -> Result<(), Refusal> {
    if (1..=MOST_TASKS).contains(&tasks) {
        return Ok(());
    }
    Err(Refusal::field(path, format!("must be between 1 and {MOST_TASKS}.")))
}

fn task(path: &str, template: &Map<String, Value>) -> Result<(), Refusal> {
    if !(0..=MOST_RETRIES).contains(&number(template, "maxRetries").unwrap_or(0)) {
        return Err(Refusal::field(&format!("{path}.max_retries"), format!("must be between 0 and {MOST_RETRIES}.")));
    }
    if text(template, "executionEnvironment") == Some("EXECUTION_ENVIRONMENT_GEN1") {
        let rule = "Annotation 'run.googleapis.com/execution-environment' with value 'gen1' is not supported on \
                    resources of kind Execution.";
        return Err(Refusal::field(&format!("{path}.execution_environment"), rule));
    }
    let accelerator = object(template, "nodeSelector");
    timeout(&format!("{path}.timeout"), text(template, "timeout"), !accelerator.is_empty())?;
    service_account(path, text(template, "serviceAccount"))?;
    vpc_access(&format!("{path}.vpc_access"), &object(template, "vpcAccess"))?;
    volumes::check(path, template)?;
    container::check(path, template, text(&accelerator, "accelerator"))
}

pub(crate) fn timeout(path: &str, timeout: Option<&str>, has_gpu: bool) -> Result<(), Refusal> {
    let Some(timeout) = timeout.and_then(schema::duration) else { return Ok(()) };
    let most = if has_gpu { LONGEST_TIMEOUT_WITH_GPU } else { LONGEST_TIMEOUT };
    if timeout.subsec_nanos() == 0 && !timeout.is_zero() && timeout <= most {
        return Ok(());
    }
    Err(Refusal::field(path, format!("must be whole seconds, more than 0 and at most {}.", most.as_secs())))
}

fn service_account(path: &str, account: Option<&str>) -> Result<(), Refusal> {
    let well = account.is_none_or(|account| {
        account.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && host.contains('.') && !account.contains(char::is_whitespace)
        })
    });
    if well { Ok(()) } else { Err(Refusal::field(&format!("{path}.service_account"), "must be an email address.")) }
}

fn vpc_access(path: &str, access: &Map<String, Value>) -> Result<(), Refusal> {
    if let Some(connector) = text(access, "connector") {
        let parts: Vec<&str> = connector.split('/').collect();
        if !matches!(parts[..], ["projects", _, "locations", _, "connectors", _]) {
            let rule = "must be of the form projects/{project}/locations/{location}/connectors/{connector}.";
            return Err(Refusal::field(&format!("{path}.connector"), rule));
        }
    }
    let interfaces = access.get("networkInterfaces").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if interfaces.len() > 1 {
        return Err(Refusal::field(&format!("{path}.network_interfaces"), "only a single one is supported."));
    }
    for interface in interfaces.iter().filter_map(Value::as_object) {
        if text(interface, "network").is_none() && text(interface, "subnetwork").is_none() {
            let rule = "at least one of network or subnetwork must be specified.";
            return Err(Refusal::field(&format!("{path}.network_interfaces[0]"), rule));
        }
    }
    Ok(())
}

/// Labels as `cloud.google.com/resource-manager/docs/creating-managing-labels` has them, and annotations.
fn tags(path: &str, of: &Map<String, Value>) -> Result<(), Refusal> {
    let (labels, annotations) = (object(of, "labels"), object(of, "annotations"));
    for (kind, key) in
        labels.keys().map(|key| ("labels", key)).chain(annotations.keys().map(|key| ("annotations", key)))
    {
        let namespace = key.split_once('/').map(|(namespace, _)| namespace);
        if namespace.is_some_and(|it| RESERVED.iter().any(|own| it == *own || it.ends_with(&format!(".{own}")))) {
            let rule = format!("The key '{key}' is in a system namespace, which is not supported in v2.");
            return Err(Refusal::field(&format!("{path}.{kind}"), rule));
        }
    }
    let wrong = labels.iter().find(|(key, value)| !is_label(key, value.as_str().unwrap_or_default()));
    if let Some((key, value)) = wrong {
        let rule = format!(
            "The label '{key}': {value} is invalid: keys begin with a lowercase letter, keys and values have only \
             lowercase letters, numbers, '_' and '-', and at most 63 characters."
        );
        return Err(Refusal::field(&format!("{path}.labels"), rule));
    }
    if labels.len() > 64 {
        return Err(Refusal::field(&format!("{path}.labels"), "at most 64 labels are supported."));
    }
    Ok(())
}

fn is_label(key: &str, value: &str) -> bool {
    let plain = |text: &str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        text.len() <= 63 && text.bytes().all(known)
    };
    key.starts_with(|first: char| first.is_ascii_lowercase()) && plain(key) && plain(value)
}

/// The field's text, if it is set.
pub(crate) fn text<'a>(of: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    of.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

pub(crate) fn number(of: &Map<String, Value>, field: &str) -> Option<i64> {
    of.get(field).and_then(Value::as_i64)
}

/// The field's members; none when it is not set.
pub(crate) fn object(of: &Map<String, Value>, field: &str) -> Map<String, Value> {
    of.get(field).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The messages in the field's list.
pub(crate) fn objects(of: &Map<String, Value>, field: &str) -> Vec<Map<String, Value>> {
    let items = of.get(field).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_object().cloned()).collect()
}

/// The texts in the field's list; none when it is not set.
pub(crate) fn texts(of: &Map<String, Value>, field: &str) -> Option<Vec<String>> {
    let items = of.get(field)?.as_array()?;
    Some(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests;
