//! Requests against the schema.

use serde_json::{Map, Value};

use super::{Kind, Schema, Stated};
use crate::fakes::cloudrun::error::{Refusal, Violation};

/// Checks a request's body and returns it without what is ignored: nulls, and fields that are the provider's own.
/// `root` is the name of the field that the body is in the protocol's own language; empty when it is the whole
/// request.
pub(crate) fn request(schema: &Schema, name: &str, root: &str, body: Value) -> Result<Map<String, Value>, Refusal> {
    let mut check = Check { schema, violations: Vec::new() };
    let body = check.message(name, root, body);
    if check.violations.is_empty() { Ok(body) } else { Err(Refusal::invalid(&check.violations)) }
}

struct Check<'a> {
    schema: &'a Schema,
    violations: Vec<Violation>,
}

impl Check<'_> {
    fn broken(&mut self, path: &str, rule: String) {
        self.violations.push(Violation { field: path.to_owned(), rule });
    }

    fn message(&mut self, name: &str, path: &str, value: Value) -> Map<String, Value> {
        let Value::Object(given) = value else {
            self.invalid(path, name, &value);
            return Map::new();
        };
        let mut kept = Map::new();
        for (field, value) in given {
            let Some(member) = self.schema.messages.get(name).and_then(|members| members.get(&field)) else {
                self.unknown(path, &field);
                continue;
            };
            if value.is_null() || member.read_only {
                continue;
            }
            let value = self.value(&member.kind, &field, &join(path, &snake(&field)), value);
            kept.insert(field, value);
        }
        self.stated(name, path, &kept);
        kept
    }

    fn unknown(&mut self, path: &str, field: &str) {
        let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
        let rule = format!("Invalid JSON payload received. Unknown name \"{field}\"{place}: Cannot find field.");
        self.broken(path, rule);
    }

    fn invalid(&mut self, path: &str, kind: &str, value: &Value) {
        self.broken(path, format!("Invalid value at '{path}' ({kind}), {value}"));
    }

    fn value(&mut self, kind: &Kind, field: &str, path: &str, value: Value) -> Value {
        match (kind, value) {
            (Kind::Message(name), value) => Value::Object(self.message(name, path, value)),
            (Kind::List(inner), Value::Array(items)) => {
                let place = |index: usize| format!("{path}[{index}]");
                let items = items.into_iter().enumerate();
                items.map(|(index, item)| self.value(inner, field, &place(index), item)).collect()
            }
            (Kind::Map(inner), Value::Object(fields)) => {
                let fields = fields.into_iter();
                let checked = fields.map(|(key, value)| {
                    let value = self.value(inner, field, &format!("{path}[{key}]"), value);
                    (key, value)
                });
                Value::Object(checked.collect())
            }
            (Kind::Any, value) => value,
            (Kind::Enum(names), value) => self.enumerated(names, field, path, value),
            (Kind::Scalar(scalar), value) => {
                if !scalar.fits(&value) {
                    self.invalid(path, scalar.name(), &value);
                }
                value
            }
            (Kind::List(_) | Kind::Map(_), value) => {
                self.invalid(path, "TYPE_MESSAGE", &value);
                value
            }
        }
    }

    /// A value of an enum by its name or by its number.
    fn enumerated(&mut self, names: &[String], field: &str, path: &str, value: Value) -> Value {
        let numbers = self.schema.stated.enum_numbers.get(field);
        let place = match value.as_i64() {
            Some(number) => numbers.and_then(|known| known.iter().position(|known| *known == number)),
            None => names.iter().position(|name| value == **name),
        };
        match place.and_then(|place| names.get(place)) {
            Some(name) => name.as_str().into(),
            None => {
                self.invalid(path, "TYPE_ENUM", &value);
                value
            }
        }
    }

    /// What the documents state in words.
    fn stated(&mut self, name: &str, path: &str, given: &Map<String, Value>) {
        let Stated { required, services_only, exactly_one, at_most_one, .. } = &self.schema.stated;
        let has = |field: &String| given.get(field).is_some_and(|value| !is_default(value));
        let here = |field: &str| join(path, &snake(field));
        let mut broken = Vec::new();
        for field in required.get(name).into_iter().flatten().filter(|field| !has(field)) {
            broken.push((here(field), "Missing required field.".to_owned()));
        }
        for field in services_only.get(name).into_iter().flatten().filter(|field| has(field)) {
            broken.push((here(field), "The field is not supported on jobs.".to_owned()));
        }
        for (rules, exactly) in [(exactly_one, true), (at_most_one, false)] {
            let Some(fields) = rules.get(name) else { continue };
            let set: Vec<&str> = fields.iter().filter(|field| has(field)).map(String::as_str).collect();
            if set.len() > 1 || (exactly && set.is_empty()) {
                let how = if exactly { "Exactly" } else { "At most" };
                broken.push((path.to_owned(), format!("{how} one of {} must be set.", fields.join(", "))));
            }
        }
        for (field, rule) in broken {
            self.broken(&field, format!("{field}: {rule}"));
        }
    }
}

/// Whether a field with the value counts as not set.
fn is_default(value: &Value) -> bool {
    matches!(value, Value::String(text) if text.is_empty()) || matches!(value, Value::Array(items) if items.is_empty())
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// `taskCount` as the protocol's own language writes it: `task_count`.
fn snake(field: &str) -> String {
    let mut text = String::with_capacity(field.len() + 4);
    for character in field.chars() {
        if character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}
