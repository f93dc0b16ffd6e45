//! A server of a fake, and the proxy in front of it.

use axum::Router;
use std::{io, net::Ipv4Addr};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::{Address, FaultProxy};

/// A router that is served on a port of loopback, behind a proxy with a port of its own. Dropping it ends both.
#[derive(Debug)]
pub(crate) struct Served {
    proxy: FaultProxy,
    _server: AbortOnDropHandle<()>,
}

impl Served {
    /// Begins to serve. Safe to cancel.
    pub(crate) async fn start(router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let upstream = Address::Tcp(listener.local_addr()?);
        let server = AbortOnDropHandle::new(tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        }));
        let proxy = FaultProxy::to(upstream).listen_tcp().await.map_err(io::Error::other)?;
        Ok(Self { proxy, _server: server })
    }

    pub(crate) fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    /// Where clients send their requests, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        match self.proxy.address() {
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(path) => format!("unix://{}", path.display()),
        }
    }
}
