//! Jobs, executions and tasks as the API tells them: proto3 JSON, in which what has its default value is left out.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    execution::Execution,
    job::{Job, Readiness},
    rules::{object, text},
    task::{Outcome, Task},
};

const CREATOR: &str = "kit@longshore-test.iam.gserviceaccount.com";
const DAYS_TO_EXPIRY: i64 = 30;

/// Where everything of a fake is.
pub(crate) struct Place<'a> {
    pub(crate) project: &'a str,
    pub(crate) region: &'a str,
}

impl Place<'_> {
    pub(crate) fn parent(&self) -> String {
        format!("projects/{}/locations/{}", self.project, self.region)
    }

    pub(crate) fn job_name(&self, job: &str) -> String {
        format!("{}/jobs/{job}", self.parent())
    }

    pub(crate) fn execution_name(&self, job: &str, execution: &str) -> String {
        format!("{}/executions/{execution}", self.job_name(job))
    }

    pub(crate) fn job(&self, job: &Job, now: Timestamp) -> Value {
        let mut shown = job.spec.clone();
        let readiness = job.readiness(now);
        let reconciling = readiness == Readiness::Reconciling;
        set(&mut shown, "name", self.job_name(&job.name));
        set(&mut shown, "uid", job.uid.as_str());
        set(&mut shown, "generation", job.generation.to_string());
        let observed = if reconciling { job.generation - 1 } else { job.generation };
        set(&mut shown, "observedGeneration", observed.to_string());
        set(&mut shown, "createTime", job.created.to_string());
        set(&mut shown, "updateTime", job.updated.to_string());
        set(&mut shown, "creator", CREATOR);
        set(&mut shown, "lastModifier", CREATOR);
        set(&mut shown, "etag", job.etag());
        set(&mut shown, "reconciling", reconciling);
        set(&mut shown, "executionCount", job.executions_made);
        shown.entry("launchStage").or_insert_with(|| "GA".into());
        deletion(&mut shown, job.gone);
        let (state, message) = match &readiness {
            Readiness::Reconciling => ("CONDITION_RECONCILING", None),
            Readiness::Ready => ("CONDITION_SUCCEEDED", None),
            Readiness::Failed(message) => ("CONDITION_FAILED", Some(message.as_str())),
        };
        let mut terminal = condition("Ready", state, job.updated, message);
        if let Some(reason) = job.failure.as_ref().and_then(|failure| reason(failure.message())) {
            terminal["reason"] = reason.into();
        }
        set(&mut shown, "conditions", vec![condition("ResourcesAvailable", state, job.updated, None)]);
        set(&mut shown, "terminalCondition", terminal);
        if let Some(latest) = job.visible(now).next_back() {
            set(&mut shown, "latestCreatedExecution", reference(latest, now));
        }
        Value::Object(shown)
    }

    pub(crate) fn execution(&self, job: &str, execution: &Execution, now: Timestamp) -> Value {
        let mut shown = Map::new();
        for field in ["labels", "annotations", "client", "clientVersion"] {
            if let Some(value) = execution.spec.get(field) {
                set(&mut shown, field, value.clone());
            }
        }
        let is_over = execution.is_over(now);
        self.head(&mut shown, &self.execution_name(job, &execution.name), &execution.uid, execution.created);
        set(
            &mut shown,
            "updateTime",
            execution.completed().filter(|_| is_over).unwrap_or(execution.created).to_string(),
        );
        set(&mut shown, "job", job);
        set(&mut shown, "creator", CREATOR);
        set(&mut shown, "launchStage", "GA");
        set(&mut shown, "template", execution.template.clone());
        set(&mut shown, "taskCount", execution.tasks.len());
        set(&mut shown, "parallelism", execution.parallelism);
        set(&mut shown, "reconciling", !is_over);
        set(&mut shown, "logUri", self.log_uri(job, &execution.name));
        moment(&mut shown, "startTime", execution.started(now));
        moment(&mut shown, "completionTime", execution.completed().filter(|_| is_over));
        deletion(&mut shown, execution.deleted);
        let running = execution.tasks.iter().filter(|task| task.is_running(now)).count();
        let retried = execution.tasks.iter().filter(|task| task.retries() > 0).count();
        set(&mut shown, "runningCount", running);
        set(&mut shown, "retriedCount", retried);
        set(&mut shown, "succeededCount", execution.count(now, Outcome::Succeeded));
        set(&mut shown, "failedCount", execution.count(now, Outcome::Failed));
        set(&mut shown, "cancelledCount", execution.count(now, Outcome::Cancelled));
        set(&mut shown, "conditions", execution_conditions(execution, now));
        Value::Object(shown)
    }

    pub(crate) fn task(&self, job: &str, execution: &Execution, task: &Task, now: Timestamp) -> Value {
        let mut shown = execution.template.clone();
        let name = format!("{}/tasks/{}", self.execution_name(job, &execution.name), execution.task_name(task));
        let outcome = task.outcome(now);
        self.head(&mut shown, &name, &task.uid, execution.created);
        set(&mut shown, "updateTime", execution.created.to_string());
        set(&mut shown, "labels", object(&execution.spec, "labels"));
        set(&mut shown, "job", job);
        set(&mut shown, "execution", execution.name.as_str());
        set(&mut shown, "index", task.index);
        set(&mut shown, "retried", task.retries());
        set(&mut shown, "reconciling", outcome.is_none());
        set(&mut shown, "logUri", self.log_uri(job, &execution.name));
        moment(&mut shown, "scheduledTime", Some(execution.created));
        moment(&mut shown, "startTime", task.started.filter(|at| *at <= now));
        moment(&mut shown, "completionTime", task.finished().filter(|_| outcome.is_some()).map(|(at, _)| at));
        if let Some(last) = task.last.as_ref().filter(|_| outcome.is_some() || task.retries() > 0) {
            let mut result = Map::new();
            set(&mut result, "exitCode", last.exit_code.unwrap_or_default());
            set(&mut result, "termSignal", last.signal.unwrap_or_default());
            if let Some(status) = &last.status {
                result.insert("status".into(), status.status());
            }
            shown.insert("lastAttemptResult".into(), Value::Object(result));
        }
        set(&mut shown, "conditions", task_conditions(execution, task, now));
        Value::Object(shown)
    }

    fn head(&self, shown: &mut Map<String, Value>, name: &str, uid: &str, created: Timestamp) {
        set(shown, "name", name);
        set(shown, "uid", uid);
        set(shown, "generation", "1");
        set(shown, "observedGeneration", "1");
        set(shown, "createTime", created.to_string());
        set(shown, "etag", format!("\"{}\"", uid.split('-').next().unwrap_or_default()));
    }

    fn log_uri(&self, job: &str, execution: &str) -> String {
        let Self { project, region } = self;
        format!(
            "https://console.cloud.google.com/logs/viewer?project={project}&advancedFilter=resource.type%3D%22\
             cloud_run_job%22%0Aresource.labels.job_name%3D%22{job}%22%0Aresource.labels.location%3D%22{region}%22%0A\
             labels.%22run.googleapis.com/execution_name%22%3D%22{execution}%22"
        )
    }
}

