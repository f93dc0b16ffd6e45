//! Where references become values: as late as can be, in a type that shows nothing.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretSlice};
use std::fmt;

use crate::{Error, ErrorKind, Result, SecretName, SecretReference};

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

/// A secret's value as the variable `NAME=VALUE`.
///
/// # Errors
/// `SecretUnavailable` for a value that is no text, naming the secret and the way out.
pub fn secret_variable(name: &SecretName, value: &SecretSlice<u8>) -> Result<String> {
    let text = std::str::from_utf8(value.expose_secret()).ok().filter(|text| !text.contains('\0'));
    text.map(|text| format!("{name}={text}")).ok_or_else(|| {
        let message = format!("the secret {name} is not text and can't be a variable; deliver it as a file");
        Error::new(ErrorKind::SecretUnavailable, message)
    })
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
