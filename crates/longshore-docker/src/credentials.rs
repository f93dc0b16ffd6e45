//! Credentials for an image's registry: the job's own, or those of Docker's configuration file.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bollard::auth::DockerCredentials;
use longshore_core::{Error, ErrorKind, ImageReference, RegistryCredentials, Result, SecretResolver};
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::{collections::HashMap, path::PathBuf, process::Stdio};
use tokio::{io::AsyncWriteExt, process::Command};

/// Docker's name for its own registry in configuration files.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

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

/// The job's own credentials, resolved.
pub(crate) async fn of_job(
    credentials: &RegistryCredentials,
    image: &ImageReference,
    secrets: &dyn SecretResolver,
) -> Result<DockerCredentials> {
    let value = secrets.resolve(&credentials.password).await?;
    let password = String::from_utf8(value.expose_secret().to_vec()).map_err(|_| {
        Error::new(
            ErrorKind::SecretUnavailable,
            format!("the registry password at {} is not text", credentials.password),
        )
    })?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    Ok(basic(credentials.username.clone(), password, &server(image)))
}

/// The credentials that the user of this machine has stored for the image's registry, if any. They are looked up
/// by the registry's exact name, so that none is ever sent to another host (containerd CVE-2020-15157).
pub(crate) async fn of_user(image: &ImageReference, path: Option<&PathBuf>) -> Result<Option<DockerCredentials>> {
    let Some(file) = read_file(path).await? else { return Ok(None) };
    let server = server(image);
    let helper = file.cred_helpers.get(&server).or(file.creds_store.as_ref());
    match helper {
        Some(helper) => from_helper(helper, &server).await,
        None => Ok(file.auths.get(&server).and_then(|stored| from_stored(stored, &server))),
    }
}

/// The registries for which the user of this machine has stored credentials, in order, each with the helper that keeps
/// them where there is one.
pub(crate) async fn registries(path: Option<&PathBuf>) -> Result<Vec<String>> {
    let file = read_file(path).await?.unwrap_or_default();
    let helped = file.cred_helpers.iter().map(|(server, helper)| format!("{server} by {helper}"));
    let store = file.creds_store.iter().map(|helper| format!("whatever {helper} keeps"));
    let mut registries: Vec<String> = file.auths.into_keys().chain(helped).chain(store).collect();
    registries.sort_unstable();
    Ok(registries)
}

/// Docker's configuration file; none where there is none.
async fn read_file(path: Option<&PathBuf>) -> Result<Option<DockerConfigFile>> {
    let Some(path) = path.cloned().or_else(default_file) else { return Ok(None) };
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

fn basic(username: String, password: String, server: &str) -> DockerCredentials {
    DockerCredentials {
        username: Some(username),
        password: Some(password),
        serveraddress: Some(server.to_owned()),
        ..DockerCredentials::default()
    }
}

fn from_stored(stored: &StoredAuth, server: &str) -> Option<DockerCredentials> {
    if let Some(token) = stored.identitytoken.as_ref().filter(|token| !token.is_empty()) {
        return Some(DockerCredentials {
            identitytoken: Some(token.clone()),
            serveraddress: Some(server.to_owned()),
            ..DockerCredentials::default()
        });
    }
    let decoded = BASE64_STANDARD.decode(stored.auth.as_ref()?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(basic(username.to_owned(), password.trim_matches('\0').to_owned(), server))
}

/// Asks a credential helper by Docker's protocol: the server's name on stdin, JSON on stdout
/// (<https://github.com/docker/docker-credential-helpers>).
async fn from_helper(helper: &str, server: &str) -> Result<Option<DockerCredentials>> {
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
    Ok(Some(basic(answer.username, answer.secret, server)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn look_up(image: &str, config: &str) -> Option<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        let found = of_user(&image.parse().unwrap(), Some(&path)).await.unwrap();
        found.map(|found| {
            (found.username.unwrap_or_default(), found.password.or(found.identitytoken).unwrap_or_default())
        })
    }

    #[tokio::test]
    async fn credentials_go_to_their_own_registry_only() {
        let auth = BASE64_STANDARD.encode("me:pass:word");
        let config = format!(
            r#"{{"auths":{{"registry.example:5000":{{"auth":"{auth}"}},"https://index.docker.io/v1/":{{"identitytoken":"tok"}}}}}}"#
        );
        assert_eq!(
            look_up("registry.example:5000/a/b", &config).await,
            Some(("me".to_owned(), "pass:word".to_owned()))
        );
        assert_eq!(look_up("alpine:3", &config).await, Some((String::new(), "tok".to_owned())));
        for other in ["registry.example/a", "registry.example:5001/a", "evil.registry.example:5000/a"] {
            assert_eq!(look_up(other, &config).await, None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_helper_with_a_path_for_a_name_is_never_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, r#"{"credsStore":"../../bin/sh"}"#).unwrap();
        let error = of_user(&"alpine".parse().unwrap(), Some(&path)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }
}
