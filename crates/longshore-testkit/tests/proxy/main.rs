//! The fault-injecting proxy against a small server that counts its effects, over unix sockets and TCP.
#![expect(clippy::unwrap_used, reason = "a broken precondition fails the test that it belongs to")]

mod answers;
mod client;
mod connections;
mod engine;
mod holds;
mod streams;
mod transparency;
mod upgrades;

use std::time::Duration;

use longshore_testkit::FaultProxy;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{client::Client, engine::Engine};

/// Long enough for any machine: it only turns a wait that never ends into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Transport {
    Unix,
    Tcp,
}

/// A server, and a proxy in front of it, both on the same kind of socket.
struct Bench {
    proxy: FaultProxy,
    engine: Engine,
    folder: TempDir,
}

impl Bench {
    async fn new(transport: Transport) -> Self {
        let folder = TempDir::new().unwrap();
        let (engine, proxy) = match transport {
            Transport::Unix => {
                let engine = Engine::unix(&folder.path().join("engine.sock"));
                let upstream = FaultProxy::to(engine.address().clone());
                (engine, upstream.listen_unix(folder.path()).await)
            }
            Transport::Tcp => {
                let engine = Engine::tcp().await;
                let upstream = FaultProxy::to(engine.address().clone());
                (engine, upstream.listen_tcp().await)
            }
        };
        Self { proxy: proxy.unwrap(), engine, folder }
    }

    async fn client(&self) -> Client {
        Client::connect(self.proxy.address()).await.unwrap()
    }
}

/// Runs a test once over each kind of socket.
async fn on_each_transport(test: impl AsyncFn(Bench)) {
    for transport in [Transport::Unix, Transport::Tcp] {
        let run = async { test(Bench::new(transport).await).await };
        assert!(
            timeout(PATIENCE, run).await.is_ok(),
            "the test over {transport:?} waits for something that never comes"
        );
    }
}