fn execution_conditions(execution: &Execution, now: Timestamp) -> Vec<Value> {
    let (created, started) = (execution.created, execution.started(now));
    let mut completed = match execution.completed().filter(|at| *at <= now) {
        None => condition("Completed", "CONDITION_RECONCILING", created, Some("Execution is in progress.")),
        Some(at) => match execution.failure(now) {
            None => condition("Completed", "CONDITION_SUCCEEDED", at, Some("Execution completed successfully.")),
            Some(message) => condition("Completed", "CONDITION_FAILED", at, Some(&message)),
        },
    };
    let reason = match (execution.cancelled, execution.is_over(now), execution.failure(now)) {
        (Some(_), true, _) => Some("CANCELLED"),
        (Some(_), false, _) => Some("CANCELLING"),
        (None, true, Some(_)) => Some("NON_ZERO_EXIT_CODE"),
        _ => None,
    };
    if let Some(reason) = reason {
        completed["executionReason"] = reason.into();
    }
    let begun = if started.is_some() { "CONDITION_SUCCEEDED" } else { "CONDITION_PENDING" };
    vec![
        completed,
        condition("ResourcesAvailable", begun, started.unwrap_or(created), None),
        condition("Started", begun, started.unwrap_or(created), None),
        condition("ContainerReady", "CONDITION_SUCCEEDED", created, Some("Imported container image.")),
    ]
}

