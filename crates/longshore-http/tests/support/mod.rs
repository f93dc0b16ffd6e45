//! A server that gives the answers that it was made with, in their order.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use futures::StreamExt;
use longshore_core::{Clock, Result, async_trait};
use longshore_http::{AccessToken, Authority, AuthorityScheme, Client, ClientBuilder};
use longshore_testkit::fakes::ScaledClock;
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::net::TcpListener;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Whole,
    Never,
    Cut,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), ending: Ending::Whole }
    }

    pub(crate) fn text(kind: &str, body: &str) -> Self {
        Self::status(200).with_body(body).header("content-type", kind)
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::text("application/json", &body.to_string())
    }

    /// The connection ends in the middle of the body.
    pub(crate) fn cut() -> Self {
        Self { ending: Ending::Cut, ..Self::status(200) }
    }

    pub(crate) fn after_forever(self) -> Self {
        Self { ending: Ending::Never, ..self }
    }

    pub(crate) fn with_body(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self }
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    async fn give(self) -> Response {
        if self.ending == Ending::Never {
            std::future::pending::<()>().await;
        }
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = match self.ending {
            Ending::Cut => {
                let pieces = [Ok("{"), Err(std::io::Error::other("cut"))];
                Body::from_stream(futures::stream::iter(pieces).boxed())
            }
            Ending::Whole | Ending::Never => Body::from(self.body),
        };
        response.body(body).expect("a response")
    }
}

#[derive(Debug, Default)]
struct Seen {
    answers: Mutex<VecDeque<Answer>>,
    paths: Mutex<Vec<String>>,
    tokens: Mutex<Vec<String>>,
}

/// A server, its clock, and what it has seen.
pub(crate) struct Server {
    pub(crate) clock: Arc<dyn Clock>,
    address: String,
    seen: Arc<Seen>,
}

impl Server {
    /// A server with these answers; whoever asks for more is answered 418.
    pub(crate) async fn answering<const N: usize>(answers: [Answer; N]) -> Self {
        let seen = Arc::new(Seen { answers: Mutex::new(answers.into()), ..Seen::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { clock: Arc::new(ScaledClock::times(100)), address, seen }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(&self.address, Arc::clone(&self.clock)).expect("an address of this machine").with_seed(7)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("a client")
    }

    /// A client whose tokens are numbered.
    pub(crate) fn authorized(&self) -> Client {
        let numbered = Arc::new(Numbered::default());
        self.builder().authorized_by(numbered, AuthorityScheme::Bearer).build().expect("a client")
    }

    pub(crate) fn asked(&self) -> usize {
        self.paths().len()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen.paths.lock().expect("no panic before").clone()
    }

    pub(crate) fn tokens_seen(&self) -> Vec<String> {
        self.seen.tokens.lock().expect("no panic before").clone()
    }
}

async fn answer(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    seen.paths.lock().expect("no panic before").push(request.uri().to_string());
    if let Some(token) = request.headers().get("authorization") {
        seen.tokens.lock().expect("no panic before").push(token.to_str().expect("a token").to_owned());
    }
    let next = seen.answers.lock().expect("no panic before").pop_front();
    next.unwrap_or_else(|| Answer::status(418)).give().await
}

/// A client that is aimed at a port where nobody listens.
pub(crate) async fn nobody() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::times(100));
    client_of(&address, &clock)
}

/// A client of whoever is at the address.
pub(crate) fn client_of(address: &str, clock: &Arc<dyn Clock>) -> Client {
    Client::builder(address, Arc::clone(clock)).expect("an address").build().expect("a client")
}

#[derive(Debug, Default)]
struct Numbered(AtomicUsize);

#[async_trait]
impl Authority for Numbered {
    async fn token(&self, _: Option<&AccessToken>) -> Result<AccessToken> {
        Ok(AccessToken::new(format!("token-{}", self.0.fetch_add(1, Ordering::Relaxed)), None))
    }
}
