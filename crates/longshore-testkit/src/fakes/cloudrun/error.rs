//! Errors as Google's APIs word them: a `google.rpc.Status` in an envelope.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::time::Duration;

use crate::Answer;

/// The codes of `google.rpc.Code` that the fake answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    Internal,
    Unauthenticated,
}

impl Code {
    /// Its number, its name, and the HTTP status that it has in an answer (`google/rpc/code.proto`).
    const fn facts(self) -> (i32, &'static str, u16) {
        match self {
            Self::Unknown => (2, "UNKNOWN", 500),
            Self::InvalidArgument => (3, "INVALID_ARGUMENT", 400),
            Self::DeadlineExceeded => (4, "DEADLINE_EXCEEDED", 504),
            Self::NotFound => (5, "NOT_FOUND", 404),
            Self::AlreadyExists => (6, "ALREADY_EXISTS", 409),
            Self::PermissionDenied => (7, "PERMISSION_DENIED", 403),
            Self::ResourceExhausted => (8, "RESOURCE_EXHAUSTED", 429),
            Self::FailedPrecondition => (9, "FAILED_PRECONDITION", 400),
            Self::Aborted => (10, "ABORTED", 409),
            Self::Internal => (13, "INTERNAL", 500),
            Self::Unauthenticated => (16, "UNAUTHENTICATED", 401),
        }
    }

    pub(crate) const fn number(self) -> i32 {
        self.facts().0
    }
}

/// A request that is refused, or an operation that has failed.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    code: Code,
    message: String,
    details: Vec<Value>,
    retry_after: Option<Duration>,
}

/// A field that breaks a rule, in the names of the protocol's own language: `job.template.task_count`.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) field: String,
    pub(crate) rule: String,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new(), retry_after: None }
    }

    /// What breaks a rule of a request, field by field.
    pub(crate) fn invalid(violations: &[Violation]) -> Self {
        let lines: Vec<&str> = violations.iter().map(|violation| violation.rule.as_str()).collect();
        let listed = violations.iter().map(|it| json!({ "field": it.field, "description": it.rule }));
        Self::new(Code::InvalidArgument, lines.join("\n")).with_detail(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": listed.collect::<Vec<_>>(),
        }))
    }

    /// A rule that a field breaks.
    pub(crate) fn field(field: &str, rule: impl Into<String>) -> Self {
        let rule = format!("{field}: {}", rule.into());
        Self::invalid(&[Violation { field: field.to_owned(), rule }])
    }

    #[must_use]
    pub(crate) fn with_detail(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    /// Adds why, in the form that programs read.
    #[must_use]
    pub(crate) fn with_reason(self, reason: &str, domain: &str, metadata: &Value) -> Self {
        self.with_detail(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason, "domain": domain, "metadata": metadata,
        }))
    }

    #[must_use]
    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The `google.rpc.Status` of a failed operation or attempt.
    pub(crate) fn status(&self) -> Value {
        json!({ "code": self.code.number(), "message": self.message })
    }

    fn envelope(&self) -> Value {
        let (_, status, http) = self.code.facts();
        envelope(http, status, &self.message, &self.details)
    }
}

fn envelope(http: u16, status: &str, message: &str, details: &[Value]) -> Value {
    let mut error = json!({ "code": http, "message": message, "status": status });
    if !details.is_empty() {
        error["details"] = details.into();
    }
    json!({ "error": error })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (_, _, http) = self.code.facts();
        let mut response = json_response(http, &self.envelope(), true);
        if self.code == Code::Unauthenticated {
            let challenge = HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        response
    }
}

/// An answer in JSON, as Google's front end sends it: to be read by people, unless asked otherwise.
pub(crate) fn json_response(status: u16, body: &Value, pretty: bool) -> Response {
    let bytes = if pretty { serde_json::to_vec_pretty(body) } else { serde_json::to_vec(body) };
    let mut response = Response::new(Body::from(bytes.unwrap_or_default()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The page that Google's front end sends for a path that no API has.
pub(crate) fn no_such_url(path: &str) -> Response {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=en>\n  <title>Error 404 (Not Found)!!1</title>\n  <p><b>404.</b> <ins>That's an \
         error.</ins>\n  <p>The requested URL <code>{path}</code> was not found on this server.\n"
    );
    let kind = HeaderValue::from_static("text/html; charset=UTF-8");
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, kind)], page).into_response()
}

/// An error as Google's APIs word it, for a [`Fault`](crate::Fault) of the proxy in front of a fake: `status` is the
/// code's name, such as `UNAVAILABLE`.
#[must_use]
pub fn google_error(http: StatusCode, status: &str, message: &str) -> Answer {
    let kind = HeaderValue::from_static("application/json; charset=UTF-8");
    let body = envelope(http.as_u16(), status, message, &[]);
    Answer::new(http).header(header::CONTENT_TYPE, kind).body(format!("{body:#}\n"))
}
