//! What the APIs look like: their discovery documents, stripped by `tools/strip_discovery.rs`, and what those state in
//! words only (`stated.json`, by hand).

mod answer;
mod check;
mod kind;
mod method;

use serde_json::Value;
use std::{collections::BTreeMap, sync::LazyLock};

pub(crate) use self::{
    answer::answer,
    check::request,
    kind::{Kind, Member, duration},
    method::{Matched, Method, find},
};

/// The admin API and the logging API.
pub(crate) static RUN: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("run.v2.json")));
pub(crate) static LOGGING: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("logging.v2.json")));

/// One API.
pub(crate) struct Schema {
    methods: Vec<Method>,
    messages: BTreeMap<String, BTreeMap<String, Member>>,
    stated: Stated,
}

/// What a document states in words: by schema, the fields that it is said of.
struct Stated {
    required: Rules,
    services_only: Rules,
    exactly_one: Rules,
    at_most_one: Rules,
    /// By field: the numbers of its enum's values in the document's order. Google's own clients send numbers.
    enum_numbers: BTreeMap<String, Vec<i64>>,
}

type Rules = BTreeMap<String, Vec<String>>;

impl Schema {
    /// The files are the crate's own, and a test reads them; what is not as it should be is left out.
    fn parse(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let stated: Value = serde_json::from_str(include_str!("stated.json")).unwrap_or_default();
        let rules = |name: &str| serde_json::from_value(stated[name].clone()).unwrap_or_default();
        Self {
            methods: entries(&document["methods"]).map(|(id, method)| Method::parse(id, method)).collect(),
            messages: entries(&document["schemas"]).map(|(name, message)| (name.clone(), members(message))).collect(),
            stated: Stated {
                required: rules("required"),
                services_only: rules("servicesOnly"),
                exactly_one: rules("exactlyOne"),
                at_most_one: rules("atMostOne"),
                enum_numbers: serde_json::from_value(stated["enumNumbers"].clone()).unwrap_or_default(),
            },
        }
    }
}

fn members(message: &Value) -> BTreeMap<String, Member> {
    entries(message).map(|(field, member)| (field.clone(), Member::parse(member))).collect()
}

fn entries(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of.as_object().into_iter().flatten()
}

/// What a message's member is: the name of a message, nothing further to look into, or no member at all.
///
/// Labels and what may be anything have members of any name.
pub(crate) fn member<'a>(schema: &'a Schema, message: &str, field: &str) -> Option<&'a str> {
    if message == ANY {
        return Some(ANY);
    }
    let mut kind = &schema.messages.get(message)?.get(field)?.kind;
    while let Kind::List(inner) = kind {
        kind = inner;
    }
    Some(match kind {
        Kind::Message(name) => name,
        Kind::Map(_) | Kind::Any => ANY,
        Kind::List(_) | Kind::Enum(_) | Kind::Scalar(_) => NOTHING,
    })
}

/// Stands for a message with members of any name.
const ANY: &str = "*";
/// Stands for what has no members; no schema has this name.
const NOTHING: &str = "";

#[cfg(test)]
mod tests;
