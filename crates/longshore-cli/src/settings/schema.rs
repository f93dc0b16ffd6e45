//! What a JSON Schema says about keys and types: enough to check what is typed, before the executor reads it all.
//!
//! Whatever this does not understand of a schema is let through, because the executor decides.

use serde_json::Value;

/// A place in a schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    root: &'a Value,
    here: &'a Value,
}

/// The types of JSON in the schema's words and in ours, in the order in which they are told.
const TYPES: [(&str, &str); 7] = [
    ("boolean", "true or false"),
    ("integer", "a whole number"),
    ("number", "a number"),
    ("string", "text"),
    ("array", "a JSON array"),
    ("object", "a JSON object"),
    ("null", "null"),
];

impl<'a> Place<'a> {
    /// The whole schema.
    pub(crate) const fn of(root: &'a Value) -> Self {
        Self { root, here: root }
    }

    /// What the schema says about this key here; nothing when no key of this name is allowed.
    pub(crate) fn member(self, key: &str) -> Option<Self> {
        let alternatives = self.alternatives();
        let known = alternatives.iter().find_map(|one| one.get("properties")?.get(key));
        if let Some(here) = known {
            return Some(Self { here, ..self });
        }
        let others = alternatives.iter().filter(|one| names_type(one, "object").unwrap_or(true));
        let further = others.map(|one| one.get("additionalProperties").unwrap_or(&Value::Bool(true)));
        further.filter(|further| **further != Value::Bool(false)).map(|here| Self { here, ..self }).next()
    }

    /// The keys that are named here, in order.
    pub(crate) fn members(self) -> Vec<&'a str> {
        let named = self.alternatives().into_iter().filter_map(|one| one.get("properties")?.as_object());
        let mut keys: Vec<&str> = named.flat_map(|properties| properties.keys().map(String::as_str)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether a value of this type can stand here.
    pub(crate) fn takes(self, value: &Value) -> bool {
        let own: &[&str] = match value {
            Value::Null => &["null"],
            Value::Bool(_) => &["boolean"],
            Value::Number(number) if number.is_f64() => &["number"],
            Value::Number(_) => &["integer", "number"],
            Value::String(_) => &["string"],
            Value::Array(_) => &["array"],
            Value::Object(_) => &["object"],
        };
        own.iter().any(|name| self.takes_type(name))
    }

    /// Whether a text can stand here.
    pub(crate) fn takes_text(self) -> bool {
        self.takes_type("string")
    }

    /// What can stand here, for people.
    pub(crate) fn taken(self) -> String {
        let words: Vec<&str> =
            TYPES.iter().filter(|(name, _)| self.takes_type(name)).map(|(_, words)| *words).collect();
        match words.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => "nothing".to_owned(),
        }
    }

    fn takes_type(self, name: &str) -> bool {
        self.alternatives().iter().any(|one| names_type(one, name).unwrap_or(true))
    }

    /// The schemas of which one must hold here, with references followed.
    fn alternatives(self) -> Vec<&'a Value> {
        let mut found = Vec::new();
        self.gather(self.here, MOST_STEPS, &mut found);
        found
    }

    fn gather(self, schema: &'a Value, steps: u32, found: &mut Vec<&'a Value>) {
        let Some(steps) = steps.checked_sub(1) else { return };
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(target) = reference.and_then(|path| self.root.pointer(path.strip_prefix('#')?)) {
            return self.gather(target, steps, found);
        }
        let choice = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(name)?.as_array());
        match choice {
            Some(choice) => choice.iter().for_each(|one| self.gather(one, steps, found)),
            None => found.push(schema),
        }
    }
}

/// How deep references and choices are followed: a schema can refer to itself.
const MOST_STEPS: u32 = 16;

/// Whether the schema names this type; nothing when it names none at all.
fn names_type(schema: &Value, name: &str) -> Option<bool> {
    match schema.get("type")? {
        Value::String(only) => Some(only == name),
        Value::Array(some) => Some(some.iter().any(|one| one == name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_found_through_references_and_choices() {
        let schema = json!({
            "oneOf": [
                { "type": "string", "const": "by-key" },
                { "type": "object", "properties": { "by-token": { "$ref": "#/$defs/Window" } }, "additionalProperties": false }
            ],
            "$defs": { "Window": { "properties": { "window": { "type": "string" } } } }
        });
        let place = Place::of(&schema);
        assert_eq!(place.members(), ["by-token"]);
        assert!(place.member("by-name").is_none());
        let window = place.member("by-token").unwrap();
        assert_eq!(window.member("window").unwrap().taken(), "text");
        assert!(window.member("whatever is not forbidden").is_some());
        assert!(window.member("window").unwrap().member("part").is_none(), "a text has no keys");
    }

    #[test]
    fn types_are_those_of_json() {
        let number = json!({ "type": "number" });
        let whole = json!({ "type": "integer" });
        assert!(Place::of(&number).takes(&json!(1)) && Place::of(&number).takes(&json!(1.5)));
        assert!(Place::of(&whole).takes(&json!(1)) && !Place::of(&whole).takes(&json!(1.5)));
        assert_eq!(
            Place::of(&json!({ "type": ["null", "boolean", "object"] })).taken(),
            "true or false, a JSON object or null"
        );
        assert!(Place::of(&Value::Bool(true)).takes(&json!({})));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "anyOf": [{ "$ref": "#/$defs/A" }, { "type": "string" }] } } });
        assert!(Place::of(&schema).takes_text());
    }
}
