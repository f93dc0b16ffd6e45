//! A registry's refusals as Longshore's errors.
//!
//! The codes are those of <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>. What
//! the registry says about an image is the image's fault, and stays so, whichever host asks; the same words and kinds
//! as the Docker executor's, so that a job ends alike on both.

use longshore_core::{Advice, Error, ErrorKind};
use oci_client::errors::{DigestError, OciDistributionError as ClientError, OciErrorCode};
use std::io;

/// Who was asked for what.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The image, as its user names it.
    pub(super) image: String,
    /// The registry's host and port.
    pub(super) registry: String,
    /// True when a login was sent along.
    pub(super) with_login: bool,
}

/// The longest text of a registry's that is shown.
const LONGEST: usize = 300;

impl Asked {
    /// What the client's error means. Addresses are never shown: a redirected one may carry a signature.
    pub(super) fn failed(&self, error: ClientError) -> Error {
        match error {
            ClientError::UnauthorizedError { .. } => self.refused(),
            ClientError::AuthenticationFailure(reason) => self.no_token(&reason),
            ClientError::RegistryError { envelope, .. } => {
                let words = envelope.errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ");
                self.answered(status_of(envelope.errors.first().map(|error| &error.code)), &words)
            }
            ClientError::ServerError { code, message, .. } => self.answered(code, &message),
            ClientError::ImageManifestNotFoundError(words) => self.answered(404, &words),
            ClientError::DigestError(_) => self.wrong_content(),
            ClientError::RequestError(error) if error.is_timeout() => {
                self.error(ErrorKind::Timeout, "the registry did not answer in time").with_source(error.without_url())
            }
            ClientError::RequestError(error) => {
                let what = if error.is_connect() { "the registry can't be reached" } else { CUT };
                self.error(ErrorKind::Unavailable, what).with_source(error.without_url())
            }
            ClientError::IoError(error) => self.cut(&error),
            other => self.error(ErrorKind::ImageUnavailable, "the registry's answer can't be used").with_source(other),
        }
    }

    /// What became of a blob's bytes on their way.
    pub(super) fn cut(&self, error: &io::Error) -> Error {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<DigestError>());
        if inner.is_some() {
            return self.wrong_content();
        }
        self.error(ErrorKind::Unavailable, CUT)
    }

    /// The content is not what its digest promises.
    pub(super) fn wrong_content(&self) -> Error {
        self.error(ErrorKind::ImageUnavailable, "the registry sends content that its digest does not promise")
    }

    /// The image can't be used, for a reason that the registry's answer gives.
    pub(super) fn unusable(&self, why: impl std::fmt::Display) -> Error {
        self.error(ErrorKind::ImageUnavailable, &format!("the image can't be used: {why}"))
    }

    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, message)
            .with_operation("pull")
            .with_context("image", &self.image)
            .with_context("registry", &self.registry)
    }

    fn refused(&self) -> Error {
        let words = if self.with_login {
            "the registry refuses the login, or does not let it have the image"
        } else {
            "the registry has no such image, or wants a login for it; none is stored, and the job gives none"
        };
        self.error(ErrorKind::ImageUnavailable, words)
    }

    /// The registry's token service has not answered with a token; its status is lost, its words are not.
    fn no_token(&self, reason: &str) -> Error {
        let lower = reason.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&["toomanyrequests", "too many requests"]) {
            return self.answered(429, reason);
        }
        if says(&["unauthorized", "denied", "incorrect", "forbidden", "authentication required"]) {
            return self.refused();
        }
        self.error(ErrorKind::ImageUnavailable, &with_words("the registry's token service gives no token", reason))
            .with_advice(Advice::Temporary)
    }

    fn answered(&self, status: u16, words: &str) -> Error {
        match status {
            401 | 403 => self.refused(),
            404 => self.error(ErrorKind::ImageUnavailable, &with_words("the registry has no such image", words)),
            429 => self.error(ErrorKind::RateLimited, &with_words("the registry refuses for now", words)),
            408 | 500..=599 => {
                self.error(ErrorKind::Unavailable, &with_words(&format!("the registry answered {status}"), words))
            }
            _ => {
                self.error(ErrorKind::ImageUnavailable, &with_words(&format!("the registry answered {status}"), words))
            }
        }
    }
}

