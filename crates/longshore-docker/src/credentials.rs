//! A registry's login in the form that the engine takes.

use bollard::auth::DockerCredentials;
use longshore_core::{RegistryIdentity, RegistryLogin};
use secrecy::ExposeSecret;

/// The login as the engine is told it.
pub(crate) fn from_login(login: RegistryLogin) -> DockerCredentials {
    let serveraddress = Some(login.server);
    match login.identity {
        RegistryIdentity::User { name, password } => DockerCredentials {
            username: Some(name),
            password: Some(password.expose_secret().to_owned()),
            serveraddress,
            ..DockerCredentials::default()
        },
        RegistryIdentity::Token(token) => DockerCredentials {
            identitytoken: Some(token.expose_secret().to_owned()),
            serveraddress,
            ..DockerCredentials::default()
        },
        // A kind of login that this executor does not know yet is no login.
        _ => DockerCredentials { serveraddress, ..DockerCredentials::default() },
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use longshore_core::{LocalSecrets, RegistryLogins};

    use super::*;

    #[tokio::test]
    async fn a_password_and_a_token_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let auth = BASE64_STANDARD.encode("me:word");
        let config = format!(r#"{{"auths":{{"a.b":{{"auth":"{auth}"}},"c.d":{{"identitytoken":"tok"}}}}}}"#);
        std::fs::write(&path, config).unwrap();
        let logins = RegistryLogins::new(None, &LocalSecrets, Some(&path));
        for (image, expected) in [("a.b/x", (Some("me"), Some("word"), None)), ("c.d/x", (None, None, Some("tok")))] {
            let login = logins.find(&image.parse().unwrap()).await.unwrap().unwrap();
            let given = from_login(login);
            assert_eq!(
                (given.username.as_deref(), given.password.as_deref(), given.identitytoken.as_deref()),
                expected,
                "{image}"
            );
        }
    }
}
