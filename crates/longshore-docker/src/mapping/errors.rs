//! The engine's refusals as Longshore's errors.

use bollard::errors::Error as DockerError;
use longshore_core::{Advice, Error, ErrorKind};
use std::{error::Error as StdError, io};
use tokio_rustls::rustls::{AlertDescription, Error as TlsError};

use crate::transport::Endpoint;

/// What an answer of the engine, or the lack of one, means. Whether the effect may have happened is for the
/// caller to say, who knows what was asked.
pub(crate) fn from_bollard(error: DockerError, endpoint: &Endpoint) -> Error {
    match error {
        DockerError::DockerResponseServerError { status_code, message } => {
            Error::new(kind_of_answer(status_code, &message), refusal(status_code, &message))
                .with_context("engine", endpoint)
        }
        DockerError::RequestTimeoutError => {
            Error::new(ErrorKind::Timeout, "the engine did not answer in time").with_context("engine", endpoint)
        }
        DockerError::HyperLegacyError { err } => lost(if err.is_connect() { UNREACHABLE } else { CUT }, err, endpoint),
        DockerError::HyperResponseError { err } => lost(CUT, err, endpoint),
        DockerError::IOError { err } => lost(CUT, err, endpoint),
        other => Error::new(ErrorKind::Unexpected, "the engine's answer can't be read")
            .with_context("engine", endpoint)
            .with_source(other),
    }
}

const UNREACHABLE: &str = "no engine can be reached";
const CUT: &str = "the connection to the engine was cut";
const DISTRUSTED: &str = "one side's TLS certificate is not accepted by the other; see ca, cert and key of the host's tls section, or DOCKER_CERT_PATH";

/// What a server says that does not accept a client's certificate (RFC 8446, section 6.2).
const CERTIFICATE_ALERTS: [AlertDescription; 9] = [
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::CertificateRequired,
    AlertDescription::DecryptError,
];

fn lost(message: &str, error: impl StdError + Send + Sync + 'static, endpoint: &Endpoint) -> Error {
    let mapped = if is_distrust(&error) {
        Error::new(ErrorKind::Unauthenticated, DISTRUSTED)
    } else {
        Error::new(ErrorKind::Unavailable, message)
    };
    mapped.with_context("engine", endpoint).with_source(error)
}

/// True when a certificate is at fault: ours in the engine's eyes, or the engine's in ours. Under TLS 1.3 the first
/// shows only in the answer to the first request, which the engine has not read then.
fn is_distrust(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match inner.and_then(|inner| inner.downcast_ref()) {
            Some(TlsError::InvalidCertificate(_)) => return true,
            Some(TlsError::AlertReceived(alert)) => return CERTIFICATE_ALERTS.contains(alert),
            _ => cause = error.source(),
        }
    }
    false
}

/// True when nothing can have been sent: there was no connection to send it on.
pub(crate) fn was_never_sent(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable && error.message() == UNREACHABLE
}

/// The same error where the effect may have happened although the answer says nothing about it.
pub(crate) fn may_have_happened(error: Error) -> Error {
    let open = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Unexpected);
    if open && !was_never_sent(&error) { error.with_advice(Advice::LookUpFirst) } else { error }
}

/// What Podman says with 500 where Docker says 409 (measured on Podman 4.3).
const CONFLICTS: [&str; 2] = ["is already in use", "container state improper"];

fn kind_of_answer(status: u16, message: &str) -> ErrorKind {
    match status {
        500 if CONFLICTS.iter().any(|words| message.contains(words)) => ErrorKind::Conflict,
        400 => ErrorKind::Invalid,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited,
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Unexpected,
    }
}

fn refusal(status: u16, message: &str) -> String {
    let message = message.trim();
    if message.is_empty() {
        format!("the engine answered {status} without a reason")
    } else {
        format!("the engine answered {status}: {message}")
    }
}

