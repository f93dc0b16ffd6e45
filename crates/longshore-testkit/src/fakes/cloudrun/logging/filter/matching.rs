//! Whether an entry is what a filter wants. Text is compared without regard to the case of ASCII letters.

use jiff::Timestamp;
use serde_json::Value;
use std::{borrow::Cow, cmp::Ordering};

use super::{Field, Filter, Moment, Operator};
use crate::fakes::cloudrun::logging::{Entry, Payload};

const SEVERITIES: [&str; 9] =
    ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"];

impl Filter {
    pub(in crate::fakes::cloudrun::logging) fn fits(&self, entry: &Entry) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.fits(entry)),
            Self::Or(parts) => parts.iter().any(|part| part.fits(entry)),
            Self::Not(inner) => !inner.fits(entry),
            Self::Compare { field, operator, value } => compare(entry, field, *operator, value),
            Self::When { moment: Moment::Written, operator, at } => holds(*operator, entry.at.cmp(at)),
            Self::When { moment: Moment::Received, operator, at } => holds(*operator, entry.received.cmp(at)),
        }
    }

    /// A time before which nothing fits, where the filter names one: what lies before it need not be looked at.
    pub(in crate::fakes::cloudrun::logging) fn not_before(&self) -> Option<Timestamp> {
        match self {
            Self::And(parts) => parts.iter().filter_map(Self::not_before).max(),
            Self::Or(parts) if parts.len() == 1 => parts.first()?.not_before(),
            Self::When { moment: Moment::Written, operator: Operator::Greater | Operator::GreaterOrEqual, at } => {
                Some(*at)
            }
            Self::Or(_) | Self::Not(_) | Self::Compare { .. } | Self::When { .. } => None,
        }
    }
}

fn compare(entry: &Entry, field: &Field, operator: Operator, value: &str) -> bool {
    match field {
        Field::Severity => severity(entry.severity, value).is_some_and(|ordering| holds(operator, ordering)),
        field => text(entry, field).is_some_and(|text| compare_text(&text, operator, value)),
    }
}

fn severity(found: &str, value: &str) -> Option<Ordering> {
    let rank = |name: &str| SEVERITIES.iter().position(|known| known.eq_ignore_ascii_case(name));
    Some(rank(found)?.cmp(&rank(value)?))
}

fn text<'a>(entry: &'a Entry, field: &Field) -> Option<Cow<'a, str>> {
    match field {
        Field::InsertId => Some(entry.insert_id.as_str().into()),
        Field::Label(key) => entry.label(key),
        Field::LogName => Some(entry.log_name().into()),
        Field::LogId => entry.log_name().rsplit('/').next().map(|id| id.replace("%2F", "/").into()),
        Field::ResourceLabel(key) => entry.resource_label(key).map(Cow::from),
        Field::ResourceType => Some("cloud_run_job".into()),
        Field::TextPayload => match &entry.payload {
            Payload::Text(text) => Some(text.as_str().into()),
            Payload::Json(_) | Payload::Proto(_) => None,
        },
        Field::JsonPayload(path) => match &entry.payload {
            Payload::Json(value) => member(value, path),
            Payload::Text(_) | Payload::Proto(_) => None,
        },
        Field::Severity => None,
    }
}

fn member<'a>(value: &'a Value, path: &[String]) -> Option<Cow<'a, str>> {
    let found = path.iter().try_fold(value, |value, name| value.get(name))?;
    Some(found.as_str().map_or_else(|| found.to_string().into(), Cow::from))
}

fn compare_text(found: &str, operator: Operator, value: &str) -> bool {
    let lower = |text: &str| text.to_lowercase();
    match operator {
        Operator::Equal => found.eq_ignore_ascii_case(value),
        Operator::NotEqual => !found.eq_ignore_ascii_case(value),
        Operator::Has => value == "*" || lower(found).contains(&lower(value)),
        operator => holds(operator, lower(found).cmp(&lower(value))),
    }
}

fn holds(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Equal | Operator::Has => ordering.is_eq(),
        Operator::NotEqual => ordering.is_ne(),
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Greater => ordering.is_gt(),
        Operator::GreaterOrEqual => ordering.is_ge(),
    }
}
