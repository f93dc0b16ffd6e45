//! The formats in which a configuration can be written.

mod json;
mod toml;
mod yaml;

use std::{ops::Range, path::Path};

use crate::tree::Node;

/// How a configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// TOML, the usual one.
    Toml,
    /// YAML 1.2, without tags.
    Yaml,
    /// JSON.
    Json,
}

/// How deep values may be nested.
const DEEPEST: usize = 64;

/// Why a text can't be read, and where.
pub(crate) struct Unreadable {
    pub(crate) message: String,
    pub(crate) at: Range<usize>,
}

impl Unreadable {
    fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), at }
    }
}

impl Format {
    /// The format by a file's name; what has no ending of the others is TOML.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::Toml,
        }
    }

    /// Reads a text; empty is an empty table.
    pub(crate) fn read(self, text: &str) -> Result<Node, Unreadable> {
        match self {
            Self::Toml => toml::read(text),
            Self::Yaml => yaml::read(text),
            Self::Json => json::read(text),
        }
    }
}
