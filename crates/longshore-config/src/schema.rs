//! The published JSON Schema of `longshore.toml`, with the settings of every executor that the program has.

use longshore_core::{ExecutorKind, ExecutorRegistry};
use schemars::schema_for;
use serde_json::{Value, json};

use crate::document::Document;

/// The JSON Schema (2020-12) of a configuration for these executors: for editors, and for whoever makes configurations
/// by program.
#[must_use]
pub fn schema(registry: &ExecutorRegistry) -> Value {
    let mut schema = schema_for!(Document).to_value();
    let mut cases = Vec::new();
    let mut kinds = Vec::new();
    for kind in registry.kinds() {
        let name = format!("{}-config", kind.executor_type);
        for (key, definition) in definitions(kind, &name) {
            schema["$defs"][key] = definition;
        }
        cases.push(json!({
            "if": { "properties": { "executor": { "const": kind.executor_type } } },
            "then": { "properties": { "executor_config": { "$ref": format!("#/$defs/{name}") } } },
        }));
        kinds.push(json!({ "const": kind.executor_type, "description": kind.description }));
    }
    let host = &mut schema["$defs"]["HostSection"];
    host["properties"]["executor"]["oneOf"] = kinds.into();
    host["allOf"] = cases.into();
    schema
}

/// The schema of a kind's settings and its definitions, under names that no other kind's have.
fn definitions(kind: &ExecutorKind, name: &str) -> Vec<(String, Value)> {
    let mut schema = (kind.config_schema)().to_value();
    let own = schema.as_object_mut().and_then(|schema| schema.remove("$defs"));
    let mut found = vec![(name.to_owned(), renamed(schema, name))];
    if let Some(Value::Object(own)) = own {
        found.extend(own.into_iter().map(|(key, value)| (format!("{name}.{key}"), renamed(value, name))));
    }
    found
}

fn renamed(value: Value, name: &str) -> Value {
    match value {
        Value::Object(entries) => {
            let entry = |(key, value): (String, Value)| match (key.as_str(), &value) {
                ("$schema", _) => None,
                ("$ref", Value::String(reference)) => {
                    let reference = reference.replacen("#/$defs/", &format!("#/$defs/{name}."), 1);
                    Some((key, Value::String(reference)))
                }
                _ => Some((key, renamed(value, name))),
            };
            Value::Object(entries.into_iter().filter_map(entry).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| renamed(item, name)).collect()),
        other => other,
    }
}