/// True when the engine has said that a start failed, rather than that something went wrong while it was asked:
/// Podman says so with 500, and with the runtime's words (measured on Podman 4.3).
pub(crate) fn is_refused_start(error: &Error) -> bool {
    let refused = [ErrorKind::Invalid, ErrorKind::NotFound, ErrorKind::Conflict, ErrorKind::PermissionDenied];
    let message = error.message().to_ascii_lowercase();
    refused.contains(&error.kind()) || message.contains("oci runtime") || message.contains("runc create failed")
}

/// Why a created container could not be started, from the engine's words: its status code is 400, 404 or 500
/// for any reason (measured on Engine 20.10), and Docker's own client tells them apart by the same words. `None` when they
/// don't tell that nothing was started: the engine then lost its own runtime in the middle, and says the same of a program
/// that has not begun as of one that runs to its end.
pub(crate) fn from_failed_start(message: &str) -> Option<ErrorKind> {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let kind = if says(&RUNTIME) {
        if says(&["executable file not found", "no such file or directory", "system cannot find the file"]) {
            ErrorKind::CommandNotFound
        } else if says(&["permission denied", "exec format error", "is a directory"]) {
            ErrorKind::CommandNotExecutable
        } else {
            ErrorKind::StartFailed
        }
    } else if says(&CUT_OFF) {
        return None;
    } else if says(&["libnetwork.", "database not open"]) {
        // An engine that is ending has closed its own files: nothing was tried, and another day it will be.
        ErrorKind::Unavailable
    } else {
        ErrorKind::StartFailed
    };
    Some(kind)
}

/// By these the runtime itself is known to speak: only its words are about the program.
const RUNTIME: [&str; 5] = ["oci runtime", "runc create failed", "crun:", "exec:", "executable file not found"];

/// What an engine says that was cut off from its runtime (recorded from Engine 20.10 whose containerd was killed; the words
/// are gRPC's, ttrpc's and Go's).
const CUT_OFF: [&str; 9] = [
    "transport is closing",
    "connection error",
    "connection refused",
    "connection reset",
    "broken pipe",
    "ttrpc",
    "context canceled",
    "deadline exceeded",
    ": unavailable",
];

