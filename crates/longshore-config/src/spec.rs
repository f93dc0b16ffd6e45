//! Jobs as people write them in files: a template's fields, and what makes a job of them.

use jiff::Timestamp;
use longshore_core::{
    ContainerJob, JobId, JobTemplate, PreferredExecutor, Principal, Priority, RetryPolicy, StoredDuration, suggestion,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// A template as it is written: its name is the key that it stands under, and `env` may be a table.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct TemplateSection(Map<String, Value>);

/// A job as it is written: what a template has, with `template` to begin from, and what makes a job of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct JobSpec(Map<String, Value>);

/// The keys of a job's description that are no part of its template.
const OWN_KEYS: [&str; 6] = ["template", "preferred_executor", "created_by", "priority", "retry", "queue_timeout"];

/// A job that a file describes, before it is given an id.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DescribedJob {
    /// What to run.
    pub template: JobTemplate,
    /// Where its author would like it to run.
    pub preferred_executor: Option<PreferredExecutor>,
    /// Who asks for it.
    pub created_by: Option<Principal>,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// After which ends it is run again.
    pub retry: Option<RetryPolicy>,
    /// How long it may wait for a place.
    pub queue_timeout: Option<Duration>,
}

impl DescribedJob {
    /// A job of this template that anybody asks for, and that may run anywhere.
    #[must_use]
    pub const fn new(template: JobTemplate) -> Self {
        Self { template, preferred_executor: None, created_by: None, priority: None, retry: None, queue_timeout: None }
    }

    /// The job itself, asked for now.
    #[must_use]
    pub fn into_job(self, now: Timestamp) -> ContainerJob {
        self.with_id(JobId::new(now), now)
    }

    pub(crate) fn with_id(self, id: JobId, now: Timestamp) -> ContainerJob {
        ContainerJob::builder()
            .id(id)
            .template(self.template)
            .created_at(now)
            .maybe_created_by(self.created_by)
            .maybe_preferred_executor(self.preferred_executor)
            .priority(self.priority.unwrap_or_default())
            .maybe_retry(self.retry)
            .maybe_queue_timeout(self.queue_timeout)
            .build()
    }
}

/// What is wrong with a description, and at which path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) path: Vec<String>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl TemplateSection {
    /// The template.
    pub(crate) fn template(&self, name: &str) -> Result<JobTemplate, Vec<Wrong>> {
        let mut fields = normal(&self.0);
        fields.entry("name").or_insert_with(|| Value::String(name.to_owned()));
        if !fields.contains_key("image") {
            // The schema has told that it is missing, or what is wrong with it.
            return Err(Vec::new());
        }
        template(fields)
    }
}

impl JobSpec {
    /// The job, with the templates that there are.
    pub(crate) fn job(&self, templates: &BTreeMap<String, JobTemplate>) -> Result<DescribedJob, Vec<Wrong>> {
        let mut fields = normal(&self.0);
        let own: BTreeMap<&str, Option<Value>> = OWN_KEYS.into_iter().map(|key| (key, fields.remove(key))).collect();
        let own = |key: &str| own.get(key).cloned().flatten();
        let mut wrong = Vec::new();
        let begun = match own("template") {
            Some(Value::String(name)) => begun(&name, templates),
            _ => Ok(Map::new()),
        };
        let is_begun = begun.is_ok();
        let begun = begun.unwrap_or_else(|found| kept(&mut wrong, found));
        let mut fields = merged(begun, fields);
        fields.entry("name").or_insert_with(|| Value::String("job".to_owned()));
        let preferred_executor = match own("preferred_executor") {
            Some(Value::String(host)) => Some(Value::Object(Map::from_iter([("host".to_owned(), host.into())]))),
            other => other,
        };
        // What a template that there is not would have had can't be missed.
        let of_other =
            |found: Vec<Wrong>| found.into_iter().filter(|wrong| is_begun || !wrong.path.is_empty()).collect();
        let template = template(fields).map_err(of_other).map_or_else(|found| kept(&mut wrong, found), Some);
        let preferred_executor =
            part(preferred_executor, "preferred_executor").unwrap_or_else(|found| kept(&mut wrong, found));
        let created_by = part(own("created_by"), "created_by").unwrap_or_else(|found| kept(&mut wrong, found));
        let priority = part(own("priority"), "priority").unwrap_or_else(|found| kept(&mut wrong, found));
        let retry = part(own("retry"), "retry").unwrap_or_else(|found| kept(&mut wrong, found));
        let queue_timeout: Option<StoredDuration> =
            part(own("queue_timeout"), "queue_timeout").unwrap_or_else(|found| kept(&mut wrong, found));
        let queue_timeout = queue_timeout.map(|limit| limit.0);
        match template {
            Some(template) if wrong.is_empty() => {
                Ok(DescribedJob { template, preferred_executor, created_by, priority, retry, queue_timeout })
            }
            _ => Err(wrong),
        }
    }
}

