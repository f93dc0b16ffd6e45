//! A client of one API of one account.

use longshore_core::{Clock, Error, ErrorKind, Result};
use reqwest::{Method, Url, redirect};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{Authority, AuthorityScheme, RateLimit, Request, Retries, Traffic, auth::Tokens, traffic::Counters};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// A client of one API of one account. Cheap to clone; clones share connections, token and counters.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    base: String,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    tokens: Option<Tokens>,
    scheme: AuthorityScheme,
    limit: Option<Arc<RateLimit>>,
    retries: Retries,
    time: Duration,
    time_of_a_try: Duration,
    most_bytes: usize,
    chance: Mutex<fastrand::Rng>,
    counters: Counters,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.0.base).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the API at the given address, which may have a path. It is not asked yet.
    ///
    /// # Errors
    /// `Invalid` when the address is no `https://` address, and no `http://` one of a loopback address.
    pub fn builder(base: &str, clock: Arc<dyn Clock>) -> Result<ClientBuilder> {
        let base = check(base)?;
        Ok(ClientBuilder {
            base,
            clock,
            authority: None,
            scheme: AuthorityScheme::default(),
            limit: None,
            retries: Retries::default(),
            time: Duration::from_secs(90),
            time_of_a_try: Duration::from_secs(30),
            most_bytes: 8 << 20,
            seed: None,
        })
    }

    /// A GET, idempotent.
    pub fn get(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::GET, path.into())
    }

    /// A POST, not idempotent unless it says so.
    pub fn post(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::POST, path.into())
    }

    /// A PUT, idempotent.
    pub fn put(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::PUT, path.into())
    }

    /// A PATCH, not idempotent unless it says so.
    pub fn patch(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::PATCH, path.into())
    }

    /// A DELETE, idempotent.
    pub fn delete(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::DELETE, path.into())
    }

    /// The API's address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// What has gone over the wire so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.0.counters.read()
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.0.clock.as_ref()
    }

    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        self.0.tokens.as_ref()
    }

    pub(crate) fn scheme(&self) -> &AuthorityScheme {
        &self.0.scheme
    }

    pub(crate) fn limit(&self) -> Option<&RateLimit> {
        self.0.limit.as_deref()
    }

    pub(crate) fn retries(&self) -> Retries {
        self.0.retries
    }

    pub(crate) fn time(&self) -> Duration {
        self.0.time
    }

    pub(crate) fn time_of_a_try(&self) -> Duration {
        self.0.time_of_a_try
    }

    pub(crate) fn most_bytes(&self) -> usize {
        self.0.most_bytes
    }

    pub(crate) fn chance(&self) -> f64 {
        self.0.chance.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }
}

/// A [`Client`] that is being put together.
#[derive(Debug)]
#[must_use = "a client is made by `build`"]
pub struct ClientBuilder {
    base: String,
    clock: Arc<dyn Clock>,
    authority: Option<Arc<dyn Authority>>,
    scheme: AuthorityScheme,
    limit: Option<Arc<RateLimit>>,
    retries: Retries,
    time: Duration,
    time_of_a_try: Duration,
    most_bytes: usize,
    seed: Option<u64>,
}

impl ClientBuilder {
    /// The same with tokens from this authority, sent by this scheme.
    pub fn authorized_by(mut self, authority: Arc<dyn Authority>, scheme: AuthorityScheme) -> Self {
        (self.authority, self.scheme) = (Some(authority), scheme);
        self
    }

    /// The same, with every request counted by this limit.
    pub fn limited_by(mut self, limit: Arc<RateLimit>) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The same with these retries of idempotent requests.
    pub const fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// The same, with so much time for one request in all, and for each of its tries.
    pub const fn with_times(mut self, in_all: Duration, a_try: Duration) -> Self {
        (self.time, self.time_of_a_try) = (in_all, a_try);
        self
    }

    /// The same, with answers of so many bytes at most.
    pub const fn with_most_bytes(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// The same with the seed of its jitter, so that a failure replays.
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// `Unavailable` when this machine's TLS roots can't be read.
    pub fn build(self) -> Result<Client> {
        let http = reqwest::Client::builder()
            // A redirect would carry the token to somebody else.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "no HTTP client can be made on this machine").with_source(error)
            })?;
        let clock = self.clock;
        Ok(Client(Arc::new(Inner {
            base: self.base,
            http,
            tokens: self.authority.map(|authority| Tokens::new(authority, Arc::clone(&clock))),
            clock,
            scheme: self.scheme,
            limit: self.limit,
            retries: self.retries,
            time: self.time,
            time_of_a_try: self.time_of_a_try,
            most_bytes: self.most_bytes,
            chance: Mutex::new(self.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)),
            counters: Counters::default(),
        })))
    }
}

/// The address without its last slash, where a token may be sent to it.
fn check(base: &str) -> Result<String> {
    let invalid = |why: &str| {
        let message = format!("the endpoint {base:?} {why}; write https://HOST, or http:// with a loopback address");
        Error::new(ErrorKind::Invalid, message)
    };
    let url = Url::parse(base).map_err(|error| invalid(&format!("is no address ({error})")))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(Error::new(ErrorKind::Invalid, "an endpoint has neither credentials nor a query in it"));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(invalid("would carry tokens in the clear")),
        _ => return Err(invalid("is neither https nor http")),
    }
    Ok(base.trim_end_matches('/').to_owned())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_over_tls_or_stay_on_this_machine() {
        for good in
            ["https://run.googleapis.com/", "http://127.0.0.1:8080", "http://[::1]:80/base", "http://localhost:1"]
        {
            assert!(check(good).is_ok_and(|base| !base.ends_with('/')), "{good}");
        }
        for bad in [
            "http://example.com",
            "http://127.0.0.1.example.com",
            "ftp://localhost",
            "run.googleapis.com",
            "",
            "https://user:s3cret@example.com",
            "https://example.com?key=s3cret",
            "http://10.0.0.1:80",
        ] {
            let error = check(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
