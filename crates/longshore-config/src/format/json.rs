//! JSON, to the letter.

use jsonc_parser::{CollectOptions, ParseOptions, ast, common::Ranged, parse_to_ast};
use serde_json::Number;
use std::{collections::HashSet, ops::Range};

use super::{Budget, DEEPEST, Unreadable};
use crate::tree::{Entry, Node, Value};

pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
    if let Some(at) = too_deep(text) {
        return Err(Unreadable::new("this is nested too deeply", at));
    }
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &strict)
        .map_err(|error| Unreadable::new(error.kind().to_string(), span(&error.range())))?;
    match parsed.value {
        Some(node) => value(&node, &mut Budget::default()),
        None => Ok(Node::new(Value::Map(Vec::new()), 0..text.len())),
    }
}

/// Where brackets are nested beyond what the parser's recursion is allowed to.
fn too_deep(text: &str) -> Option<Range<usize>> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Some(at..at + 1);
        }
    }
    None
}

fn span(range: &jsonc_parser::common::Range) -> Range<usize> {
    range.start..range.end
}

fn value(node: &ast::Value<'_>, budget: &mut Budget) -> Result<Node, Unreadable> {
    let at = span(&node.range());
    budget.take(1, 0, &at)?;
    let value = match node {
        ast::Value::StringLit(text) => Value::Text(text.value.to_string()),
        ast::Value::NumberLit(number) => {
            let parsed = serde_json::from_str::<Number>(number.value);
            Value::Number(parsed.map_err(|_| Unreadable::new("this is not a number", at.clone()))?)
        }
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(list) => {
            Value::List(list.elements.iter().map(|item| self::value(item, budget)).collect::<Result<_, _>>()?)
        }
        ast::Value::Object(object) => {
            let mut entries: Vec<Entry> = Vec::new();
            let mut seen = HashSet::new();
            for property in &object.properties {
                let (key, key_at) = (property.name.as_str().to_owned(), span(&property.name.range()));
                if !seen.insert(key.clone()) {
                    return Err(Unreadable::new(format!("the key `{key}` is given twice"), key_at));
                }
                entries.push(Entry { key, key_at, node: self::value(&property.value, budget)? });
            }
            Value::Map(entries)
        }
    };
    Ok(Node::new(value, at))
}
