//! What goes wrong in an object store, in the words of the contract.

use longshore_core::{Error, ErrorKind, chain};
use secrecy::{ExposeSecret, SecretString};
use std::{io, sync::Arc};

/// What must not be seen in any message.
#[derive(Clone, Default)]
pub(super) struct Redaction(Arc<[SecretString]>);

impl Redaction {
    #[cfg(any(test, feature = "s3", feature = "gcs", feature = "azure"))]
    pub(super) fn of(secrets: Vec<SecretString>) -> Self {
        Self(secrets.into())
    }

    /// The text without the secrets.
    pub(super) fn apply(&self, text: &str) -> String {
        let hide = |text: String, secret: &SecretString| text.replace(secret.expose_secret(), "[redacted]");
        self.0.iter().filter(|secret| !secret.expose_secret().is_empty()).fold(text.to_owned(), hide)
    }
}

/// An object store's refusal. Its own words follow as the source.
pub(super) fn of_store(message: &str, error: object_store::Error, redaction: &Redaction) -> Error {
    use object_store::Error as Store;
    let kind = match &error {
        Store::NotFound { .. } => ErrorKind::NotFound,
        Store::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        Store::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        Store::NotSupported { .. } | Store::NotImplemented { .. } => ErrorKind::Unsupported,
        Store::UnknownConfigurationKey { .. } | Store::InvalidPath { .. } => ErrorKind::Invalid,
        other => disk_error(other).map_or(ErrorKind::Unavailable, |error| of_io(error.kind())),
    };
    new(kind, message).with_source(redaction.apply(&chain(&error)))
}

/// A refusal of this machine's file system.
pub(super) fn of_disk(message: &str, error: io::Error) -> Error {
    new(of_io(error.kind()), message).with_source(error)
}

fn new(kind: ErrorKind, message: &str) -> Error {
    match kind {
        ErrorKind::Capacity => {
            Error::new(kind, format!("{message}, because there is no room: make room, and save the log again"))
        }
        ErrorKind::PermissionDenied => {
            Error::new(kind, format!("{message}: let this program read, write, list and remove there"))
        }
        kind => Error::new(kind, message),
    }
}

const fn of_io(kind: io::ErrorKind) -> ErrorKind {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Capacity,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    }
}

/// What the disk said, somewhere below what the store says.
fn disk_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(disk) = error.downcast_ref::<io::Error>() {
            return Some(disk);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_says_is_found_below_what_the_store_says() {
        for (disk, kind) in [
            (io::ErrorKind::StorageFull, ErrorKind::Capacity),
            (io::ErrorKind::QuotaExceeded, ErrorKind::Capacity),
            (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied),
            (io::ErrorKind::TimedOut, ErrorKind::Unavailable),
        ] {
            let error = object_store::Error::Generic { store: "folder", source: io::Error::from(disk).into() };
            assert_eq!(of_store("it can't be written", error, &Redaction::default()).kind(), kind);
        }
    }

    #[test]
    fn secrets_are_in_no_message() {
        let source = "SignatureDoesNotMatch for key hunter2".into();
        let error = object_store::Error::Generic { store: "S3", source };
        let redaction = Redaction::of(vec!["".into(), "hunter2".into()]);
        let shown = format!("{:?}", of_store("it can't be written", error, &redaction));
        assert!(shown.contains("for key [redacted]") && !shown.contains("hunter2"), "{shown}");
    }
}
