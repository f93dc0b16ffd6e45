//! Settings of an executor as they are typed: `KEY=VALUE` or a JSON object, checked by the executor's own schema.
//!
//! No value is ever shown: it may be a credential.

use longshore::{Violation, config::Shape};
use serde_json::{Map, Value};

const FORM: &str = "write KEY=VALUE or a JSON object";

/// Where settings are typed, and what they are checked by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The option.
    pub(crate) option: &'a str,
    /// What stands before each key in what is typed, such as `docker.`.
    pub(crate) prefix: &'a str,
    /// The name of the schema in `longshore schema`.
    pub(crate) schema_name: &'a str,
    /// The schema.
    pub(crate) schema: &'a Value,
}

impl Source<'_> {
    /// One object of `KEY=VALUE`, where dots in the key lead into sections, or of a JSON object.
    ///
    /// A value that is no JSON is text, and so is one that could be a number but is meant for a text.
    pub(crate) fn read(&self, text: &str) -> Result<Map<String, Value>, Violation> {
        let object = if text.trim_start().starts_with('{') { self.object(text)? } else { self.pair(text)? };
        self.check(&object)?;
        Ok(object)
    }

    /// Whether there is such a key.
    pub(crate) fn knows(&self, key: &str) -> bool {
        Shape::of(self.schema).member(key).is_some()
    }

    /// A broken rule of what is typed as this key.
    fn wrong(&self, key: &str, rule: impl Into<String>) -> Violation {
        Violation::new(self.option, format!("{}{key}", self.prefix), rule)
    }

    fn object(&self, text: &str) -> Result<Map<String, Value>, Violation> {
        serde_json::from_str(text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            self.not_shown(format!("the JSON object can't be read at {place}"))
        })
    }

    fn pair(&self, text: &str) -> Result<Map<String, Value>, Violation> {
        let (key, value) = text.split_once('=').ok_or_else(|| self.not_shown(FORM))?;
        if key.split('.').any(str::is_empty) {
            return Err(self.not_shown("a part of the key is empty; write KEY=VALUE, with dots between sections"));
        }
        let place = key.split('.').try_fold(Shape::of(self.schema), Shape::member);
        let value = Shape::meant(place, value);
        let nest = |inner: Map<String, Value>, part: &str| Map::from_iter([(part.to_owned(), Value::Object(inner))]);
        let mut parts = key.rsplit('.');
        let last = parts.next().unwrap_or(key);
        Ok(parts.fold(Map::from_iter([(last.to_owned(), value)]), nest))
    }

    fn check(&self, object: &Map<String, Value>) -> Result<(), Violation> {
        self.check_below(Shape::of(self.schema), "", object)
    }

    fn check_below(&self, place: Shape<'_>, path: &str, object: &Map<String, Value>) -> Result<(), Violation> {
        for (key, value) in object {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let Some(inner) = place.member(key) else { return Err(self.unknown(place, &path)) };
            match value {
                value if !inner.takes(value) => {
                    let taken = inner.taken().replace("a list", "a JSON array").replace("a table", "a JSON object");
                    let rule = format!("it takes {taken}; see `longshore schema {}`", self.schema_name);
                    return Err(self.wrong(&path, rule));
                }
                Value::Object(object) => self.check_below(inner, &path, object)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn unknown(&self, place: Shape<'_>, path: &str) -> Violation {
        let known = place.members();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        self.wrong(path, format!("there is no such key; available: {known} (`longshore schema {}`)", self.schema_name))
    }

    fn not_shown(&self, rule: impl Into<String>) -> Violation {
        Violation::new(self.option, "(not shown)", rule)
    }
}

/// Joins settings: later ones win, and sections are joined.
pub(crate) fn merge(settings: &mut Map<String, Value>, new: Map<String, Value>) {
    for (key, value) in new {
        match (settings.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                settings.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "init": { "type": "boolean" },
                "name": { "type": ["string", "null"] },
                "size": { "anyOf": [{ "$ref": "#/$defs/Size" }, { "type": "null" }] },
                "list": { "type": "array" },
                "allow": { "$ref": "#/$defs/Allow" },
                "folders": { "type": "object", "additionalProperties": { "type": "string" } }
            },
            "additionalProperties": false,
            "$defs": {
                "Size": { "type": ["integer", "string"] },
                "Allow": { "type": "object", "properties": { "all": { "type": "boolean" } }, "additionalProperties": false }
            }
        })
    }

    fn read(text: &str) -> Result<Value, String> {
        let schema = schema();
        let source = Source { option: "--option", prefix: "kind.", schema_name: "kind-options", schema: &schema };
        source.read(text).map(Value::Object).map_err(|violation| violation.to_string())
    }

    #[test]
    fn values_are_json_or_text_as_the_schema_wants_them() {
        let cases = [
            ("init=true", json!({"init": true})),
            ("name=web", json!({"name": "web"})),
            ("name=12", json!({"name": "12"})),
            ("name=true", json!({"name": "true"})),
            ("name=", json!({"name": ""})),
            ("name=a=b", json!({"name": "a=b"})),
            ("name=\"quoted\"", json!({"name": "quoted"})),
            ("name=null", json!({"name": null})),
            ("size=12", json!({"size": 12})),
            ("size=64m", json!({"size": "64m"})),
            ("size=null", json!({"size": null})),
            (r#"list=["a"]"#, json!({"list": ["a"]})),
            ("allow.all=false", json!({"allow": {"all": false}})),
            ("folders.a=12", json!({"folders": {"a": "12"}})),
            (r#"{"init": true, "allow": {"all": true}}"#, json!({"init": true, "allow": {"all": true}})),
            ("{}", json!({})),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_rule_and_without_its_value() {
        let known = "there is no such key; available: allow, folders, init, list, name, size";
        let cases = [
            ("hunter2", "\"(not shown)\" is not valid: write KEY=VALUE"),
            ("=hunter2", "a part of the key is empty"),
            ("a..b=hunter2", "a part of the key is empty"),
            (r#"{"a": hunter2}"#, "can't be read at line 1"),
            ("{", "can't be read at line 1"),
            ("privileged=hunter2", known),
            (r#"{"privileged": "hunter2"}"#, known),
            ("allow.some=hunter2", "available: all"),
            ("init.part=hunter2", "\"kind.init\" is not valid: it takes true or false"),
            ("init=hunter2", "it takes true or false; see `longshore schema kind-options`"),
            (r#"{"allow": {"all": "hunter2"}}"#, "\"kind.allow.all\" is not valid: it takes true or false"),
            ("list=hunter2", "it takes a JSON array"),
            ("allow=hunter2", "it takes a JSON object"),
            (r#"{"size": ["hunter2"]}"#, "it takes a whole number or text"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("--option \"") && error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter"), "{text}: {error}");
        }
    }

    #[test]
    fn without_a_schema_everything_goes() {
        let schema = Value::Bool(true);
        let source = Source { option: "--option", prefix: "", schema_name: "", schema: &schema };
        assert_eq!(Value::Object(source.read("a.b=1").unwrap()), json!({"a": {"b": 1}}));
    }

    #[test]
    fn later_settings_win_and_sections_are_joined() {
        let mut settings = Map::new();
        for new in [json!({"a": {"b": 1}, "c": 1}), json!({"a": {"d": 2}}), json!({"a": {"b": 3}, "c": {"e": 4}})] {
            merge(&mut settings, new.as_object().unwrap().clone());
        }
        assert_eq!(Value::Object(settings), json!({"a": {"b": 3, "d": 2}, "c": {"e": 4}}));
    }
}
