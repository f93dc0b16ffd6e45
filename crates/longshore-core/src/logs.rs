//! A program's output, byte for byte, in pages that a cursor resumes.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt, time::Duration};

use crate::{ByteSize, ContainerName};

/// Which of a program's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// File descriptor 1; also everything, where the provider does not keep the two apart.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

impl fmt::Display for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// A piece of a log: usually a line with its line break, never empty and never more than 1 MiB, so that a line of any
/// length comes in pieces. All pieces of a stream, put together, are exactly what the program wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct LogRecord {
    /// The container that wrote it; left out for `main`.
    #[serde(default, skip_serializing_if = "ContainerName::is_main")]
    pub container: ContainerName,
    /// The output that it was written to.
    pub stream: LogStream,
    /// When it was written, by the provider's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The bytes. Stored as text where they are UTF-8, otherwise as `{"base64": …}`.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    #[schemars(with = "StoredBytes")]
    pub bytes: Bytes,
}

impl LogRecord {
    /// A piece that the main container wrote.
    #[must_use]
    pub fn new(stream: LogStream, timestamp: Option<Timestamp>, bytes: Bytes) -> Self {
        Self { container: ContainerName::main(), stream, timestamp, bytes }
    }
}

/// The form in which bytes are stored.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum StoredBytes<'a> {
    /// Bytes that are UTF-8.
    Text(Cow<'a, str>),
    /// Any others.
    Binary {
        /// The bytes in base64 with padding.
        base64: String,
    },
}

fn write_bytes<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    let stored = std::str::from_utf8(bytes).map_or_else(
        |_| StoredBytes::Binary { base64: BASE64_STANDARD.encode(bytes) },
        |text| StoredBytes::Text(text.into()),
    );
    stored.serialize(serializer)
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    match StoredBytes::deserialize(deserializer)? {
        StoredBytes::Text(text) => Ok(Bytes::from(text.into_owned().into_bytes())),
        StoredBytes::Binary { base64 } => {
            BASE64_STANDARD.decode(base64).map(Bytes::from).map_err(serde::de::Error::custom)
        }
    }
}

/// A place in a log. Opaque: only the executor that gave it can read it. Reading on from it neither loses nor
/// doubles a byte, whoever reads and whenever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LogCursor(String);

impl LogCursor {
    /// A cursor in its executor's own notation.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The executor's notation.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which part of a log to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct LogQuery {
    /// Where to go on; absent, the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<LogCursor>,
    /// About how many bytes to return at most; a page always holds at least one record where there is one.
    pub max_bytes: usize,
    /// How long to wait for something new when there is nothing. Executors that learn of new output wait up to
    /// this long; others answer at once with an empty page.
    #[serde(with = "crate::units::duration::required")]
    #[schemars(with = "String")]
    pub wait: Duration,
}

impl LogQuery {
    /// The bytes of a page unless something else is asked.
    pub const PAGE: usize = 256 << 10;

    /// From the beginning, without waiting.
    #[must_use]
    pub const fn from_start() -> Self {
        Self { cursor: None, max_bytes: Self::PAGE, wait: Duration::ZERO }
    }

    /// On from the cursor, without waiting.
    #[must_use]
    pub const fn after(cursor: LogCursor) -> Self {
        Self { cursor: Some(cursor), max_bytes: Self::PAGE, wait: Duration::ZERO }
    }

    /// The same, waiting this long for something new.
    #[must_use]
    pub const fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The same, with pages of about this many bytes.
    #[must_use]
    pub const fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct LogPage {
    /// The records, in the order in which the provider keeps them.
    pub records: Vec<LogRecord>,
    /// Where the next page begins.
    pub next: LogCursor,
    /// What is known of the log's end, once `next` is at the end and nothing more can come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<LogCompleteness>,
}

impl LogPage {
    /// A page with more to come.
    #[must_use]
    pub const fn open(records: Vec<LogRecord>, next: LogCursor) -> Self {
        Self { records, next, ended: None }
    }

    /// The last page.
    #[must_use]
    pub const fn last(records: Vec<LogRecord>, next: LogCursor, completeness: LogCompleteness) -> Self {
        Self { records, next, ended: Some(completeness) }
    }
}

/// How much of what the program wrote the log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogCompleteness {
    /// Every byte.
    Complete,
    /// Every byte up to the cap.
    Truncated {
        /// The cap.
        cap: ByteSize,
    },
    /// The provider's way of keeping logs may lose or change bytes.
    Lossy {
        /// In what way.
        reason: String,
    },
    /// Something that should be there is missing.
    Missing {
        /// What is known of it.
        reason: String,
    },
}

impl fmt::Display for LogCompleteness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.pad("complete"),
            Self::Truncated { cap } => f.pad(&format!("cut off at its cap of {cap}")),
            Self::Lossy { reason } => f.pad(&format!("may lack bytes: {reason}")),
            Self::Missing { reason } => f.pad(&format!("incomplete: {reason}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_storage() {
        for bytes in [Bytes::from_static(b"text\n"), Bytes::from((0..=255).collect::<Vec<u8>>()), Bytes::new()] {
            let record = LogRecord::new(LogStream::Stderr, None, bytes);
            let stored = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<LogRecord>(&stored).unwrap(), record, "{stored}");
        }
    }

    #[test]
    fn the_main_container_is_left_out() {
        let stored = serde_json::to_string(&LogRecord::new(LogStream::Stdout, None, Bytes::from_static(b"x"))).unwrap();
        assert_eq!(stored, r#"{"stream":"stdout","bytes":"x"}"#);
    }
}
