//! A request, read and checked.

use axum::{
    body::Body,
    http::{header, request::Parts},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use crate::fakes::cloudrun::{
    error::{Code, Refusal},
    mask::Mask,
    name::Name,
    rules,
    schema::{self, Kind, Matched, Method, Schema},
};

/// The most bytes of a request's body.
const LARGEST_BODY: usize = 10 << 20;

/// Parameters that every method has.
const SYSTEM: [(&str, &[&str]); 5] = [
    ("alt", &["json"]),
    ("$alt", &["json", "json;enum-encoding=int"]),
    ("prettyPrint", &["true", "false"]),
    ("$prettyPrint", &["true", "false"]),
    ("quotaUser", &[]),
];

/// A request that fits its method.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static Method,
    pub(crate) name: Name,
    query: BTreeMap<String, String>,
    pub(crate) body: Map<String, Value>,
    /// What of the answer is asked for, if not all of it.
    pub(crate) mask: Option<Mask>,
    /// Whether the answer is to be read by people.
    pub(crate) pretty: bool,
}

impl Call {
    pub(crate) async fn read(schema: &Schema, matched: Matched, parts: &Parts, body: Body) -> Result<Self, Refusal> {
        let Matched { method, name } = matched;
        let Query { parameters: query, fields, pretty } = read_query(method, parts.uri.query().unwrap_or_default())?;
        let mask = fields.map(|fields| Mask::read(&fields, schema, &method.response)).transpose()?;
        let bytes = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| {
            Refusal::new(
                Code::InvalidArgument,
                format!("Request payload size exceeds the limit: {LARGEST_BODY} bytes."),
            )
        })?;
        if !bytes.is_empty() {
            is_json(parts)?;
        }
        let body = read_body(schema, method, &bytes)?;
        Ok(Self { method, name: Name::parse(&name), query, body, mask, pretty })
    }

    /// A parameter of the query, or a member of the body.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.query.get(field).map(String::as_str).or_else(|| rules::text(&self.body, field))
    }

    pub(crate) fn flag(&self, field: &str) -> bool {
        self.query.get(field).is_some_and(|value| value == "true") || self.body.get(field) == Some(&Value::Bool(true))
    }

    pub(crate) fn number(&self, field: &str) -> i64 {
        self.query.get(field).and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// What a query says: the method's own parameters, and those that every method has.
struct Query {
    parameters: BTreeMap<String, String>,
    fields: Option<String>,
    pretty: bool,
}

fn read_query(method: &Method, query: &str) -> Result<Query, Refusal> {
    let unreadable = |_| Refusal::new(Code::InvalidArgument, "The query is not form-urlencoded.");
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(unreadable)?;
    let mut read = Query { parameters: BTreeMap::new(), fields: None, pretty: true };
    for (name, value) in pairs {
        if matches!(name.as_str(), "fields" | "$fields") {
            read.fields = Some(value);
            continue;
        }
        if let Some((_, values)) = SYSTEM.iter().find(|(known, _)| *known == name) {
            if !values.is_empty() && !values.contains(&value.as_str()) {
                return Err(Refusal::new(Code::InvalidArgument, format!("Invalid value for {name}: \"{value}\"")));
            }
            read.pretty &= !(name.ends_with("rettyPrint") && value == "false");
            continue;
        }
        let Some(known) = method.query.get(&name) else {
            let message = format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' \
                 could not be found in request message."
            );
            return Err(Refusal::new(Code::InvalidArgument, message));
        };
        let fits = !matches!(known, Kind::Scalar(scalar) if !scalar.fits_query(&value));
        if !fits || read.parameters.contains_key(&name) {
            return Err(Refusal::new(Code::InvalidArgument, format!("Invalid value at '{name}': \"{value}\"")));
        }
        read.parameters.insert(name, value);
    }
    Ok(read)
}

fn is_json(parts: &Parts) -> Result<(), Refusal> {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json") {
        return Ok(());
    }
    Err(Refusal::new(Code::InvalidArgument, format!("Unsupported content type '{kind}': send application/json.")))
}

fn read_body(schema: &Schema, method: &Method, bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let Some(request) = &method.request else {
        if bytes.is_empty() {
            return Ok(Map::new());
        }
        return Err(Refusal::new(Code::InvalidArgument, "The request of this method has no body."));
    };
    let body = if bytes.is_empty() { Value::Object(Map::new()) } else { parse(bytes)? };
    // The body of these is a field of the request, that of others is the request itself.
    let is_field = method.id.ends_with("jobs.create") || method.id.ends_with("jobs.patch");
    schema::request(schema, request, if is_field { "job" } else { "" }, body)
}

fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("Invalid JSON payload received. {error}");
        Refusal::new(Code::InvalidArgument, message)
    })
}
