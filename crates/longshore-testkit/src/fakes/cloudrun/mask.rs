//! Partial answers: the parameter `fields`, as all of Google's APIs have it
//! (`cloud.google.com/apis/docs/system-parameters`).

use serde_json::{Map, Value};

use super::{
    error::{Code, Refusal},
    schema::{Schema, member},
};

/// Which members of an answer are asked for: by name, and of each its own members; none is all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask(Vec<(String, Option<Mask>)>);

impl Mask {
    /// Reads a mask such as `jobs(name,labels/owner),nextPageToken`, and requires that the message has its members.
    pub(crate) fn read(text: &str, schema: &Schema, message: &str) -> Result<Self, Refusal> {
        let invalid = |what: &str| Refusal::new(Code::InvalidArgument, format!("Invalid field selection {what}"));
        let (mask, rest) = list(text).ok_or_else(|| invalid(text))?;
        if !rest.is_empty() {
            return Err(invalid(rest));
        }
        mask.check(schema, message).map_err(|unknown| invalid(&unknown))?;
        Ok(mask)
    }

    /// What is asked for of the answer.
    pub(crate) fn of(&self, value: Value) -> Value {
        match value {
            Value::Object(mut fields) => {
                let mut kept = Map::new();
                for (name, inner) in &self.0 {
                    let names: Vec<String> =
                        if name == "*" { fields.keys().cloned().collect() } else { vec![name.clone()] };
                    for name in names {
                        let Some(value) = fields.remove(&name) else { continue };
                        let value = match inner {
                            Some(inner) => inner.of(value),
                            None => value,
                        };
                        kept.insert(name, value);
                    }
                }
                Value::Object(kept)
            }
            Value::Array(items) => items.into_iter().map(|item| self.of(item)).collect(),
            scalar => scalar,
        }
    }

    fn check(&self, schema: &Schema, message: &str) -> Result<(), String> {
        for (name, inner) in self.0.iter().filter(|(name, _)| name != "*") {
            let known = member(schema, message, name).ok_or_else(|| name.clone())?;
            if let Some(inner) = inner {
                inner.check(schema, known)?;
            }
        }
        Ok(())
    }
}

/// Reads names with commas between them, to the end or to what can't belong to it.
fn list(text: &str) -> Option<(Mask, &str)> {
    let (mut fields, mut rest) = (Vec::new(), text);
    loop {
        let (field, left) = field(rest)?;
        fields.push(field);
        match left.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Some((Mask(fields), left)),
        }
    }
}

fn field(text: &str) -> Option<((String, Option<Mask>), &str)> {
    let end = text.find(['/', '(', ')', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    if let Some(rest) = rest.strip_prefix('/') {
        let (inner, rest) = field(rest)?;
        return Some(((name.to_owned(), Some(Mask(vec![inner]))), rest));
    }
    if let Some(rest) = rest.strip_prefix('(') {
        let (inner, rest) = list(rest)?;
        return Some(((name.to_owned(), Some(inner)), rest.strip_prefix(')')?));
    }
    Some(((name.to_owned(), None), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::cloudrun::schema::RUN;
    use serde_json::json;

    fn read(text: &str) -> Result<Mask, Refusal> {
        Mask::read(text, &RUN, "GoogleCloudRunV2ListJobsResponse")
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let answer = json!({
            "jobs": [{ "name": "a", "uid": "1", "labels": { "b": "c", "d": "e" }, "terminalCondition": { "state": "x" } }],
            "nextPageToken": "t",
        });
        let masked = read("jobs(name,labels/b,terminalCondition(state))").unwrap().of(answer.clone());
        assert_eq!(
            masked,
            json!({ "jobs": [{ "name": "a", "labels": { "b": "c" }, "terminalCondition": { "state": "x" } }] })
        );
        assert_eq!(read("*").unwrap().of(answer.clone()), answer);
        assert_eq!(read("nextPageToken").unwrap().of(answer), json!({ "nextPageToken": "t" }));
    }

    #[test]
    fn what_no_message_has_is_refused() {
        for wrong in
            ["", "jobs(", "jobs(name", "jobs(nothing)", "nothing", "jobs(name))", "jobs/", ",jobs", "jobs(name/x)"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
