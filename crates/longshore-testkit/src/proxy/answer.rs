//! An answer that the proxy gives in the server's place.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Frame,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue},
};

use super::{body::Body, line::Line};

/// A response made up by the proxy: an empty body unless one is given.
///
/// A bare [`StatusCode`] is an answer too, and so is a pair of a status and a message ([`Answer::message`]).
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    truncated_to: Option<usize>,
}

impl Answer {
    /// An answer without headers or body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), truncated_to: None }
    }

    /// An error as the Docker Engine words it: `{"message": "…"}`.
    #[must_use]
    pub fn message(status: StatusCode, message: &str) -> Self {
        Self::new(status)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(serde_json::json!({ "message": message }).to_string())
    }

    /// The page that a load balancer sends in place of the JSON that a client expects.
    #[must_use]
    pub fn html(status: StatusCode) -> Self {
        Self::new(status)
            .header(CONTENT_TYPE, HeaderValue::from_static("text/html"))
            .body(format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.append(name, value.into());
        self
    }

    /// Replaces the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Promises the whole body, sends this many bytes of it and closes the connection.
    #[must_use]
    pub fn truncated_to(mut self, bytes: usize) -> Self {
        self.truncated_to = Some(bytes);
        self
    }

    pub(super) fn response(&self, line: &Arc<Line>) -> Response<Body> {
        let body = match self.truncated_to {
            Some(bytes) if bytes < self.body.len() => truncated(self.body.slice(..bytes), line),
            _ => Full::new(self.body.clone()).boxed_unsync(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response.headers_mut().insert(CONTENT_LENGTH, self.body.len().into());
        response
    }
}

impl From<StatusCode> for Answer {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}

impl From<(StatusCode, &str)> for Answer {
    fn from((status, message): (StatusCode, &str)) -> Self {
        Self::message(status, message)
    }
}

fn truncated(part: Bytes, line: &Arc<Line>) -> Body {
    let frames = stream::once(async { Ok(Frame::data(part)) });
    BodyExt::boxed_unsync(StreamBody::new(frames.chain(stream::once(Arc::clone(line).hang_up()))))
}
