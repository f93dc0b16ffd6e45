//! Why a container could not be started.

use longshore_core::{ErrorKind, chain};
use std::{error::Error, fmt, io};

use super::order::Report;

/// Why a container could not be started, in the words of whoever could not.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// What a supervisor does comes to something, or to a fault.
pub(crate) type Outcome<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The start failed while this was done.
    pub(crate) fn of(what: impl fmt::Display, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error: Box<dyn Error + Send + Sync> = error.into();
        let kind = if is_full(error.as_ref()) { ErrorKind::Capacity } else { ErrorKind::StartFailed };
        Self::new(kind, format!("{what}: {}", chain(error.as_ref())))
    }

    pub(crate) fn into_report(self) -> Report {
        Report::Failed { kind: self.kind, message: self.message }
    }
}

/// Adds what was being done to an error.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| Fault::of(what, error))
    }
}

/// Whether the disk was full.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    error.downcast_ref::<io::Error>().is_some_and(|error| full.contains(&error.kind()))
}
