//! Templates that are kept.

use longshore_core::{Error, ErrorKind, JobName, JobTemplate, suggestion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Request;

/// A template that is kept under its name. Jobs carry a copy of theirs, which no later change of it touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct SavedTemplate {
    /// The template.
    pub template: JobTemplate,
    /// Who saved it as it is, when, and why.
    pub request: Request,
}

impl SavedTemplate {
    /// A template that is kept.
    #[must_use]
    pub const fn new(template: JobTemplate, request: Request) -> Self {
        Self { template, request }
    }
}

/// No template has this name, but these have others.
pub(crate) fn no_such_template(name: &JobName, others: &[SavedTemplate]) -> Error {
    let known = others.iter().map(|saved| saved.template.name.as_str());
    let way_out = suggestion(name.as_str(), known, "none is kept");
    Error::new(ErrorKind::NotFound, format!("no template {name} is kept in this store; {way_out}"))
}
