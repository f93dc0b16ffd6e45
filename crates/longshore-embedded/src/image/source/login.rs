//! A registry's login in the form that its client takes.

use longshore_core::{Error, ErrorKind, RegistryIdentity, RegistryLogin, Result};
use oci_client::secrets::RegistryAuth;
use secrecy::ExposeSecret;

/// The login as the registry's client is told it.
///
/// # Errors
/// `Unauthenticated` for an identity token, which the client can't exchange.
pub(super) fn of(login: Option<&RegistryLogin>) -> Result<RegistryAuth> {
    let Some(login) = login else { return Ok(RegistryAuth::Anonymous) };
    match &login.identity {
        RegistryIdentity::User { name, password } => {
            Ok(RegistryAuth::Basic(name.clone(), password.expose_secret().to_owned()))
        }
        _ => Err(Error::new(
            ErrorKind::Unauthenticated,
            format!(
                "the login that is stored for {} is an identity token, which the embedded executor can't use; log in \
                 with a user's name and a password or access token, or give the job registry credentials",
                login.server
            ),
        )
        .with_operation("pull")),
    }
}
