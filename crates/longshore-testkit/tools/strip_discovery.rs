//! Strips one of Google's discovery documents down to what a fake checks requests and answers by: of the methods that
//! the fake serves and the schemas that they reach, the names, types, formats, enums, patterns and which fields are
//! the provider's own. No prose is kept.
//!
//! ```text
//! cargo run -p longshore-testkit --features cloudrun --example strip_discovery -- path/to/run.v2.json \
//!     > crates/longshore-testkit/src/fakes/cloudrun/schema/run.v2.json
//! ```
//!
//! What a document states in words only, such as which fields are required, is beside the result in `stated.json`,
//! written by hand.

use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, error::Error, io::Write};

/// The methods that the fakes serve, by the document's id.
const SERVED: [(&str, &[&str]); 2] = [
    (
        "run:v2",
        &[
            "run.projects.locations.jobs.create",
            "run.projects.locations.jobs.delete",
            "run.projects.locations.jobs.get",
            "run.projects.locations.jobs.list",
            "run.projects.locations.jobs.patch",
            "run.projects.locations.jobs.run",
            "run.projects.locations.jobs.testIamPermissions",
            "run.projects.locations.jobs.executions.cancel",
            "run.projects.locations.jobs.executions.delete",
            "run.projects.locations.jobs.executions.get",
            "run.projects.locations.jobs.executions.list",
            "run.projects.locations.jobs.executions.tasks.get",
            "run.projects.locations.jobs.executions.tasks.list",
            "run.projects.locations.operations.delete",
            "run.projects.locations.operations.get",
            "run.projects.locations.operations.list",
            "run.projects.locations.operations.wait",
        ],
    ),
    ("logging:v2", &["logging.entries.list"]),
];

/// What is kept of a schema, a field or a parameter.
const KEPT: [&str; 9] = ["$ref", "type", "format", "enum", "pattern", "readOnly", "required", "location", "repeated"];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: strip_discovery PATH-OF-A-DISCOVERY-DOCUMENT")?;
    let document = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let stripped = strip(&document).ok_or_else(|| format!("{path} is of no API that a fake serves"))?;
    writeln!(std::io::stdout(), "{stripped:#}")?;
    Ok(())
}

/// The document's skeleton; none when no fake serves the API.
fn strip(document: &Value) -> Option<Value> {
    let id = document["id"].as_str()?;
    let (_, served) = SERVED.into_iter().find(|(known, _)| *known == id)?;
    let mut methods = Map::new();
    collect_methods(document, served, &mut methods);
    let mut reached = BTreeSet::new();
    for method in methods.values() {
        reach(method, &document["schemas"], &mut reached);
    }
    let schemas = reached.into_iter().map(|name| {
        let fields = strip_fields(&document["schemas"][&name]["properties"]);
        (name, fields)
    });
    Some(json!({
        "id": id,
        "revision": document["revision"],
        "methods": methods,
        "schemas": schemas.collect::<Map<_, _>>(),
    }))
}

fn collect_methods(resource: &Value, served: &[&str], into: &mut Map<String, Value>) {
    for method in values(&resource["methods"]) {
        let id = method["id"].as_str().unwrap_or_default();
        if served.contains(&id) {
            into.insert(id.to_owned(), strip_method(method));
        }
    }
    for inner in values(&resource["resources"]) {
        collect_methods(inner, served, into);
    }
}

fn strip_method(method: &Value) -> Value {
    let mut kept = Map::new();
    kept.insert("httpMethod".into(), method["httpMethod"].clone());
    kept.insert("path".into(), method["path"].clone());
    kept.insert("parameters".into(), strip_fields(&method["parameters"]));
    for side in ["request", "response"] {
        if let Some(name) = method[side]["$ref"].as_str() {
            kept.insert(side.into(), name.into());
        }
    }
    Value::Object(kept)
}

fn strip_fields(fields: &Value) -> Value {
    let fields = fields.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, field)| (name.clone(), strip_type(field))).collect())
}

fn strip_type(schema: &Value) -> Value {
    let mut kept = Map::new();
    for (key, value) in schema.as_object().into_iter().flatten() {
        match key.as_str() {
            "items" | "additionalProperties" => drop(kept.insert(key.clone(), strip_type(value))),
            key if KEPT.contains(&key) => drop(kept.insert(key.to_owned(), value.clone())),
            _ => {}
        }
    }
    Value::Object(kept)
}

/// Adds the names of all schemas that the value refers to, directly or through others.
fn reach(value: &Value, schemas: &Value, reached: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let names_schema = matches!(key.as_str(), "$ref" | "request" | "response");
                match inner.as_str().filter(|_| names_schema) {
                    Some(name) if reached.insert(name.to_owned()) => reach(&schemas[name], schemas, reached),
                    Some(_) => {}
                    None => reach(inner, schemas, reached),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| reach(item, schemas, reached)),
        _ => {}
    }
}

fn values(object: &Value) -> impl Iterator<Item = &Value> {
    object.as_object().into_iter().flat_map(Map::values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_is_kept_without_its_prose() {
        let list = json!({
            "id": "logging.entries.list", "httpMethod": "POST", "path": "v2/entries:list", "description": "Lists.",
            "parameters": {}, "request": { "$ref": "Ask" }, "response": { "$ref": "Answer" },
        });
        let document = json!({
            "id": "logging:v2", "revision": "1", "description": "An API.",
            "resources": { "entries": { "methods": {
                "list": list, "write": { "id": "logging.entries.write", "request": { "$ref": "Unreached" } },
            } } },
            "schemas": {
                "Ask": { "properties": { "filter": { "type": "string", "description": "Optional." } } },
                "Answer": { "properties": { "entries": { "type": "array", "items": { "$ref": "Entry" } } } },
                "Entry": { "properties": {
                    "at": { "type": "string", "format": "google-datetime", "readOnly": true },
                    "kind": { "type": "string", "enum": ["A"], "enumDescriptions": ["The first."] },
                    "labels": { "type": "object", "additionalProperties": { "type": "string", "description": "x" } },
                    "parent": { "$ref": "Entry" },
                } },
                "Unreached": { "properties": {} },
            },
        });
        let expected = json!({
            "id": "logging:v2", "revision": "1",
            "methods": { "logging.entries.list": {
                "httpMethod": "POST", "path": "v2/entries:list", "parameters": {},
                "request": "Ask", "response": "Answer",
            } },
            "schemas": {
                "Ask": { "filter": { "type": "string" } },
                "Answer": { "entries": { "type": "array", "items": { "$ref": "Entry" } } },
                "Entry": {
                    "at": { "type": "string", "format": "google-datetime", "readOnly": true },
                    "kind": { "type": "string", "enum": ["A"] },
                    "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                    "parent": { "$ref": "Entry" },
                },
            },
        });
        assert_eq!(strip(&document), Some(expected));
    }

    #[test]
    fn a_document_that_no_fake_serves_is_refused() {
        assert_eq!(strip(&json!({ "id": "compute:v1" })), None);
    }
}
