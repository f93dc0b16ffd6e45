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

/// How many values a text may have, those of YAML's aliases each time that they stand somewhere.
const MOST_VALUES: usize = 200_000;
/// How many bytes of text they may hold, counted likewise.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Counts what has been read, so that no text becomes more than it may.
#[derive(Default)]
struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    fn take(&mut self, values: usize, bytes: usize, at: &Range<usize>) -> Result<(), Unreadable> {
        self.values += values;
        self.bytes += bytes;
        if self.values > MOST_VALUES {
            return Err(Unreadable::new(format!("there are more than {MOST_VALUES} values"), at.clone()));
        }
        if self.bytes > MOST_BYTES {
            return Err(Unreadable::new(format!("there are more than {} MiB of text", MOST_BYTES >> 20), at.clone()));
        }
        Ok(())
    }
}

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
