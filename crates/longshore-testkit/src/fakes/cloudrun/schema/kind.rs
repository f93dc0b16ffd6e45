//! The types of members, as the discovery documents have them.

use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// A member of a message.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) kind: Kind,
    /// It is the provider's own: in a request it is ignored.
    pub(crate) read_only: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Message(String),
    List(Box<Kind>),
    /// Members of any name.
    Map(Box<Kind>),
    Any,
    Enum(Vec<String>),
    Scalar(Scalar),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Text,
    /// A number in a text.
    Int64,
    Datetime,
    Duration,
    Int32,
    Number,
    Boolean,
}

impl Member {
    pub(super) fn parse(member: &Value) -> Self {
        Self { kind: Kind::parse(member), read_only: member["readOnly"] == true }
    }
}

impl Kind {
    pub(super) fn parse(kind: &Value) -> Self {
        if let Some(name) = kind["$ref"].as_str() {
            return Self::Message(name.to_owned());
        }
        if let Some(names) = kind["enum"].as_array() {
            return Self::Enum(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect());
        }
        match kind["type"].as_str() {
            Some("array") => Self::List(Box::new(Self::parse(&kind["items"]))),
            Some("object") => Self::Map(Box::new(Self::parse(&kind["additionalProperties"]))),
            Some("any") => Self::Any,
            name => Self::Scalar(Scalar::parse(name.unwrap_or_default(), kind["format"].as_str().unwrap_or_default())),
        }
    }
}

impl Scalar {
    fn parse(name: &str, format: &str) -> Self {
        match (name, format) {
            ("boolean", _) => Self::Boolean,
            ("integer", _) => Self::Int32,
            ("number", _) => Self::Number,
            (_, "int64") => Self::Int64,
            (_, "google-datetime") => Self::Datetime,
            (_, "google-duration") => Self::Duration,
            _ => Self::Text,
        }
    }

    pub(super) fn fits(self, value: &Value) -> bool {
        let text = |fits: fn(&str) -> bool| value.as_str().is_some_and(fits);
        match self {
            Self::Text => value.is_string(),
            Self::Int64 => text(|text| text.parse::<i64>().is_ok()),
            Self::Datetime => text(|text| text.parse::<Timestamp>().is_ok()),
            Self::Duration => text(|text| duration(text).is_some()),
            Self::Int32 => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }

    /// Whether a parameter of a query may have the value.
    pub(crate) fn fits_query(self, value: &str) -> bool {
        match self {
            Self::Boolean => matches!(value, "true" | "false"),
            Self::Int32 => value.parse::<i32>().is_ok(),
            _ => true,
        }
    }

    /// What a refusal calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "TYPE_STRING",
            Self::Int64 => "TYPE_INT64",
            Self::Datetime => "type.googleapis.com/google.protobuf.Timestamp",
            Self::Duration => "type.googleapis.com/google.protobuf.Duration",
            Self::Int32 => "TYPE_INT32",
            Self::Number => "TYPE_DOUBLE",
            Self::Boolean => "TYPE_BOOL",
        }
    }
}

/// The duration, such as `600s` or `1.5s`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(whole.parse().ok()?, nanos))
}
