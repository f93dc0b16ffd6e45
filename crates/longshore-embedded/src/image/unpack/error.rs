//! Why a layer could not be unpacked.

use longshore_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use std::{error::Error as StdError, fmt, io};

/// Why a layer could not be unpacked, in a form that crosses from one process to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnpackError {
    /// What kind of reason.
    pub(crate) kind: UnpackErrorKind,
    /// The reason, with the entry that it is about.
    pub(crate) message: String,
}

/// What kind of reason there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UnpackErrorKind {
    /// The archive asks for what no layer may.
    Refused,
    /// The archive is damaged, or ends too early.
    Corrupt,
    /// The disk is full.
    DiskFull,
    /// The layer is larger than it may be.
    TooLarge,
    /// The operating system refused.
    System,
}

impl UnpackError {
    pub(crate) fn new(kind: UnpackErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The entry asks for what no layer may.
    pub(crate) fn refused(entry: &[u8], rule: &str) -> Self {
        Self::new(UnpackErrorKind::Refused, format!("the entry {} is refused: {rule}", shown(entry)))
    }

    /// What the operating system said while the entry was made.
    pub(crate) fn system(entry: &[u8], error: impl Into<io::Error>) -> Self {
        let error = error.into();
        if is_full(&error) {
            return Self::new(
                UnpackErrorKind::DiskFull,
                format!(
                    "the disk is full while unpacking {}; make room in the state folder's file system",
                    shown(entry)
                ),
            );
        }
        Self::new(UnpackErrorKind::System, format!("the entry {} can't be made: {error}", shown(entry)))
    }

    /// The archive can't be read on.
    pub(crate) fn corrupt(error: &io::Error) -> Self {
        Self::new(UnpackErrorKind::Corrupt, format!("the layer's archive is damaged or cut short: {error}"))
    }
}

/// True when there is no room left, by the disk or by a quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An entry's name for people: what is not printable is escaped, and what is very long is cut.
fn shown(entry: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(entry);
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.message)
    }
}

impl StdError for UnpackError {}

impl From<UnpackError> for Error {
    fn from(error: UnpackError) -> Self {
        let kind = match error.kind {
            UnpackErrorKind::Refused | UnpackErrorKind::Corrupt | UnpackErrorKind::TooLarge => {
                ErrorKind::ImageUnavailable
            }
            UnpackErrorKind::DiskFull => ErrorKind::Capacity,
            UnpackErrorKind::System => ErrorKind::Unavailable,
        };
        Self::new(kind, error.message).with_operation("unpack")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_write_to_the_terminal_nor_fill_the_page() {
        let error = UnpackError::refused(b"a\x1b[2J\n", "no");
        assert_eq!(error.message, r#"the entry "a\u{1b}[2J\n" is refused: no"#);
        assert!(UnpackError::refused(&[b'a'; 5000], "no").message.len() < 300);
    }

    #[test]
    fn a_full_disk_is_a_lack_of_room() {
        let error: Error = UnpackError::system(b"a", io::Error::from(io::ErrorKind::StorageFull)).into();
        assert_eq!(error.kind(), ErrorKind::Capacity);
        assert!(error.message().contains("disk is full while unpacking"), "{error}");
    }
}
