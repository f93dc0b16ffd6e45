//! Where the proxy listens: an address that stays its own while it refuses.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio_util::either::Either;

use super::address::{Address, Stream, prompt};

const SOCKET_NAME: &str = "proxy.sock";
const BACKLOG: u32 = 1024;

/// The proxy can't listen where it should.
#[derive(Debug, thiserror::Error)]
#[error(
    "can't listen on {address}: the address must be free, and a socket's path shorter than 108 bytes; give each proxy a short folder of its own"
)]
pub struct ListenError {
    address: Address,
    source: io::Error,
}

/// An address to listen on, kept until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    address: Address,
    /// Bound and never listening: it keeps the port from others while nobody listens on it.
    _reserve: Option<TcpSocket>,
}

#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Seat {
    pub(super) fn unix(folder: &Path) -> Result<(Self, Listener), ListenError> {
        let path = folder.join(SOCKET_NAME);
        let address = Address::Unix(path.clone());
        match UnixListener::bind(path) {
            Ok(listener) => Ok((Self { address, _reserve: None }, Listener::Unix(listener))),
            Err(source) => Err(ListenError { address, source }),
        }
    }

    pub(super) fn tcp() -> Result<(Self, Listener), ListenError> {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let reserved = bind(any_port).and_then(|reserve| Ok((reserve.local_addr()?, reserve)));
        let (address, reserve) = reserved.map_err(|source| ListenError { address: Address::Tcp(any_port), source })?;
        let seat = Self { address: Address::Tcp(address), _reserve: Some(reserve) };
        let listener = seat.listen()?;
        Ok((seat, listener))
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Listens again at the same address; the former listener must be gone.
    pub(super) fn listen(&self) -> Result<Listener, ListenError> {
        let listener = match &self.address {
            Address::Unix(path) => {
                // Whatever keeps the old socket from going keeps the new one from coming, and is told then.
                let _ = std::fs::remove_file(path);
                UnixListener::bind(path).map(Listener::Unix)
            }
            Address::Tcp(address) => bind(*address).and_then(|socket| socket.listen(BACKLOG)).map(Listener::Tcp),
        };
        listener.map_err(|source| ListenError { address: self.address.clone(), source })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, "the proxy's socket was already gone");
        }
    }
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Either::Left(stream)),
            Self::Tcp(listener) => prompt(listener.accept().await?.0),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
