//! What is wrong with a value that somebody typed: the field, the value, the rule.

use std::fmt;

/// One broken rule, in words that name the field, show the value and say what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {shown} is not valid: {rule}")]
#[non_exhaustive]
pub struct Violation {
    /// The field or kind of value, as a user knows it (`image`, `resources.memory`).
    pub field: String,
    /// The value, quoted and shortened to at most 80 characters.
    pub shown: String,
    /// What is allowed, and often what to write instead.
    pub rule: String,
}

impl Violation {
    const SHOWN: usize = 80;

    /// Names the field, the value and the rule that it breaks.
    pub fn new(field: impl Into<String>, value: impl fmt::Display, rule: impl Into<String>) -> Self {
        let value = value.to_string();
        let mut shown: String = value.chars().take(Self::SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { field: field.into(), shown: format!("{shown:?}"), rule: rule.into() }
    }

    /// The same violation seen from a field that holds the value.
    #[must_use]
    pub fn within(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }
}

/// All the rules that one input breaks; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.joined())]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// `Ok` when nothing was found, otherwise all that was.
    ///
    /// # Errors
    /// The violations themselves.
    pub fn check(found: Vec<Violation>) -> Result<(), Self> {
        if found.is_empty() { Ok(()) } else { Err(Self(found)) }
    }

    /// The violations, in the order of the input's fields.
    #[must_use]
    pub fn as_slice(&self) -> &[Violation] {
        &self.0
    }

    fn joined(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}
