//! The fake's own answers against the schema: a fake that breaks it proves nothing.

use serde_json::Value;

use super::{Kind, Schema};

/// Requires that the answer is a message of the schema.
pub(crate) fn answer(schema: &Schema, name: &str, body: &Value) -> Result<(), String> {
    let fields = body.as_object().ok_or_else(|| format!("{body} is not a {name}"))?;
    let known = schema.messages.get(name).ok_or_else(|| format!("there is no {name}"))?;
    for (field, value) in fields {
        let member = known.get(field).ok_or_else(|| format!("{name} has no {field}"))?;
        check(schema, &member.kind, value).map_err(|broken| format!("{field}: {broken}"))?;
    }
    Ok(())
}

fn check(schema: &Schema, kind: &Kind, value: &Value) -> Result<(), String> {
    let fits = match (kind, value) {
        (Kind::Message(name), value) => return answer(schema, name, value),
        (Kind::List(inner), Value::Array(items)) => return items.iter().try_for_each(|it| check(schema, inner, it)),
        (Kind::Map(inner), Value::Object(fields)) => {
            return fields.values().try_for_each(|it| check(schema, inner, it));
        }
        (Kind::Any, _) => true,
        (Kind::Enum(names), Value::String(value)) => names.contains(value),
        (Kind::Scalar(scalar), value) => scalar.fits(value),
        (Kind::List(_) | Kind::Map(_) | Kind::Enum(_), _) => false,
    };
    if fits { Ok(()) } else { Err(format!("{value} is not a {kind:?}")) }
}
