//! One request, and whether it may be sent twice.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

use crate::{Client, Failure, RateLimit, Reply, send::Sending};
use bytes::Bytes;
use longshore_core::{Error, ErrorKind};

/// Whether sending a request twice is the same as sending it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// It is: the request only asks, or sets what it sets whatever was there.
    Idempotent,
    /// It is not: after an ambiguous answer somebody has to look.
    Once,
}

/// A request that is being put together. Nothing is sent before [`json`](Self::json) or [`reply`](Self::reply).
#[derive(Debug)]
#[must_use = "a request is sent by `json` or `reply`"]
pub struct Request<'a> {
    pub(crate) client: &'a Client,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Result<Option<Bytes>, String>,
    pub(crate) idempotency: Idempotency,
    pub(crate) time: Duration,
    pub(crate) sent_before: Timestamp,
    pub(crate) most_bytes: usize,
    pub(crate) limit: Option<&'a RateLimit>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(client: &'a Client, method: Method, path: String) -> Self {
        let idempotency = match method {
            Method::POST | Method::PATCH => Idempotency::Once,
            _ => Idempotency::Idempotent,
        };
        let (time, most_bytes) = (client.time(), client.most_bytes());
        let (query, body, sent_before, limit) = (Vec::new(), Ok(None), Timestamp::MAX, None);
        Self { client, method, path, query, body, idempotency, time, sent_before, most_bytes, limit }
    }

    /// The same with one more pair in the query.
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// The same with one more pair in the query, where there is a value.
    pub fn maybe_query(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// The same with a body of JSON.
    pub fn body(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).map(|bytes| Some(bytes.into())).map_err(|error| error.to_string());
        self
    }

    /// The same, said to be idempotent or not. By default POST and PATCH are not, and everything else is.
    pub const fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// The same, with so much time for everything: waiting for the rate limit, all tries, all pauses.
    pub const fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The same, with nothing sent at this moment or later, however long the rate limit or a token is waited for.
    pub const fn sent_before(mut self, deadline: Timestamp) -> Self {
        self.sent_before = deadline;
        self
    }

    /// The same, with an answer of so many bytes at most.
    pub const fn most_bytes(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// The same, counted by one more rate limit than the client's own.
    pub const fn limited_by(mut self, limit: &'a RateLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sends it, as often as its idempotency allows, and reads the answer as JSON.
    ///
    /// Cancellation: what was sent may take effect after this is dropped.
    ///
    /// # Errors
    /// [`Failure`], which says whether the request may have had an effect.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Failure> {
        self.send(|reply| serde_json::from_slice(&reply.body).map_err(|error| not_json(&reply, &error))).await
    }

    /// Sends it, as often as its idempotency allows, and returns the answer unread.
    ///
    /// Cancellation: what was sent may take effect after this is dropped.
    ///
    /// # Errors
    /// As [`json`](Self::json).
    pub async fn reply(self) -> Result<Reply, Failure> {
        self.send(Ok).await
    }

    async fn send<T>(self, read: impl Fn(Reply) -> Result<T, String>) -> Result<T, Failure> {
        if let Err(why) = &self.body {
            let message = format!("the body of {} {} can't be written: {why}", self.method, self.path);
            return Err(Failure::Unsent(Error::new(ErrorKind::Unexpected, message)));
        }
        Sending::new(&self).run(read).await
    }
}

/// What does not parse is described and not quoted: it may hold what nobody may see.
fn not_json(reply: &Reply, error: &serde_json::Error) -> String {
    let start = reply.body.trim_ascii_start();
    if start.starts_with(b"<") {
        return "a page of HTML or XML in place of JSON".to_owned();
    }
    format!(
        "{} bytes that are not the JSON that is documented (line {}, column {})",
        reply.body.len(),
        error.line(),
        error.column()
    )
}
