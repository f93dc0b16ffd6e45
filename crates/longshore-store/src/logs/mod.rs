//! Where logs are kept once their execution has ended.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a finished log is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogReference {
    /// Small enough to be kept with the attempt.
    Inline(LogBytes),
    /// In the log store, under this name.
    Stored {
        /// The name of its chunks' folder.
        name: String,
        /// How many chunks there are.
        chunks: u32,
        /// How many bytes they have in all.
        bytes: u64,
    },
}

/// A log's encoded bytes; stored as text in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct LogBytes(pub Bytes);

impl TryFrom<String> for LogBytes {
    type Error = base64::DecodeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).map(|bytes| Self(bytes.into()))
    }
}

impl From<LogBytes> for String {
    fn from(bytes: LogBytes) -> Self {
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes.0)
    }
}
