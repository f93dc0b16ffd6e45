//! Tokens for Google's APIs.

use async_trait::async_trait;
use gcp_auth::{CustomServiceAccount, MetadataServiceAccount, TokenProvider};
use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, Result, SecretReference, SecretResolver};
use longshore_http::{AccessToken, Authority};
use secrecy::ExposeSecret;
use std::{fmt, sync::Arc};
use tokio::sync::Mutex;

use crate::config::Credentials;

/// What the tokens are good for (<https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs/create>).
const SCOPES: &[&str] = &["https://www.googleapis.com/auth/cloud-platform"];

/// Where the tokens of a host come from.
pub(crate) fn authority(credentials: &Credentials, secrets: &Arc<dyn SecretResolver>) -> Arc<dyn Authority> {
    match credentials {
        Credentials::Token(reference) => Arc::new(Given { reference: reference.clone(), secrets: Arc::clone(secrets) }),
        other => Arc::new(Google { credentials: other.clone(), provider: Mutex::default() }),
    }
}

/// A token that somebody else keeps fresh.
#[derive(Debug)]
struct Given {
    reference: SecretReference,
    secrets: Arc<dyn SecretResolver>,
}

#[async_trait]
impl Authority for Given {
    async fn token(&self, _: Option<&AccessToken>) -> Result<AccessToken> {
        let value = self.secrets.resolve(&self.reference).await.map_err(|error| {
            let message = format!("executor_config.credentials.token = {} can't be read", self.reference);
            Error::new(ErrorKind::Unauthenticated, message).with_source(error)
        })?;
        let text = std::str::from_utf8(value.expose_secret()).unwrap_or_default().trim();
        if text.is_empty() {
            let message = format!("executor_config.credentials.token = {} holds no token", self.reference);
            return Err(Error::new(ErrorKind::Unauthenticated, message));
        }
        Ok(AccessToken::new(text.to_owned(), None))
    }
}

/// Google's own ways to a token.
struct Google {
    credentials: Credentials,
    provider: Mutex<Option<Arc<dyn TokenProvider>>>,
}

impl fmt::Debug for Google {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Google").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Google {
    async fn provider(&self) -> Result<Arc<dyn TokenProvider>, gcp_auth::Error> {
        match &self.credentials {
            Credentials::ServiceAccountKey(path) => Ok(Arc::new(CustomServiceAccount::from_file(path)?)),
            Credentials::MetadataServer => Ok(Arc::new(MetadataServiceAccount::new().await?)),
            Credentials::Discovered | Credentials::Token(_) => gcp_auth::provider().await,
        }
    }

    fn explained(&self, error: &gcp_auth::Error) -> Error {
        let of = match &self.credentials {
            Credentials::ServiceAccountKey(path) => format!("the key in {}", path.display()),
            Credentials::MetadataServer => "the machine's metadata server".to_owned(),
            Credentials::Discovered | Credentials::Token(_) => "what was discovered".to_owned(),
        };
        // Causes are left out where they may quote a file or an answer that holds a credential.
        match error {
            gcp_auth::Error::NoAuthMethod(..) => Error::new(
                ErrorKind::Unauthenticated,
                "no Google credentials were found; set executor_config.credentials or GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
            ),
            gcp_auth::Error::Http(..) | gcp_auth::Error::Other("HTTP request failed", _) => {
                Error::new(ErrorKind::Unavailable, format!("no token could be fetched with {of}: nobody answered"))
            }
            gcp_auth::Error::Io(what, cause) => {
                let message = format!("no token with {of} (executor_config.credentials): {what}: {}", cause.kind());
                Error::new(ErrorKind::Unauthenticated, message)
            }
            gcp_auth::Error::Json(what, _) | gcp_auth::Error::Other(what, _) | gcp_auth::Error::Str(what) => {
                Error::new(
                    ErrorKind::Unauthenticated,
                    format!("no token with {of} (executor_config.credentials): {what}"),
                )
            }
        }
    }
}

#[async_trait]
impl Authority for Google {
    async fn token(&self, refused: Option<&AccessToken>) -> Result<AccessToken> {
        let mut provider = self.provider.lock().await;
        if refused.is_some() {
            // It keeps its token until that ends by its own clock; a new one has none.
            *provider = None;
        }
        let known = match &*provider {
            Some(known) => Arc::clone(known),
            None => {
                let found = self.provider().await.map_err(|error| self.explained(&error))?;
                Arc::clone(provider.insert(found))
            }
        };
        let token = known.token(SCOPES).await.map_err(|error| self.explained(&error))?;
        let ends = Timestamp::from_second(token.expires_at().timestamp()).ok();
        Ok(AccessToken::new(token.as_str().to_owned(), ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::LocalSecrets;
    use std::io::Write;

    fn local() -> Arc<dyn SecretResolver> {
        Arc::new(LocalSecrets)
    }

    #[tokio::test]
    async fn a_given_token_is_read_anew_each_time() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "first").unwrap();
        let reference = format!("file:{}", file.path().display()).parse().unwrap();
        let given = authority(&Credentials::Token(reference), &local());
        let first = given.token(None).await.unwrap();
        assert!(first.is_same_as(&AccessToken::new("first".to_owned(), None)));
        std::fs::write(file.path(), "second\n").unwrap();
        assert!(!given.token(Some(&first)).await.unwrap().is_same_as(&first));
        std::fs::write(file.path(), "\n").unwrap();
        let error = given.token(None).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Unauthenticated && error.to_string().contains("credentials.token"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_key_that_is_none_is_told_without_quoting_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"private_key": "s3cret", "type": 7}"#).unwrap();
        for path in [file.path().to_owned(), "/no/such/key.json".into()] {
            let google = authority(&Credentials::ServiceAccountKey(path.clone()), &local());
            let error = google.token(None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            let told = format!("{error:?} {google:?}");
            assert!(told.contains("executor_config.credentials") && told.contains(&*path.to_string_lossy()), "{told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
