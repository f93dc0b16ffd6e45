//! The part of the Logging query language that programs use (`cloud.google.com/logging/docs/view/logging-query-language`):
//! comparisons of fields, `AND` (also unwritten), `OR`, `NOT`, parentheses and lists of values.

mod lexer;
mod matching;
mod parser;

use jiff::Timestamp;

use crate::fakes::cloudrun::error::{Code, Refusal};

/// The longest filter, in characters.
const LONGEST: usize = 20_000;

/// What entries must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare { field: Field, operator: Operator, value: String },
    When { moment: Moment, operator: Operator, at: Timestamp },
}

/// A time that an entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Written,
    Received,
}

/// A field of an entry that a filter may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    InsertId,
    Label(String),
    LogName,
    LogId,
    ResourceLabel(String),
    ResourceType,
    Severity,
    TextPayload,
    JsonPayload(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
}

/// Reads a filter; an empty one is fulfilled by all entries.
pub(super) fn parse(text: &str) -> Result<Filter, Refusal> {
    if text.chars().count() > LONGEST {
        let message = format!("filter: The maximum length of a filter is {LONGEST} characters.");
        return Err(Refusal::new(Code::InvalidArgument, message));
    }
    let unparseable = |what: String| Refusal::new(Code::InvalidArgument, format!("Unparseable filter: {what}"));
    let tokens = lexer::tokens(text).map_err(unparseable)?;
    parser::parse(&tokens).map_err(unparseable)
}

#[cfg(test)]
mod tests;
