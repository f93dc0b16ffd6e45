//! Google's refusals as Longshore's errors. <https://cloud.google.com/apis/design/errors>

use longshore_core::{Error, ErrorKind};
use longshore_http::{Failure, Refusal};
use serde_json::Value;

/// Which settings of the host a refusal may be about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) project: &'a str,
    pub(crate) region: &'a str,
}

/// The error that a failed request comes to.
pub(crate) fn explained(failure: Failure, place: Place<'_>) -> Error {
    failure
        .explained(|refusal| refused(refusal, place))
        .with_context("project", place.project)
        .with_context("region", place.region)
}

/// A refusal, by Google's own code where there is one, otherwise by the HTTP status.
fn refused(refusal: &Refusal, place: Place<'_>) -> Error {
    let words = refusal.body.words("/error/message").unwrap_or_else(|| refusal.body.text().to_owned());
    let code = refusal.body.words("/error/status").unwrap_or_default();
    let details = Details::of(refusal);
    let kind = kind(&code, &words, &details).unwrap_or_else(|| refusal.usual_kind());
    let way_out = way_out(kind, &details, place);
    let said = if words.is_empty() { refusal.status.to_string() } else { words };
    let separator = if way_out.is_empty() { "" } else { "; " };
    let error = Error::new(kind, format!("{} was refused: {said}{separator}{way_out}", refusal.asked));
    match details.reason {
        Some(reason) => error.with_context("reason", reason),
        None => error,
    }
}

/// What `google.rpc.ErrorInfo` says.
#[derive(Debug, Default)]
struct Details {
    reason: Option<String>,
    permission: Option<String>,
    limit_unit: Option<String>,
}

impl Details {
    fn of(refusal: &Refusal) -> Self {
        let details = refusal.body.json().and_then(|json| json.pointer("/error/details")).and_then(Value::as_array);
        let info = details.into_iter().flatten().find(|detail| {
            detail.get("@type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("/google.rpc.ErrorInfo"))
        });
        let word = |pointer: &str| {
            let text = info?.pointer(pointer)?.as_str()?;
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '{' | '}');
            (text.len() <= 200 && text.chars().all(is_word)).then(|| text.to_owned())
        };
        Self {
            reason: word("/reason"),
            permission: word("/metadata/permission"),
            limit_unit: word("/metadata/quota_limit_unit").or_else(|| word("/metadata/quota_unit")),
        }
    }
}

fn kind(code: &str, words: &str, details: &Details) -> Option<ErrorKind> {
    Some(match code {
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" | "FAILED_PRECONDITION" => ErrorKind::Invalid,
        "UNAUTHENTICATED" => ErrorKind::Unauthenticated,
        "PERMISSION_DENIED" => ErrorKind::PermissionDenied,
        "NOT_FOUND" => ErrorKind::NotFound,
        "ALREADY_EXISTS" => ErrorKind::Conflict,
        // Two changes of one thing at the same moment.
        "ABORTED" | "UNAVAILABLE" | "INTERNAL" | "UNKNOWN" => ErrorKind::Unavailable,
        "DEADLINE_EXCEEDED" | "CANCELLED" => ErrorKind::Timeout,
        "UNIMPLEMENTED" => ErrorKind::Unsupported,
        "RESOURCE_EXHAUSTED" if is_about_a_rate(words, details) => ErrorKind::RateLimited,
        "RESOURCE_EXHAUSTED" => ErrorKind::Quota,
        _ => return None,
    })
}

/// A rate comes back by itself within its minute; a number of things does not.
fn is_about_a_rate(words: &str, details: &Details) -> bool {
    let words = words.to_ascii_lowercase();
    let unit = details.limit_unit.as_deref().unwrap_or_default();
    details.reason.as_deref() == Some("RATE_LIMIT_EXCEEDED")
        || unit.starts_with("1/min")
        || unit.starts_with("1/s")
        || ["per minute", "per second", "per 60 seconds", "rate limit", "too many requests"]
            .iter()
            .any(|it| words.contains(it))
}

fn way_out(kind: ErrorKind, details: &Details, place: Place<'_>) -> String {
    let Place { project, region } = place;
    match (kind, details.reason.as_deref()) {
        (_, Some("SERVICE_DISABLED")) => format!("enable it: `gcloud services enable run.googleapis.com logging.googleapis.com --project {project}`"),
        (_, Some("BILLING_DISABLED")) => format!("enable billing of the project {project}"),
        (_, Some("CONSUMER_INVALID" | "USER_PROJECT_DENIED")) => format!("is executor_config.project = {project:?} right?"),
        (ErrorKind::Unauthenticated, _) => "see executor_config.credentials: they are wrong, expired, or withdrawn".to_owned(),
        (ErrorKind::PermissionDenied, _) => match &details.permission {
            Some(permission) => format!("grant {permission} to the credentials' account, or see executor_config.project = {project:?} and region = {region:?}"),
            None => format!("grant roles/run.developer and roles/logging.viewer to the credentials' account, and roles/iam.serviceAccountUser on the jobs' service account; or see executor_config.project = {project:?} and region = {region:?}"),
        },
        (ErrorKind::Quota, _) => "ask Google for more (https://cloud.google.com/run/quotas), remove what is left over, or lower the host's max_concurrent_jobs".to_owned(),
        (ErrorKind::RateLimited, _) => "where this lasts, lower executor_config.quotas".to_owned(),
        (ErrorKind::NotFound, _) => format!("see executor_config.project = {project:?} and region = {region:?}"),
        _ => String::new(),
    }
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