const CUT: &str = "the connection to the registry was cut";

/// The status that goes with a code of the specification's; the client keeps the code only.
fn status_of(code: Option<&OciErrorCode>) -> u16 {
    match code {
        Some(OciErrorCode::Unauthorized) => 401,
        Some(OciErrorCode::Denied) => 403,
        Some(
            OciErrorCode::BlobUnknown
            | OciErrorCode::ManifestBlobUnknown
            | OciErrorCode::ManifestUnknown
            | OciErrorCode::NameUnknown
            | OciErrorCode::NotFound,
        ) => 404,
        Some(OciErrorCode::Toomanyrequests) => 429,
        _ => 400,
    }
}

/// A sentence with somebody else's words after it, cut and without what could steer a terminal.
fn with_words(sentence: &str, words: &str) -> String {
    let words: String = words.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if words.is_empty() { sentence.to_owned() } else { format!("{sentence}: {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_client::errors::OciEnvelope;

    fn failed(error: ClientError, with_login: bool) -> Error {
        let asked = Asked { image: "r.example/a:1".to_owned(), registry: "r.example".to_owned(), with_login };
        asked.failed(error)
    }

    fn envelope(text: &str) -> ClientError {
        let envelope: OciEnvelope = serde_json::from_str(text).unwrap();
        ClientError::RegistryError { envelope, url: "https://cdn.example/x?signature=canary".to_owned() }
    }

    fn server(code: u16) -> ClientError {
        let url = "https://cdn.example/x?signature=canary".to_owned();
        ClientError::ServerError { code, url, message: "<html>\x1b[2J".to_owned() }
    }

    #[test]
    fn refusals_have_the_kinds_that_callers_act_on() {
        use {Advice::*, ErrorKind::*};
        let cases = [
            (
                envelope(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#),
                ImageUnavailable,
                Permanent,
            ),
            (envelope(r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#), ImageUnavailable, Permanent),
            (envelope(r#"{"errors":[{"code":"DENIED","message":"no"}]}"#), ImageUnavailable, Permanent),
            (envelope(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow"}]}"#), RateLimited, Temporary),
            (envelope(r#"{"errors":[]}"#), ImageUnavailable, Permanent),
            (server(404), ImageUnavailable, Permanent),
            (server(429), RateLimited, Temporary),
            (server(502), Unavailable, Temporary),
            (ClientError::UnauthorizedError { url: "canary".to_owned() }, ImageUnavailable, Permanent),
            (
                ClientError::AuthenticationFailure("incorrect username or password".to_owned()),
                ImageUnavailable,
                Permanent,
            ),
            (ClientError::AuthenticationFailure("TOOMANYREQUESTS".to_owned()), RateLimited, Temporary),
            (ClientError::AuthenticationFailure("<html>bad gateway".to_owned()), ImageUnavailable, Temporary),
        ];
        for (given, kind, advice) in cases {
            let shown = given.to_string();
            let error = failed(given, false);
            assert_eq!((error.kind(), error.advice()), (kind, advice), "{shown}");
            let text = format!("{error:?}");
            assert!(text.contains("r.example/a:1") && !text.contains("canary") && !text.contains('\x1b'), "{text}");
        }
    }

    #[test]
    fn a_refused_login_is_told_from_a_missing_one() {
        let refusal = || ClientError::UnauthorizedError { url: String::new() };
        assert!(failed(refusal(), true).message().contains("refuses the login"));
        assert!(failed(refusal(), false).message().contains("wants a login"));
    }
}
