//! What a JSON Schema says about keys and types: enough to check what is typed, before the executor reads it all.
//!
//! Whatever this does not understand of a schema is let through, because the executor decides.

use serde_json::Value;

/// A place in a schema.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    root: &'a Value,
    here: &'a Value,
}

/// The types of JSON in the schema's words and in ours, in the order in which they are told.
const TYPES: [(&str, &str); 7] = [
    ("boolean", "true or false"),
    ("integer", "a whole number"),
    ("number", "a number"),
    ("string", "text"),
    ("array", "a list"),
    ("object", "a table"),
    ("null", "null"),
];

impl<'a> Shape<'a> {
    /// The whole schema.
    #[must_use]
    pub const fn of(root: &'a Value) -> Self {
        Self { root, here: root }
    }

    /// What the schema says about this key here; nothing when no key of this name is allowed.
    #[must_use]
    pub fn member(self, key: &str) -> Option<Self> {
        let alternatives = self.alternatives();
        let known = alternatives.iter().find_map(|one| one.get("properties")?.get(key));
        if let Some(here) = known {
            return Some(Self { here, ..self });
        }
        let others = alternatives.iter().filter(|one| names_type(one, "object").unwrap_or(true));
        // Which keys a pattern allows is left to whatever reads the keys.
        let further = others.map(|one| {
            let by_pattern = one.get("patternProperties").and_then(|patterns| patterns.as_object()?.values().next());
            by_pattern.or_else(|| one.get("additionalProperties")).unwrap_or(&Value::Bool(true))
        });
        further.filter(|further| **further != Value::Bool(false)).map(|here| Self { here, ..self }).next()
    }

    /// What the schema says about the items of a list here.
    #[must_use]
    pub fn item(self) -> Self {
        let found = self.alternatives().into_iter().find_map(|one| one.get("items"));
        Self { here: found.unwrap_or(&Value::Bool(true)), ..self }
    }

    /// The keys that a table here must have.
    #[must_use]
    pub fn required(self) -> Vec<&'a str> {
        let tables: Vec<_> =
            self.alternatives().into_iter().filter(|one| names_type(one, "object").unwrap_or(true)).collect();
        let [only] = tables.as_slice() else { return Vec::new() };
        only.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The words that can stand here, where there are no others.
    #[must_use]
    pub fn words(self) -> Option<Vec<&'a str>> {
        let texts: Vec<_> =
            self.alternatives().into_iter().filter(|one| names_type(one, "string").unwrap_or(true)).collect();
        let mut words = Vec::new();
        for text in texts {
            match (text.get("const"), text.get("enum").and_then(Value::as_array)) {
                (Some(word), _) => words.extend(word.as_str()),
                (None, Some(some)) => words.extend(some.iter().filter_map(Value::as_str)),
                (None, None) => return None,
            }
        }
        (!words.is_empty()).then_some(words)
    }

    /// What somebody means who wrote this text where any JSON can stand: what is no JSON is text, and so is what could
    /// be a number but is meant for a text.
    #[must_use]
    pub fn meant(shape: Option<Self>, text: &str) -> Value {
        match serde_json::from_str(text) {
            Ok(json) if shape.is_none_or(|shape| shape.takes(&json) || !shape.takes_text()) => json,
            _ => Value::String(text.to_owned()),
        }
    }

    /// The keys that are named here, in order.
    #[must_use]
    pub fn members(self) -> Vec<&'a str> {
        let named = self.alternatives().into_iter().filter_map(|one| one.get("properties")?.as_object());
        let mut keys: Vec<&str> = named.flat_map(|properties| properties.keys().map(String::as_str)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether a value of this type can stand here.
    #[must_use]
    pub fn takes(self, value: &Value) -> bool {
        match value {
            Value::Null => self.takes_type("null"),
            Value::Bool(_) => self.takes_type("boolean"),
            Value::Number(number) => (!number.is_f64() && self.takes_type("integer")) || self.takes_type("number"),
            Value::String(_) => self.takes_type("string"),
            Value::Array(_) => self.takes_type("array"),
            Value::Object(_) => self.takes_type("object"),
        }
    }

    /// The least number that can stand here, where there is one.
    #[must_use]
    pub fn least(self) -> Option<f64> {
        let numbers = |one: &&Value| ["integer", "number"].iter().any(|name| names_type(one, name).unwrap_or(false));
        self.alternatives().into_iter().filter(numbers).find_map(|one| one.get("minimum")?.as_f64())
    }

    /// Whether a text can stand here.
    #[must_use]
    pub fn takes_text(self) -> bool {
        self.takes_type("string")
    }

    /// What can stand here, for people; nothing is told of null where there is more to say.
    #[must_use]
    pub fn taken(self) -> String {
        let words: Vec<&str> =
            TYPES.iter().filter(|(name, _)| self.takes_type(name)).map(|(_, words)| *words).collect();
        let words = if words.len() > 1 && words.last() == Some(&"null") { &words[..words.len() - 1] } else { &words };
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
        let place = Shape::of(&schema);
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
        assert!(Shape::of(&number).takes(&json!(1)) && Shape::of(&number).takes(&json!(1.5)));
        assert!(Shape::of(&whole).takes(&json!(1)) && !Shape::of(&whole).takes(&json!(1.5)));
        assert_eq!(Shape::of(&json!({ "type": ["null", "boolean", "object"] })).taken(), "true or false or a table");
        assert!(Shape::of(&Value::Bool(true)).takes(&json!({})));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "anyOf": [{ "$ref": "#/$defs/A" }, { "type": "string" }] } } });
        assert!(Shape::of(&schema).takes_text());
    }
}