/// Keeps what is wrong, and goes on with nothing.
fn kept<T: Default>(wrong: &mut Vec<Wrong>, found: Vec<Wrong>) -> T {
    wrong.extend(found);
    T::default()
}

/// The fields of the template that a job begins from.
fn begun(name: &str, templates: &BTreeMap<String, JobTemplate>) -> Result<Map<String, Value>, Vec<Wrong>> {
    let found = templates.get(name).and_then(|template| serde_json::to_value(template).ok());
    if let Some(Value::Object(fields)) = found {
        return Ok(fields);
    }
    let help = suggestion(name, templates.keys().map(String::as_str), "no template is configured");
    let message = format!("there is no template `{name}`");
    Err(vec![Wrong { path: vec!["template".to_owned()], message, help: Some(help) }])
}

fn part<T: DeserializeOwned>(value: Option<Value>, key: &str) -> Result<Option<T>, Vec<Wrong>> {
    let Some(value) = value else { return Ok(None) };
    typed(value).map(Some).map_err(|wrong| {
        let within = |wrong: Wrong| Wrong { path: [vec![key.to_owned()], wrong.path].concat(), ..wrong };
        wrong.into_iter().map(within).collect()
    })
}

fn template(fields: Map<String, Value>) -> Result<JobTemplate, Vec<Wrong>> {
    let template: JobTemplate = typed(Value::Object(fields))?;
    let wrong = |violation: &longshore_core::Violation| Wrong {
        path: violation.field.split('.').map(ToOwned::to_owned).collect(),
        message: violation.to_string(),
        help: None,
    };
    match template.check() {
        Ok(()) => Ok(template),
        Err(violations) => Err(violations.as_slice().iter().map(wrong).collect()),
    }
}

/// How many mistakes are looked for in one description.
const MOST_WRONG: usize = 20;

/// The value as its type, or everything that is wrong with it: what is wrong is taken out, and the rest read again.
fn typed<T: DeserializeOwned>(mut value: Value) -> Result<T, Vec<Wrong>> {
    let mut found: Vec<Wrong> = Vec::new();
    let mut gone = Gone::default();
    while found.len() < MOST_WRONG {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(value) if found.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(error) => error,
        };
        let path = crate::reading::keys(error.path());
        let message = error.inner().to_string();
        let is_image =
            message.starts_with("missing field `image`") && found.iter().all(|wrong| wrong.path != ["image"]);
        // Other keys that are missing have been told by the schema, or were taken out.
        if is_image || !message.starts_with("missing field") {
            let help = is_image.then(|| "set `image`, or `template` to begin from".to_owned());
            found.push(Wrong { path: gone.written(&path), message, help });
        }
        if !gone.take(&mut value, &path) {
            break;
        }
    }
    Err(found)
}

/// The items that were taken out of lists: by the path of the list, the places that they had.
#[derive(Default)]
struct Gone(BTreeMap<Vec<String>, Vec<usize>>);

impl Gone {
    /// Takes out what a path leads to; false when that is the value itself, or there is nothing.
    fn take(&mut self, value: &mut Value, path: &[String]) -> bool {
        let Some((last, before)) = path.split_last() else { return false };
        let pointer: String =
            before.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect();
        match value.pointer_mut(&pointer) {
            Some(Value::Object(entries)) => entries.remove(last).is_some(),
            Some(Value::Array(items)) => {
                let Some(at) = last.parse::<usize>().ok().filter(|at| *at < items.len()) else { return false };
                items.remove(at);
                let written = self.place(before, at);
                self.0.entry(before.to_vec()).or_default().push(written);
                true
            }
            _ => false,
        }
    }

