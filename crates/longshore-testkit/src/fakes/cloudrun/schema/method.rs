//! Which method a request means.

use serde_json::Value;
use std::collections::BTreeMap;

use super::{Kind, Schema};

/// A method of the API.
#[derive(Debug)]
pub(crate) struct Method {
    /// Its name in the document: `run.projects.locations.jobs.create`.
    pub(crate) id: String,
    http: String,
    /// What its path looks like, segment by segment; a star is any text but none.
    segments: Vec<String>,
    /// What comes after a colon behind the last segment.
    verb: Option<String>,
    /// How many segments behind the version are the name of the resource.
    name_length: usize,
    pub(crate) query: BTreeMap<String, Kind>,
    pub(crate) request: Option<String>,
    pub(crate) response: String,
}

/// A request's method, and the name of the resource that it is about.
#[derive(Debug)]
pub(crate) struct Matched {
    pub(crate) method: &'static Method,
    pub(crate) name: String,
}

impl Method {
    pub(super) fn parse(id: &str, method: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let path = text(&method["path"]);
        let (mut expanded, mut name_length) = (path.clone(), 0);
        let parameters = method["parameters"].as_object().into_iter().flatten();
        for (name, parameter) in parameters.clone().filter(|(_, it)| it["location"] == "path") {
            let pattern = text(&parameter["pattern"]).trim_matches(['^', '$']).replace("[^/]+", "*");
            name_length = pattern.split('/').count();
            expanded = path.replace(&format!("{{+{name}}}"), &pattern);
        }
        let (expanded, verb) = match expanded.rsplit_once(':') {
            Some((path, verb)) => (path.to_owned(), Some(verb.to_owned())),
            None => (expanded, None),
        };
        let query = parameters.filter(|(_, it)| it["location"] == "query");
        Self {
            id: id.to_owned(),
            http: text(&method["httpMethod"]),
            segments: expanded.split('/').map(str::to_owned).collect(),
            verb,
            name_length,
            query: query.map(|(name, parameter)| (name.clone(), Kind::parse(parameter))).collect(),
            request: method["request"].as_str().map(str::to_owned),
            response: text(&method["response"]),
        }
    }

    fn fits(&self, http: &str, segments: &[&str], verb: Option<&str>) -> bool {
        let same = |(pattern, text): (&String, &&str)| if pattern == "*" { !text.is_empty() } else { pattern == text };
        self.http == http
            && self.verb.as_deref() == verb
            && self.segments.len() == segments.len()
            && self.segments.iter().zip(segments).all(same)
    }
}

/// The method that a request means, by its HTTP method and its path.
pub(crate) fn find(schema: &'static Schema, http: &str, path: &str) -> Option<Matched> {
    let path = path.strip_prefix('/')?;
    let (plain, verb) = match path.rsplit_once(':') {
        Some((plain, verb)) if !verb.contains('/') => (plain, Some(verb)),
        _ => (path, None),
    };
    let segments: Vec<&str> = plain.split('/').collect();
    let method = schema.methods.iter().find(|method| method.fits(http, &segments, verb))?;
    let name = segments.iter().skip(1).take(method.name_length).copied().collect::<Vec<_>>().join("/");
    Some(Matched { method, name })
}
