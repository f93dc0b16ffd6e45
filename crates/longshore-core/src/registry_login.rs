//! Logins for an image's registry: the job's own, or those of Docker's configuration file.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{Error, ErrorKind, Finding, ImageReference, RegistryCredentials, Result, SecretResolver};

/// Docker's name for its own registry in configuration files.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// What a credential helper says for the user's name when its secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// A login for one registry. Nothing of it is shown.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistryLogin {
    /// The registry that it is for, as Docker's configuration file spells it.
    pub server: String,
    /// Who logs in.
    pub identity: RegistryIdentity,
}

/// Who logs in to a registry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RegistryIdentity {
    /// A user with a password or an access token.
    User {
        /// The user's name.
        name: String,
        /// The password or access token.
        password: SecretString,
    },
    /// An identity token that the registry's token service takes for a password.
    Token(SecretString),
}

/// Where the login for an image is looked for, when it is needed and not before: with the job's own credentials if
/// there are any, otherwise in the configuration file of the user of this machine.
#[derive(Debug, Clone, Copy)]
pub struct RegistryLogins<'a> {
    own: Option<&'a RegistryCredentials>,
    secrets: &'a dyn SecretResolver,
    docker_config: Option<&'a Path>,
}

impl<'a> RegistryLogins<'a> {
    /// The job's own credentials, who resolves their password, and Docker's configuration file where it is not in
    /// its usual place.
    #[must_use]
    pub const fn new(
        own: Option<&'a RegistryCredentials>,
        secrets: &'a dyn SecretResolver,
        docker_config: Option<&'a Path>,
    ) -> Self {
        Self { own, secrets, docker_config }
    }

    /// The login for the image's registry; `None` when it is to be asked without.
    ///
    /// The user's logins are looked up by the registry's exact name, so that none is ever sent to another host
    /// (containerd CVE-2020-15157). Cancel-safe: a credential helper that still runs is ended.
    ///
    /// # Errors
    /// `SecretUnavailable` when the job's password can't be had, `Invalid` when Docker's configuration file can't be
    /// read as one, `Unauthenticated` when a credential helper is unusable.
    pub async fn find(&self, image: &ImageReference) -> Result<Option<RegistryLogin>> {
        match self.own {
            Some(own) => of_job(own, image, self.secrets).await.map(Some),
            None => of_user(image, self.docker_config).await,
        }
    }
}

/// The registries for which the user of this machine has stored logins, in order, each with the helper that keeps
/// them where there is one. Without a path, Docker's own file is read.
///
/// # Errors
/// `Invalid` when the file can't be read as Docker's configuration.
async fn stored_logins(docker_config: Option<&Path>) -> Result<Vec<String>> {
    let file = read_file(docker_config).await?.unwrap_or_default();
    let helped = file.cred_helpers.iter().map(|(server, helper)| format!("{server} by {helper}"));
    let store = file.creds_store.iter().map(|helper| format!("whatever {helper} keeps"));
    let mut registries: Vec<String> = file.auths.into_keys().chain(helped).chain(store).collect();
    registries.sort_unstable();
    Ok(registries)
}

