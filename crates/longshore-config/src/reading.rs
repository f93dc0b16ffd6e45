//! From a tree to a typed value, with everything that is wrong on the way: first by the schema, so that keys and types
//! are told with what there is instead, then by the types themselves, which know the rest.

use longshore_core::{nearest, suggestion};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::{
    report::Report,
    shape::Shape,
    tree::{Entry, Node, Value},
};

/// A value, and the part of the tree that it was read from: what was wrong has been left out.
pub(crate) struct Read<T> {
    pub(crate) value: T,
    pub(crate) node: Node,
}

/// Reads a value of a type with this schema. What is wrong is noted and left out; nothing is returned when the rest is no
/// value any more.
pub(crate) fn read<T: DeserializeOwned>(node: &Node, shape: Shape<'_>, report: &mut Report) -> Option<Read<T>> {
    let mut node = sound(node, shape, "", report)?;
    while !report.is_full() {
        let error = match serde_path_to_error::deserialize::<_, T>(node.to_json()) {
            Ok(value) => return Some(Read { value, node }),
            Err(error) => error,
        };
        let path = keys(error.path());
        let message = error.inner().to_string();
        // A key that is missing has been noted by the schema, or was left out because it was wrong.
        if !message.starts_with("missing field") {
            report.error("invalid-value", &node.follow(&path).origin, message, None);
        }
        if !node.remove(&path) {
            return None;
        }
    }
    None
}

/// The keys and places that a path goes through.
pub(crate) fn keys(path: &serde_path_to_error::Path) -> Vec<String> {
    let keys = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    keys.collect()
}

/// The tree without what the schema does not know: keys that there are not, values of a wrong type.
pub(crate) fn sound(node: &Node, shape: Shape<'_>, name: &str, report: &mut Report) -> Option<Node> {
    if report.is_full() {
        return None;
    }
    if node.value == Value::Wrong {
        return None;
    }
    if !node.is_taken_by(shape) {
        let name = if name.is_empty() { "this" } else { name };
        let message = format!("`{name}` takes {}, and this is {}", shape.taken(), node.value.kind());
        let is_unquoted = matches!(node.value, Value::Number(_) | Value::Bool(_)) && shape.takes_text();
        let help = is_unquoted.then(|| "put it in quotes, so that it is kept as it is written".to_owned());
        report.error("wrong-type", &node.origin, message, help);
        return None;
    }
    let value = match &node.value {
        Value::Number(number) if number.as_f64().zip(shape.least()).is_some_and(|(number, least)| number < least) => {
            let least = shape.least().unwrap_or_default();
            report.error("invalid-value", &node.origin, format!("`{name}` must be at least {least}"), None);
            return None;
        }
        Value::Text(text) => {
            check_word(node, text, shape, name, report)?;
            node.value.clone()
        }
        Value::List(items) => {
            let item = shape.item();
            let items = items.iter().enumerate();
            Value::List(items.filter_map(|(at, node)| sound(node, item, &format!("{name}[{at}]"), report)).collect())
        }
        Value::Map(entries) => Value::Map(entries_of(node, entries, shape, name, report)),
        other => other.clone(),
    };
    Some(Node { value, origin: node.origin.clone() })
}

fn check_word(node: &Node, text: &str, shape: Shape<'_>, name: &str, report: &mut Report) -> Option<()> {
    let Some(words) = shape.words().filter(|words| !words.contains(&text)) else { return Some(()) };
    let near = nearest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    let message = format!("`{name}` can't be `{text}`; it takes {}", words.join(", "));
    report.error("unknown-word", &node.origin, message, near);
    None
}

fn entries_of(node: &Node, entries: &[Entry], shape: Shape<'_>, name: &str, report: &mut Report) -> Vec<Entry> {
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = if name.is_empty() { entry.key.clone() } else { format!("{name}.{}", entry.key) };
        match shape.member(&entry.key) {
            // In YAML and JSON, a key with nothing behind it says nothing.
            Some(_) if entry.node.value == Value::Null => {}
            Some(inner) => {
                let wrong = || Node { value: Value::Wrong, origin: entry.node.origin.clone() };
                let node = sound(&entry.node, inner, &path, report).unwrap_or_else(wrong);
                kept.push(Entry { node, ..entry.clone() });
            }
            None => {
                let help = suggestion(&entry.key, shape.members(), "it has no keys");
                report.error("unknown-key", &entry.key_origin(), format!("there is no key `{path}`"), help);
            }
        }
    }
    for key in shape.required().into_iter().filter(|key| node.get(key).is_none()) {
        let whose = if name.is_empty() { String::new() } else { format!("`{name}` has ") };
        report.error("missing-key", &node.origin, format!("{whose}no `{key}`"), format!("set `{key}`"));
    }
    kept
}