    /// The place that an item had before others were taken out.
    fn place(&self, list: &[String], at: usize) -> usize {
        let mut gone = self.0.get(list).cloned().unwrap_or_default();
        gone.sort_unstable();
        gone.into_iter().fold(at, |at, gone| at + usize::from(gone <= at))
    }

    /// The path as it was before items were taken out.
    fn written(&self, path: &[String]) -> Vec<String> {
        let part = |(depth, part): (usize, &String)| match part.parse() {
            Ok(at) => self.place(&path[..depth], at).to_string(),
            Err(_) => part.clone(),
        };
        path.iter().enumerate().map(part).collect()
    }
}

/// The fields in the form in which they are stored: `env` as a list.
fn normal(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = fields.clone();
    if let Some(Value::Object(variables)) = fields.get("env") {
        let variable = |(name, value): (&String, &Value)| {
            // A whole number or a boolean is meant as its text.
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            serde_json::json!({ "name": name, "value": value })
        };
        let list = variables.iter().map(variable).collect();
        fields.insert("env".to_owned(), Value::Array(list));
    }
    fields
}

/// The fields with others on top: variables and secrets are replaced by name, tables joined, all else replaced.
fn merged(mut fields: Map<String, Value>, new: Map<String, Value>) -> Map<String, Value> {
    if new.contains_key("command") {
        // The arguments were those of the former command.
        fields.remove("args");
    }
    for (key, value) in new {
        match (fields.get_mut(&key), value) {
            (Some(Value::Array(old)), Value::Array(new)) if key == "env" || key == "secrets" => {
                old.retain(|old| new.iter().all(|new| new.get("name") != old.get("name")));
                old.extend(new);
            }
            (Some(old), new) => join(old, new),
            (None, new) => {
                fields.insert(key, new);
            }
        }
    }
    fields
}

/// Puts a value in the place of another; tables are joined.
fn join(old: &mut Value, new: Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                join(old.entry(key).or_insert(Value::Null), value);
            }
        }
        (old, new) => *old = new,
    }
}

/// The schema of a template, without what must be there, and with `env` as a table as well.
fn fields_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = JobTemplate::json_schema(generator);
    schema.remove("required");
    if let Some(list) = schema.pointer("/properties/env").cloned() {
        let description = list.get("description").cloned().unwrap_or_default();
        let table =
            json_schema!({ "type": "object", "additionalProperties": { "type": ["string", "integer", "boolean"] } });
        if let Some(env) = schema.pointer_mut("/properties/env") {
            *env = serde_json::json!({ "description": description, "anyOf": [table, list] });
        }
    }
    schema
}

impl JsonSchema for TemplateSection {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = fields_schema(generator);
        schema.insert("description".to_owned(), "The reusable description of a job.".into());
        schema.insert("required".to_owned(), serde_json::json!(["image"]));
        schema
    }
}

impl JsonSchema for JobSpec {
    fn schema_name() -> Cow<'static, str> {
        "Job".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let wish = generator.subschema_for::<PreferredExecutor>();
        let principal = generator.subschema_for::<Principal>();
        let priority = generator.subschema_for::<Priority>();
        let retry = generator.subschema_for::<RetryPolicy>();
        let queue_timeout = generator.subschema_for::<StoredDuration>();
        let mut schema = fields_schema(generator);
        schema.insert("description".to_owned(), "A job: a template's fields, and what makes a job of them.".into());
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            let template = serde_json::json!({
                "type": "string",
                "description": "The template of the configuration that the job begins from; what stands beside it wins.",
            });
            let preferred = serde_json::json!({
                "description": "The host, or the kind of executor, on which it is to run where that will do.",
                "anyOf": [{ "type": "string" }, wish],
            });
            let mut created_by = principal.to_value();
            created_by["description"] = "Who asks for it.".into();
            properties.insert("template".to_owned(), template);
            properties.insert("preferred_executor".to_owned(), preferred);
            properties.insert("created_by".to_owned(), created_by);
            for (key, schema) in [("priority", priority), ("retry", retry), ("queue_timeout", queue_timeout)] {
                properties.insert(key.to_owned(), schema.to_value());
            }
        }
        schema
    }
}