/// The logins that are stored for registries, as a look at a host's health finds them.
pub async fn find_logins(docker_config: Option<&Path>) -> Finding {
    match stored_logins(docker_config).await {
        Ok(registries) if registries.is_empty() => Finding::new(
            "credentials",
            true,
            "none stored: images of public registries only; `docker login` stores some",
        ),
        Ok(registries) => Finding::new("credentials", true, format!("stored for {}", registries.join(", "))),
        Err(error) => Finding::new("credentials", false, format!("{}; mend or remove the file", error.chain())),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerConfigFile {
    auths: HashMap<String, StoredAuth>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
    #[serde(rename = "credHelpers")]
    cred_helpers: HashMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StoredAuth {
    auth: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

async fn of_job(
    credentials: &RegistryCredentials,
    image: &ImageReference,
    secrets: &dyn SecretResolver,
) -> Result<RegistryLogin> {
    let value = secrets.resolve(&credentials.password).await?;
    let password = str::from_utf8(value.expose_secret()).map_err(|_| {
        Error::new(
            ErrorKind::SecretUnavailable,
            format!("the registry password at {} is not text", credentials.password),
        )
    })?;
    Ok(of_name(credentials.username.clone(), password.trim_end_matches(['\r', '\n']), server(image)))
}

async fn of_user(image: &ImageReference, docker_config: Option<&Path>) -> Result<Option<RegistryLogin>> {
    let Some(file) = read_file(docker_config).await? else { return Ok(None) };
    let server = server(image);
    let helper = file.cred_helpers.get(&server).or(file.creds_store.as_ref());
    match helper {
        Some(helper) => from_helper(helper, server).await,
        None => Ok(file.auths.get(&server).and_then(|stored| from_stored(stored, server))),
    }
}

/// Docker's configuration file; none where there is none.
async fn read_file(path: Option<&Path>) -> Result<Option<DockerConfigFile>> {
    let Some(path) = path.map(Path::to_owned).or_else(default_file) else { return Ok(None) };
    let Ok(text) = tokio::fs::read(&path).await else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Error::new(ErrorKind::Invalid, format!("{} can't be read as Docker's configuration: {error}", path.display()))
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "DOCKER_CONFIG and HOME are where Docker's own file is found, by convention"
)]
fn default_file() -> Option<PathBuf> {
    let folder = std::env::var("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|_| std::env::var("HOME").map(|home| PathBuf::from(home).join(".docker")));
    folder.ok().map(|folder| folder.join("config.json"))
}

fn server(image: &ImageReference) -> String {
    match image.registry() {
        None | Some("docker.io" | "index.docker.io") => DOCKER_HUB.to_owned(),
        Some(registry) => registry.to_owned(),
    }
}

fn of_name(name: String, password: &str, server: String) -> RegistryLogin {
    RegistryLogin { server, identity: RegistryIdentity::User { name, password: password.into() } }
}

fn from_stored(stored: &StoredAuth, server: String) -> Option<RegistryLogin> {
    if let Some(token) = stored.identitytoken.as_deref().filter(|token| !token.is_empty()) {
        return Some(RegistryLogin { server, identity: RegistryIdentity::Token(token.into()) });
    }
    let decoded = BASE64_STANDARD.decode(stored.auth.as_ref()?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(of_name(name.to_owned(), password.trim_matches('\0'), server))
}

/// Asks a credential helper by Docker's protocol: the server's name on stdin, JSON on stdout
/// (<https://github.com/docker/docker-credential-helpers>).
async fn from_helper(helper: &str, server: String) -> Result<Option<RegistryLogin>> {
    let unusable = |why: &str| {
        Error::new(ErrorKind::Unauthenticated, format!("the credential helper docker-credential-{helper} {why}"))
    };
    if !helper.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return Err(unusable("has a name that no program should have"));
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| unusable("can't be run").with_source(error))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(server.as_bytes()).await.map_err(|error| unusable("does not listen").with_source(error))?;
    }
    let output = child.wait_with_output().await.map_err(|error| unusable("did not end").with_source(error))?;
    if !output.status.success() {
        return Ok(None);
    }
    let answer: HelperAnswer =
        serde_json::from_slice(&output.stdout).map_err(|_| unusable("answered what is not JSON"))?;
    Ok(Some(from_answer(answer, server)))
}

fn from_answer(answer: HelperAnswer, server: String) -> RegistryLogin {
    if answer.username == TOKEN_USER {
        return RegistryLogin { server, identity: RegistryIdentity::Token(answer.secret.into()) };
    }
    of_name(answer.username, &answer.secret, server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalSecrets;

    async fn find(image: &str, config: &str) -> Result<Option<RegistryLogin>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        RegistryLogins::new(None, &LocalSecrets, Some(&path)).find(&image.parse().unwrap()).await
    }

    fn shown(login: RegistryLogin) -> (String, String) {
        match login.identity {
            RegistryIdentity::User { name, password } => (name, password.expose_secret().to_owned()),
            RegistryIdentity::Token(token) => (String::new(), token.expose_secret().to_owned()),
        }
    }

    #[tokio::test]
    async fn logins_go_to_their_own_registry_only() {
        let auth = BASE64_STANDARD.encode("me:pass:word");
        let config = format!(
            r#"{{"auths":{{"registry.example:5000":{{"auth":"{auth}"}},"https://index.docker.io/v1/":{{"identitytoken":"tok"}}}}}}"#
        );
        let mine = find("registry.example:5000/a/b", &config).await.unwrap().map(shown);
        assert_eq!(mine, Some(("me".to_owned(), "pass:word".to_owned())));
        let hub = find("alpine:3", &config).await.unwrap().map(shown);
        assert_eq!(hub, Some((String::new(), "tok".to_owned())));
        for other in ["registry.example/a", "registry.example:5001/a", "evil.registry.example:5000/a"] {
            assert!(find(other, &config).await.unwrap().is_none(), "{other}");
        }
    }

    #[tokio::test]
    async fn a_helper_with_a_path_for_a_name_is_never_run() {
        let error = find("alpine", r#"{"credsStore":"../../bin/sh"}"#).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }

    #[tokio::test]
    async fn nothing_of_a_login_is_shown() {
        let auth = BASE64_STANDARD.encode("me:canary-77");
        let config = format!(r#"{{"auths":{{"a.b":{{"auth":"{auth}"}},"c.d":{{"identitytoken":"canary-78"}}}}}}"#);
        for image in ["a.b/x", "c.d/x"] {
            let login = find(image, &config).await.unwrap().unwrap();
            assert!(!format!("{login:?}").contains("canary"), "{image}");
        }
    }

    #[test]
    fn a_helpers_token_is_no_password() {
        let answer = HelperAnswer { username: TOKEN_USER.to_owned(), secret: "tok".to_owned() };
        assert!(matches!(from_answer(answer, "a.b".to_owned()).identity, RegistryIdentity::Token(_)));
    }
}
