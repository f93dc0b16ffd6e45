//! Where a job may run: what the law or its data ask of the place.

use bon::Builder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::{
    Error, ErrorKind, ExecutionHost, Result,
    ids::{NameRule, parsed_name},
};

fn first(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn rest(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

parsed_name! {
    /// Where a host stands, in its provider's words: `us-east-1`, `europe-west1`, `fr-par`.
    Region, NameRule {
        field: "region",
        rule: "use 1 to 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit, such as us-east-1",
        pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
        longest: 63,
        first,
        rest,
    }
}

parsed_name! {
    /// Under whose law data stays on a host, in the operator's words: `eu`, `ch`.
    Residency, NameRule {
        field: "residency",
        rule: "use 1 to 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit, such as eu",
        pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
        longest: 63,
        first,
        rest,
    }
}

/// Where a job may run. The host's configuration answers it, not the executor: so only what knows the host, such as
/// the router, takes a job that asks for a place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Placement {
    /// The regions in which it may run; empty, any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[builder(default)]
    pub regions: BTreeSet<Region>,
    /// Under whose law its data must stay; absent, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residency: Option<Residency>,
}

impl Placement {
    /// True when the job may run anywhere.
    #[must_use]
    pub fn is_anywhere(&self) -> bool {
        self.regions.is_empty() && self.residency.is_none()
    }

    /// Checks the host against what is asked of its place. A host that does not say where it is passes only a job
    /// that may run anywhere.
    ///
    /// # Errors
    /// `Unsupported`, naming what is asked and what the host is.
    pub fn check(&self, host: &ExecutionHost) -> Result<()> {
        if !self.regions.is_empty() && !host.region.as_ref().is_some_and(|region| self.regions.contains(region)) {
            let asked: Vec<&str> = self.regions.iter().map(Region::as_str).collect();
            return Err(refusal("regions", &asked.join(", "), "region", host.region.as_ref()));
        }
        match &self.residency {
            Some(asked) if host.residency.as_ref() != Some(asked) => {
                Err(refusal("residency", asked.as_str(), "residency", host.residency.as_ref()))
            }
            _ => Ok(()),
        }
    }

    /// What is asked, in words.
    pub(super) fn asked(&self) -> String {
        let regions: Vec<&str> = self.regions.iter().map(Region::as_str).collect();
        let residency = self.residency.iter().map(|residency| format!("residency {residency}"));
        regions.into_iter().map(|region| format!("region {region}")).chain(residency).collect::<Vec<_>>().join(", ")
    }
}

fn refusal(field: &str, asked: &str, name: &str, actual: Option<&impl ToString>) -> Error {
    let actual =
        actual.map_or_else(|| format!("states no {name}"), |actual| format!("has {name} {}", actual.to_string()));
    Error::new(ErrorKind::Unsupported, format!("placement.{field} asks for {asked}, and the host {actual}"))
        .with_operation("plan")
}