fn task_conditions(execution: &Execution, task: &Task, now: Timestamp) -> Vec<Value> {
    let created = execution.created;
    let mut completed = match task.finished().filter(|(at, _)| *at <= now) {
        None => condition("Completed", "CONDITION_RECONCILING", created, None),
        Some((at, Outcome::Succeeded)) => condition("Completed", "CONDITION_SUCCEEDED", at, None),
        Some((at, Outcome::Failed | Outcome::Cancelled)) => {
            let status = task.last.as_ref().and_then(|last| last.status.as_ref());
            condition("Completed", "CONDITION_FAILED", at, status.map(super::error::Refusal::message))
        }
    };
    match task.outcome(now) {
        Some(Outcome::Failed) => completed["executionReason"] = "NON_ZERO_EXIT_CODE".into(),
        Some(Outcome::Cancelled) => completed["executionReason"] = "CANCELLED".into(),
        Some(Outcome::Succeeded) | None => {}
    }
    let begun = if task.started.is_some() { "CONDITION_SUCCEEDED" } else { "CONDITION_PENDING" };
    vec![completed, condition("Started", begun, task.started.unwrap_or(created), None)]
}

fn condition(kind: &str, state: &str, at: Timestamp, message: Option<&str>) -> Value {
    let mut condition = json!({ "type": kind, "state": state, "lastTransitionTime": at.to_string() });
    if let Some(message) = message {
        condition["message"] = message.into();
    }
    condition
}

/// The reason that the API has for why a job can't be deployed.
fn reason(message: &str) -> Option<&'static str> {
    let reasons = [
        ("Image '", "CONTAINER_MISSING"),
        ("Google Cloud Run Service Agent", "CONTAINER_PERMISSION_DENIED"),
        ("secret", "SECRETS_ACCESS_CHECK_FAILED"),
        ("Secret", "SECRETS_ACCESS_CHECK_FAILED"),
        ("VPC", "VPC_NETWORK_NOT_FOUND"),
    ];
    reasons.into_iter().find(|(words, _)| message.contains(words)).map(|(_, reason)| reason)
}

/// What a job tells of an execution: its short name, and how it stands.
fn reference(execution: &Execution, now: Timestamp) -> Value {
    let status = match (execution.is_over(now), execution.cancelled, execution.failure(now)) {
        (false, ..) if execution.started(now).is_none() => "EXECUTION_PENDING",
        (false, ..) => "EXECUTION_RUNNING",
        (true, Some(_), _) => "EXECUTION_CANCELLED",
        (true, None, Some(_)) => "EXECUTION_FAILED",
        (true, None, None) => "EXECUTION_SUCCEEDED",
    };
    let mut reference = Map::new();
    set(&mut reference, "name", execution.name.as_str());
    set(&mut reference, "createTime", execution.created.to_string());
    moment(&mut reference, "completionTime", execution.completed().filter(|at| *at <= now));
    set(&mut reference, "completionStatus", status);
    Value::Object(reference)
}

/// Sets a member, unless its value is the default one.
fn set(into: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let value = value.into();
    let is_default = match &value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_i64() == Some(0),
        Value::String(value) => value.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    };
    if !is_default {
        into.insert(field.to_owned(), value);
    }
}

fn moment(into: &mut Map<String, Value>, field: &str, at: Option<Timestamp>) {
    set(into, field, at.map(|at| at.to_string()).unwrap_or_default());
}

fn deletion(into: &mut Map<String, Value>, at: Option<Timestamp>) {
    moment(into, "deleteTime", at);
    let expiry = at.and_then(|at| at.checked_add(SignedDuration::from_hours(24 * DAYS_TO_EXPIRY)).ok());
    moment(into, "expireTime", expiry);
}

/// The job's specification with what the platform gives by default.
pub(crate) fn with_defaults(mut job: Map<String, Value>, project: &str) -> Map<String, Value> {
    let mut execution = object(&job, "template");
    execution.entry("taskCount").or_insert_with(|| 1.into());
    let mut task = object(&execution, "template");
    task.entry("maxRetries").or_insert_with(|| 3.into());
    task.entry("timeout").or_insert_with(|| "600s".into());
    if text(&task, "executionEnvironment").is_none_or(|it| it == "EXECUTION_ENVIRONMENT_UNSPECIFIED") {
        task.insert("executionEnvironment".into(), "EXECUTION_ENVIRONMENT_GEN2".into());
    }
    let account = format!("{}-compute@developer.gserviceaccount.com", project.len());
    task.entry("serviceAccount").or_insert_with(|| account.into());
    let containers = super::rules::objects(&task, "containers").into_iter().map(|mut container| {
        let mut resources = object(&container, "resources");
        let limits = super::resources::granted(resources.get("limits"));
        resources.insert("limits".into(), limits.into());
        container.insert("resources".into(), resources.into());
        Value::Object(container)
    });
    let containers: Vec<Value> = containers.collect();
    task.insert("containers".into(), containers.into());
    execution.insert("template".into(), task.into());
    job.insert("template".into(), execution.into());
    job
}
