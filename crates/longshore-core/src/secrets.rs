//! Where references become values: as late as can be, in a type that shows nothing.

use async_trait::async_trait;
use secrecy::SecretSlice;
use std::fmt;

use crate::{Error, ErrorKind, Result, SecretReference};

/// Finds the values of secrets for executors whose provider can't.
#[async_trait]
pub trait SecretResolver: fmt::Debug + Send + Sync {
    /// The value that the reference leads to.
    ///
    /// # Errors
    /// [`ErrorKind::SecretUnavailable`] when there is none, and [`ErrorKind::Unsupported`] for a reference that
    /// only a provider can resolve. Neither shows any part of a value.
    async fn resolve(&self, reference: &SecretReference) -> Result<SecretSlice<u8>>;
}

/// Resolves `env:` and `file:` references on this machine, at the moment of asking.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalSecrets;

#[async_trait]
impl SecretResolver for LocalSecrets {
    async fn resolve(&self, reference: &SecretReference) -> Result<SecretSlice<u8>> {
        let unavailable = |why: String| Error::new(ErrorKind::SecretUnavailable, why).with_operation("resolve secret");
        match reference {
            SecretReference::Env(name) => {
                from_environment(name.as_str()).map(|value| value.into_encoded_bytes().into()).ok_or_else(|| {
                    unavailable(format!("the variable {name} is not set in the environment of this program"))
                })
            }
            SecretReference::File(path) => tokio::fs::read(path)
                .await
                .map(Into::into)
                .map_err(|error| unavailable(format!("the file {path} can't be read")).with_source(error)),
            SecretReference::Provider(_) => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{reference} can only be resolved by a provider's own secret store; use env:NAME or file:PATH here"
                ),
            )
            .with_operation("resolve secret")),
        }
    }
}

fn from_environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
