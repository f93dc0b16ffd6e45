//! Where a server is, and how to reach it.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

/// A place to connect to. It displays as the URI that a `DOCKER_HOST` would hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The path of a unix socket, displayed as `unix:///…`.
    Unix(PathBuf),
    /// A TCP address, displayed as `tcp://…`.
    Tcp(SocketAddr),
}

/// A connection of either kind.
pub(super) type Stream = Either<UnixStream, TcpStream>;

impl Address {
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(path) => UnixStream::connect(path).await.map(Either::Left),
            Self::Tcp(address) => prompt(TcpStream::connect(address).await?),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Sends what is written at once: a proxy that waits for more would not be transparent to streams.
pub(super) fn prompt(stream: TcpStream) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    Ok(Either::Right(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_displays_as_a_docker_host() {
        assert_eq!(Address::Unix("/run/docker.sock".into()).to_string(), "unix:///run/docker.sock");
        assert_eq!(Address::Tcp(([127, 0, 0, 1], 2375).into()).to_string(), "tcp://127.0.0.1:2375");
    }
}