/// A failed pull: fatal where the registry has spoken, temporary where it has not.
pub(crate) fn from_pull(error: DockerError, endpoint: &Endpoint) -> Error {
    let (status, message) = match &error {
        DockerError::DockerStreamError { error } => (None, error.clone()),
        DockerError::DockerResponseServerError { status_code, message } => (Some(*status_code), message.clone()),
        _ => return from_bollard(error, endpoint).with_operation("pull"),
    };
    let lower = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let image = |advice| {
        Error::new(ErrorKind::ImageUnavailable, format!("the image can't be pulled: {}", message.trim()))
            .with_advice(advice)
    };
    let mapped = if status == Some(429) || says(&["toomanyrequests", "too many requests"]) {
        Error::new(ErrorKind::RateLimited, format!("the registry refuses for now: {}", message.trim()))
    } else if says(&[
        "not found",
        "manifest unknown",
        "access denied",
        "unauthorized",
        "no basic auth",
        "denied:",
        "does not exist",
        "no matching manifest",
    ]) {
        image(Advice::Permanent)
    } else {
        image(Advice::Temporary)
    };
    mapped.with_operation("pull")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::Unix("/run/test.sock".into())
    }

    fn answered(status_code: u16, message: &str) -> Error {
        from_bollard(DockerError::DockerResponseServerError { status_code, message: message.to_owned() }, &endpoint())
    }

    #[test]
    fn a_refusal_names_the_engine_and_its_words() {
        let error = answered(409, "Conflict. The container name \"/ls-1\" is already in use");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(
            error.to_string(),
            "the engine answered 409: Conflict. The container name \"/ls-1\" is already in use (engine unix:///run/test.sock)"
        );
    }

    #[test]
    fn only_open_answers_may_have_happened() {
        assert_eq!(may_have_happened(answered(500, "boom")).advice(), Advice::LookUpFirst);
        assert_eq!(
            may_have_happened(from_bollard(DockerError::RequestTimeoutError, &endpoint())).advice(),
            Advice::LookUpFirst
        );
        assert_eq!(may_have_happened(answered(400, "bad")).advice(), Advice::Permanent);
        let unsent = lost(UNREACHABLE, io::Error::from(io::ErrorKind::ConnectionRefused), &endpoint());
        assert_eq!(may_have_happened(unsent).advice(), Advice::Temporary);
    }

    /// Messages recorded from Engine 20.10.
    #[test]
    fn failed_starts_are_told_apart() {
        let not_found = r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory: unknown"#;
        let not_executable = r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/etc": permission denied: unknown"#;
        let not_on_path = r#"exec: "nope": executable file not found in $PATH: unknown"#;
        let ending = "failed to update store for object type *libnetwork.endpoint: open : no such file or directory";
        for (words, kind) in [
            (not_found, ErrorKind::CommandNotFound),
            (not_on_path, ErrorKind::CommandNotFound),
            (not_executable, ErrorKind::CommandNotExecutable),
            ("cannot set memory limit", ErrorKind::StartFailed),
            ("error while mounting volume: no such file or directory", ErrorKind::StartFailed),
            (ending, ErrorKind::Unavailable),
        ] {
            assert_eq!(from_failed_start(words), Some(kind), "{words}");
        }
    }

    /// Messages recorded from Engine 20.10 whose containerd was killed during starts. Of two containers with the first, one
    /// had not run, and one had run to its end.
    #[test]
    fn a_start_in_which_the_engine_lost_its_runtime_is_open() {
        for words in [
            "transport is closing: unavailable",
            "failed to retrieve spec: transport is closing: unavailable",
            r#"connection error: desc = "transport: Error while dialing dial unix /run/containerd.sock: connect: connection refused": unavailable"#,
            r#"connection error: desc = "transport: Error while dialing dial unix /run/containerd.sock: connect: no such file or directory": unavailable"#,
        ] {
            assert_eq!(from_failed_start(words), None, "{words}");
            assert!(!is_refused_start(&answered(500, words)), "{words}");
        }
    }

    /// Answers recorded from Podman 4.3.
    #[test]
    fn podman_says_with_500_what_docker_says_otherwise() {
        for words in [
            "container create: creating container storage: the container name \"ls-1\" is already in use by 4f0c.",
            "cannot remove container 4f0c as it is running - running or paused containers cannot be removed without force: container state improper",
            "can only kill running containers. 4f0c is in state exited: container state improper",
        ] {
            assert_eq!(answered(500, words).kind(), ErrorKind::Conflict, "{words}");
        }
        let not_found = "runc: runc create failed: unable to start container process: exec: \"/nope\": stat /nope: no such file or directory: OCI runtime attempted to invoke a command that was not found";
        assert!(is_refused_start(&answered(500, not_found)));
        assert_eq!(from_failed_start(not_found), Some(ErrorKind::CommandNotFound));
        assert!(!is_refused_start(&answered(500, "boom")));
        assert_eq!(answered(500, "boom").kind(), ErrorKind::Unavailable);
    }

    /// Messages recorded from Engine 20.10 and from registries.
    #[test]
    fn fatal_and_transient_pulls_are_told_apart() {
        let pull = |message: &str| from_pull(DockerError::DockerStreamError { error: message.to_owned() }, &endpoint());
        for fatal in [
            "manifest for registry.example/a:1 not found: manifest unknown: manifest unknown",
            "pull access denied for nope, repository does not exist or may require 'docker login'",
            "unauthorized: authentication required",
            "no matching manifest for linux/arm64 in the manifest list entries",
        ] {
            assert_eq!(
                (pull(fatal).kind(), pull(fatal).advice()),
                (ErrorKind::ImageUnavailable, Advice::Permanent),
                "{fatal}"
            );
        }
        for transient in [
            "Get \"https://registry.example/v2/\": dial tcp: i/o timeout",
            "received unexpected HTTP status: 502 Bad Gateway",
        ] {
            assert_eq!(
                (pull(transient).kind(), pull(transient).advice()),
                (ErrorKind::ImageUnavailable, Advice::Temporary),
                "{transient}"
            );
        }
        assert_eq!(pull("toomanyrequests: You have reached your pull rate limit.").kind(), ErrorKind::RateLimited);
    }
}
