//! One tree for all formats: values that know where they come from.

use serde_json::{Number, Value as Json};
use std::ops::Range;

use crate::{
    secret::{REDACTED, holds_secret, is_secret_name, leads_elsewhere, shown},
    shape::Shape,
};

/// A value and where it is from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The file as a whole.
    Whole,
    /// These bytes of the file.
    File(Range<usize>),
    /// A variable of the environment.
    Variable(String),
}

#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// What a reference led to: shown to nobody, in whose place the reference is shown as it was written.
    Secret {
        value: Box<Value>,
        written: String,
    },
    /// Something that is wrong, and has been told: it is there, and means nothing.
    Wrong,
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Range<usize>,
    pub(crate) node: Node,
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret { written, .. } => f.write_str(written),
            other => f.write_str(other.kind()),
        }
    }
}

impl Value {
    /// What kind of value it is, in words.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a table",
            Self::Secret { .. } => "what the reference leads to",
            Self::Wrong => "something wrong",
        }
    }

    /// A value that was given as JSON, in a variable of the environment.
    pub(crate) fn of_json(json: Json, origin: &Origin) -> Self {
        let node = |json| Node { value: Self::of_json(json, origin), origin: origin.clone() };
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => Self::Number(number),
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items.into_iter().map(node).collect()),
            Json::Object(entries) => {
                let entry = |(key, json)| Entry { key, key_at: 0..0, node: node(json) };
                Self::Map(entries.into_iter().map(entry).collect())
            }
        }
    }
}

impl Entry {
    /// Where the key is.
    pub(crate) fn key_origin(&self) -> Origin {
        match &self.node.origin {
            Origin::File(_) => Origin::File(self.key_at.clone()),
            other => other.clone(),
        }
    }
}

impl Node {
    /// A value at these bytes of the file.
    pub(crate) const fn new(value: Value, at: Range<usize>) -> Self {
        Self { value, origin: Origin::File(at) }
    }

    /// Whether a value of this kind can stand there.
    pub(crate) fn is_taken_by(&self, shape: Shape<'_>) -> bool {
        match &self.value {
            Value::List(_) => shape.takes(&Json::Array(Vec::new())),
            Value::Map(_) => shape.takes(&Json::Object(serde_json::Map::new())),
            _ => shape.takes(&self.to_json()),
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        if let Value::Map(entries) = &mut self.value { entries } else { &mut [] }
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.entries_mut().iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    pub(crate) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// What a part of a path leads to: a key of a table, or a place in a list, from 0.
    pub(crate) fn step(&self, part: &str) -> Option<&Self> {
        match &self.value {
            Value::List(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)),
            _ => self.get(part),
        }
    }

    /// The node that a path leads to, or the last one on the way.
    pub(crate) fn follow(&self, path: &[String]) -> &Self {
        let mut node = self;
        for part in path {
            let Some(next) = node.step(part) else { return node };
            node = next;
        }
        node
    }

    /// Takes out what a path leads to, or the last node on the way: an item of a list is gone, a key's value is wrong.
    /// False when that is this node itself.
    pub(crate) fn remove(&mut self, path: &[String]) -> bool {
        let Some((part, rest)) = path.split_first() else { return false };
        match &mut self.value {
            Value::List(items) => {
                let Some(at) = part.parse::<usize>().ok().filter(|at| *at < items.len()) else { return false };
                if !items[at].remove(rest) {
                    items.remove(at);
                }
            }
            Value::Map(entries) => {
                let Some(at) = entries.iter().position(|entry| entry.key == *part) else { return false };
                let node = &mut entries[at].node;
                if node.value == Value::Wrong {
                    return false;
                }
                if !node.remove(rest) {
                    node.value = Value::Wrong;
                }
            }
            _ => return false,
        }
        true
    }

    /// The value as JSON, secrets in full.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null | Value::Wrong => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::Secret { value, .. } => Self { value: Value::clone(value), origin: self.origin.clone() }.to_json(),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let kept = entries.iter().filter(|entry| entry.node.value != Value::Wrong);
                Json::Object(kept.map(|entry| (entry.key.clone(), entry.node.to_json())).collect())
            }
        }
    }

    /// The value as JSON, to be shown: references as they were written, and secrets by their name or form replaced.
    pub(crate) fn to_shown_json(&self) -> Json {
        self.shown_json(false)
    }

    fn shown_json(&self, is_secret: bool) -> Json {
        match &self.value {
            Value::List(_) => {
                Json::Array(self.children().map(|child| child.node.shown_json(is_secret || child.is_secret)).collect())
            }
            Value::Map(_) => {
                let shown = |child: Child<'_>| {
                    (child.key.unwrap_or_default().to_owned(), child.node.shown_json(is_secret || child.is_secret))
                };
                Json::Object(self.children().map(shown).collect())
            }
            _ => match self.scalar() {
                Some(text) if is_secret && !leads_elsewhere(&text) => Json::String(REDACTED.to_owned()),
                Some(text) if !matches!(self.value, Value::Number(_)) => Json::String(shown(&text)),
                _ => self.to_json(),
            },
        }
    }

    /// What is directly below, each with whether it is a secret by what stands beside it.
    fn children(&self) -> impl Iterator<Item = Child<'_>> {
        let names_a_secret =
            matches!(self.get("name").map(|node| &node.value), Some(Value::Text(name)) if is_secret_name(name));
        let of_map = self.entries().iter().map(move |entry| Child {
            key: Some(&entry.key),
            node: &entry.node,
            is_secret: is_secret_name(&entry.key)
                || (names_a_secret && entry.key == "value")
                || entry.key == "reference",
        });
        let before = std::iter::once(None).chain(self.items().iter().map(Some));
        let of_list = self.items().iter().zip(before).map(|(node, before)| {
            // The word behind `--password`.
            let is_option = |text: &String| text.starts_with('-') && !text.contains('=') && is_secret_name(text);
            let is_secret = matches!(before.map(|node| &node.value), Some(Value::Text(text)) if is_option(text));
            Child { key: None, node, is_secret }
        });
        of_map.chain(of_list)
    }

    /// The text of a value that is neither a list nor a table.
    fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Secret { written, .. } => Some(written.clone()),
            _ => None,
        }
    }

    /// What stands in the file in plain text and is a secret, by its name or by its form: the nearest key and the place.
    pub(crate) fn plain_secrets(&self) -> Vec<(String, Range<usize>)> {
        let mut found = Vec::new();
        self.gather_secrets("", false, &mut found);
        found
    }

    fn gather_secrets(&self, key: &str, is_secret: bool, found: &mut Vec<(String, Range<usize>)>) {
        if let (Some(text), Origin::File(at)) = (self.scalar(), &self.origin)
            && ((is_secret && !leads_elsewhere(&text)) || holds_secret(&text))
        {
            found.push((key.to_owned(), at.clone()));
        }
        for child in self.children() {
            child.node.gather_secrets(child.key.unwrap_or(key), is_secret || child.is_secret, found);
        }
    }
}

/// What is directly below a node.
struct Child<'a> {
    key: Option<&'a str>,
    node: &'a Node,
    is_secret: bool,
}
