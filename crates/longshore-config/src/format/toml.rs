//! TOML.

use serde_json::Number;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Budget, DEEPEST, Unreadable};
use crate::tree::{Entry, Node, Value};

pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
    let table = DeTable::parse(text)
        .map_err(|error| Unreadable::new(error.message(), error.span().unwrap_or(0..text.len().min(1))))?;
    let value = map(table.get_ref(), DEEPEST, &mut Budget::default())?;
    Ok(Node::new(value, 0..text.len()))
}

fn map(table: &DeTable<'_>, depth: usize, budget: &mut Budget) -> Result<Value, Unreadable> {
    let mut entry = |(key, node): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        Ok(Entry { key: key.get_ref().to_string(), key_at: key.span(), node: value(node, depth, budget)? })
    };
    table.iter().map(&mut entry).collect::<Result<_, _>>().map(Value::Map)
}

fn value(node: &Spanned<DeValue<'_>>, depth: usize, budget: &mut Budget) -> Result<Node, Unreadable> {
    let at = node.span();
    let Some(depth) = depth.checked_sub(1) else { return Err(Unreadable::new("this is nested too deeply", at)) };
    budget.take(1, 0, &at)?;
    let value = match node.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            let parsed = parsed.map_err(|_| Unreadable::new("this number is too large", at.clone()))?;
            Value::Number(parsed.into())
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().parse().ok().and_then(Number::from_f64);
            Value::Number(parsed.ok_or_else(|| Unreadable::new("this is not a finite number", at.clone()))?)
        }
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| self::value(item, depth, budget)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => map(table, depth, budget)?,
    };
    Ok(Node::new(value, at))
}
