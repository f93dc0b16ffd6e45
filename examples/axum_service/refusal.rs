//! What becomes of an error over HTTP.

use axum::{
    Json,
    extract::rejection::JsonRejection,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use longshore::{Error, ErrorKind, Violation};
use serde::Serialize;

/// Why a request is refused, for people.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    error: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// The kind decides, never the words.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid | ErrorKind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Capacity | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, error: error.chain() }
    }
}

/// An id that is none.
impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: violation.to_string() }
    }
}

/// A body that is no template: 400, 413, 415 or 422, naming the field.
impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self { status: rejection.status(), error: rejection.body_text() }
    }
}
