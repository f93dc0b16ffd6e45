//! A condition: parsed once, checked once, then asked for each job.

use std::fmt;

use super::{
    check::check,
    context::Scope,
    eval::At,
    fault::{Fault, Faults},
    tree::Bool,
};
use crate::HostName;

/// A checked condition. Two are equal when they mean the same but for spaces and needless parentheses.
#[derive(Clone)]
pub struct Condition {
    source: String,
    tree: Bool,
    costs: bool,
    hosts: Vec<HostName>,
}

impl Condition {
    /// The longest condition, in bytes.
    pub const LONGEST: usize = 16_384;

    /// Parses and checks a condition that may name the given hosts.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place: also behind a short circuit.
    pub fn parse(source: &str, hosts: &[HostName]) -> Result<Self, Faults> {
        let checked = check(source, hosts)?;
        Ok(Self { source: source.to_owned(), tree: checked.tree, costs: checked.costs, hosts: checked.named })
    }

    /// The condition as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is `true`, and so holds for every job.
    #[must_use]
    pub const fn is_always(&self) -> bool {
        matches!(self.tree, Bool::Is(true))
    }

    /// Whether it asks for `estimated_cost`.
    #[must_use]
    pub const fn asks_for_cost(&self) -> bool {
        self.costs
    }

    /// The hosts that it names.
    #[must_use]
    pub fn hosts(&self) -> &[HostName] {
        &self.hosts
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// What kept it from being evaluated, and the way out: a label that is not there, a cost that is not known, a
    /// division by zero.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, String> {
        self.tree.eval(At { scope, element: "" }).map_err(|trouble| trouble.to_string())
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.tree == other.tree
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.source).finish()
    }
}

impl std::str::FromStr for Condition {
    type Err = Faults;

    /// A condition that names no host.
    fn from_str(text: &str) -> Result<Self, Faults> {
        Self::parse(text, &[])
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}
