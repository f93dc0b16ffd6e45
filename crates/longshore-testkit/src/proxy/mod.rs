//! A proxy that injects faults between an HTTP/1.1 client and its server.
//!
//! It stands in front of a Docker Engine's socket, or of any server on loopback, and passes everything on as it
//! comes: endless streams frame by frame, `Connection: Upgrade` as raw bytes both ways, header names in their
//! case. A [`Fault`] changes what becomes of the requests that its rule names, before or after their effect;
//! [`FaultProxy::cut_all`] and [`FaultProxy::refuse_all`] do away with whole connections. Where the server can't
//! be reached or breaks off, the client's connection is closed, as the server's own would be.
//!
//! ```no_run
//! use longshore_testkit::proxy::{Fault, FaultProxy, Method, StatusCode};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::path::Path::new("/tmp/example");
//! let proxy = FaultProxy::to_unix("/var/run/docker.sock").listen_unix(folder).await?;
//! let start = Fault::on(Method::POST, "/containers/*/start");
//! let fault = proxy.inject(start.answer_after((StatusCode::INTERNAL_SERVER_ERROR, "boom")));
//! // … a client of `proxy.uri()` starts a container …
//! fault.wait_hit().await;
//! assert_eq!(proxy.count(Method::POST, "/containers/*/start"), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Every request is recorded for as long as the proxy lives, so it is a tool for tests, not for production.

mod address;
mod answer;
mod armed;
mod body;
mod exchange;
mod fault;
mod line;
mod pattern;
mod scope;
mod seat;
mod shared;
mod tunnel;

use std::{net::SocketAddr, path::Path, path::PathBuf, sync::Arc};

use tokio::sync::Mutex;

pub use address::Address;
pub use answer::Answer;
pub use armed::FaultHandle;
pub use fault::{Fault, Rule};
pub use hyper::{Method, StatusCode, header};
pub use seat::ListenError;
pub use shared::RecordedRequest;

use self::{
    pattern::Pattern,
    scope::Scope,
    seat::{Listener, Seat},
    shared::Shared,
};

/// Where a proxy forwards to; the next step says where it listens.
#[derive(Debug, Clone)]
#[must_use = "a proxy begins when it listens"]
pub struct Upstream {
    address: Address,
}

/// A running proxy. Dropping it ends all its tasks, closes all its connections and removes its socket.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    seat: Seat,
    /// The accepting task; none while the proxy refuses.
    listening: Mutex<Option<Scope>>,
}

impl Upstream {
    /// Listens on a unix socket in this folder, which must be the proxy's own.
    ///
    /// It is async because a socket must be made within a runtime, and safe to cancel.
    ///
    /// # Errors
    /// The socket can't be made: its path is taken or too long, or the folder does not exist.
    pub async fn listen_unix(self, folder: impl AsRef<Path>) -> Result<FaultProxy, ListenError> {
        Seat::unix(folder.as_ref()).map(|(seat, listener)| FaultProxy::start(self.address, seat, listener))
    }

    /// Listens on a free port of 127.0.0.1. Safe to cancel.
    ///
    /// # Errors
    /// No port could be had.
    pub async fn listen_tcp(self) -> Result<FaultProxy, ListenError> {
        Seat::tcp().map(|(seat, listener)| FaultProxy::start(self.address, seat, listener))
    }
}

impl FaultProxy {
    /// Begins a proxy in front of the server at this address.
    pub fn to(address: Address) -> Upstream {
        Upstream { address }
    }

    /// Begins a proxy in front of the server on this unix socket.
    pub fn to_unix(path: impl Into<PathBuf>) -> Upstream {
        Self::to(Address::Unix(path.into()))
    }

    /// Begins a proxy in front of the server at this TCP address.
    pub fn to_tcp(address: SocketAddr) -> Upstream {
        Self::to(Address::Tcp(address))
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.seat.address()
    }

    /// Where clients connect to, as `unix:///path` or `tcp://127.0.0.1:port`.
    #[must_use]
    pub fn uri(&self) -> String {
        self.address().to_string()
    }

    /// Puts a fault in force. Of several that match a request, the one injected first strikes, until it is used up.
    pub fn inject(&self, fault: Fault) -> FaultHandle {
        self.shared.arsenal().add(fault)
    }

    /// All requests so far, in the order of their arrival, those that a fault kept from the server included.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.requests()
    }

    /// How many requests so far had this method and path; the path is that of [`Fault::on`].
    #[must_use]
    pub fn count(&self, method: Method, path: &str) -> usize {
        self.shared.count(&Pattern::new(Some(method), path))
    }

    /// Waits until [`count`](Self::count) has reached a number. Safe to cancel.
    pub async fn wait_count(&self, method: Method, path: &str, at_least: usize) {
        self.shared.wait_requests(&Pattern::new(Some(method), path), at_least).await;
    }

    /// Closes all connections that are open now, and returns when they are closed. New ones are welcome.
    ///
    /// Cancelled, the connections still end, but nobody has waited for it.
    pub async fn cut_all(&self) {
        self.shared.cut_all().await;
    }

    /// Closes all connections and refuses new ones, as if the server had been killed: its unix socket stays where
    /// it was, with nobody behind it. When this returns, no request gets through any more. Repeatable.
    ///
    /// Cancelled, some connections may be left: call it again.
    pub async fn refuse_all(&self) {
        if let Some(accepting) = self.listening.lock().await.take() {
            accepting.end().await;
        }
        self.shared.cut_all().await;
    }

    /// Listens again at the same address after [`refuse_all`](Self::refuse_all). Repeatable, and safe to cancel.
    ///
    /// # Errors
    /// The address can't be listened on any more, for example because the socket's folder was removed.
    pub async fn restore(&self) -> Result<(), ListenError> {
        let mut listening = self.listening.lock().await;
        if listening.is_none() {
            *listening = Some(accept(&self.shared, self.seat.listen()?));
        }
        Ok(())
    }

    fn start(upstream: Address, seat: Seat, listener: Listener) -> Self {
        let shared = Arc::new(Shared::new(upstream));
        let listening = Mutex::new(Some(accept(&shared, listener)));
        Self { shared, seat, listening }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.lifetime().cut();
    }
}

fn accept(shared: &Arc<Shared>, listener: Listener) -> Scope {
    let scope = shared.lifetime().child();
    scope.spawn(Arc::clone(shared).accept_all(listener));
    scope
}
