//! What an attempt remembers of its log, and the names of what is stored for it.

use bytes::Bytes;
use longshore_core::{Error, ErrorKind, LaunchToken, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Where a finished log is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogReference {
    /// Small enough to be kept with the attempt.
    Inline(LogBytes),
    /// In the log store, under this name.
    Stored {
        /// The attempt's token, `/`, and the name of the log's last chunk, which tells the other chunks.
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

/// The first half of a chunk's SHA-256: it names the chunk, and proves that what was read is what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkHash(pub(super) [u8; Self::BYTES]);

impl ChunkHash {
    pub(super) const BYTES: usize = 16;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut half = [0; Self::BYTES];
        half.iter_mut().zip(Sha256::digest(bytes)).for_each(|(to, from)| *to = from);
        Self(half)
    }
}

impl fmt::Display for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ChunkHash {
    type Err = NotAName;
    fn from_str(text: &str) -> Result<Self, NotAName> {
        if text.len() != 2 * Self::BYTES {
            return Err(NotAName);
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| NotAName)
    }
}

/// The name of one chunk in its token's folder: its number, the place in the program's output where it begins, and its hash.
///
/// Two saves of the same log give the same names; two that differ never overwrite each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkName {
    pub(super) number: u32,
    pub(super) start: u64,
    pub(super) hash: ChunkHash,
}

/// What is no name of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAName;

impl fmt::Display for ChunkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}-{:x}-{}", self.number, self.start, self.hash)
    }
}

impl FromStr for ChunkName {
    type Err = NotAName;
    fn from_str(text: &str) -> Result<Self, NotAName> {
        let (number, rest) = text.split_once('-').ok_or(NotAName)?;
        let (start, hash) = rest.split_once('-').ok_or(NotAName)?;
        let name = Self {
            number: number.parse().map_err(|_| NotAName)?,
            start: u64::from_str_radix(start, 16).map_err(|_| NotAName)?,
            hash: hash.parse()?,
        };
        if name.to_string() == text { Ok(name) } else { Err(NotAName) }
    }
}

/// A log that is in the log store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredLog {
    pub(super) token: LaunchToken,
    pub(super) last: ChunkName,
}

impl StoredLog {
    /// Reads the name of a reference, which is not trusted to be one of ours: it becomes part of a path.
    pub(super) fn parse(name: &str) -> Result<Self> {
        let parsed = name
            .split_once('/')
            .and_then(|(token, last)| Some(Self { token: token.parse().ok()?, last: last.parse().ok()? }));
        parsed.ok_or_else(|| {
            let message =
                "the attempt names its log in a way that this version does not know; read it with a newer version";
            Error::new(ErrorKind::Invalid, message).with_context("log", name.escape_debug())
        })
    }
}

impl fmt::Display for StoredLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.token, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "ls-019237a45c1e7f008000000000000001-2";

    #[test]
    fn a_name_is_read_back() {
        let last = ChunkName { number: 12, start: 0xc0_ffee, hash: ChunkHash::of(b"x") };
        let name = format!("{TOKEN}/{last}");
        assert_eq!(name, format!("{TOKEN}/00000012-c0ffee-2d711642b726b04401627ca9fbac32f5"));
        assert_eq!(StoredLog::parse(&name).unwrap().to_string(), name);
    }

    #[test]
    fn what_is_no_name_never_becomes_a_path() {
        let hash = "2d711642b726b04401627ca9fbac32f5";
        for name in [
            String::new(),
            "../../etc/passwd".to_owned(),
            format!("{TOKEN}/../{hash}"),
            format!("../00000000-0-{hash}"),
            format!("{TOKEN}/00000000-0-{hash}/x"),
            format!("{TOKEN}/0-0-{hash}"),
            format!("{TOKEN}/00000000-00-{hash}"),
            format!("{TOKEN}/00000000-0-{}", hash.to_uppercase()),
            format!("{TOKEN}/00000000-0-+d711642b726b04401627ca9fbac32f5"),
            format!("{TOKEN}/00000000-0-{hash}\n"),
        ] {
            let error = StoredLog::parse(&name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
