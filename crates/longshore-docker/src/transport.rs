//! How the engine is reached: a unix socket, TCP on loopback, or TLS with client certificates.

use hyper::{
    Uri,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use longshore_core::{Error, ErrorKind, Result};
use std::{
    fmt,
    future::Future,
    io,
    net::IpAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use crate::{
    config::{DockerConfig, TlsFiles},
    contact::{Contact, Watched},
};

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Where an engine answers, checked.
#[derive(Clone)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, name: ServerName<'static>, config: Arc<ClientConfig> },
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Tls { host, port, .. } => write!(f, "tcp://{host}:{port} with TLS"),
        }
    }
}

impl Endpoint {
    /// The configured endpoint; what the configuration leaves open is read from Docker's own variables.
    pub(crate) fn from_config(config: &DockerConfig) -> Result<Self> {
        let (address, tls) = match &config.host {
            Some(host) => (host.clone(), config.tls.clone()),
            None => from_environment(config.tls.clone()),
        };
        if address.contains('@') {
            // It is not told: what stands before the @ may be a password.
            let message =
                "the engine's address holds a user's name or a password, which nothing reads; use TLS certificates";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let invalid = |why: &str| Error::new(ErrorKind::Invalid, format!("the engine's address {address:?} {why}"));
        if let Some(path) = address.strip_prefix("unix://") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let rest = address
            .strip_prefix("tcp://")
            .ok_or_else(|| invalid("is not one that Longshore can reach; use unix:///PATH or tcp://HOST:PORT"))?;
        let (host, port) =
            host_and_port(rest, tls.is_some()).ok_or_else(|| invalid("needs a host and a port from 1 to 65535"))?;
        match tls {
            Some(files) => Self::tls(host, port, &files),
            None if config.allow_plain_tcp || is_loopback(&host) => Ok(Self::Tcp { host, port }),
            None => Err(invalid(
                "is plain TCP: whoever can reach it is root on that machine; use TLS (`tls`, or DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH), a unix socket, or set allow_plain_tcp = true",
            )),
        }
    }

    fn tls(host: String, port: u16, files: &TlsFiles) -> Result<Self> {
        let unreadable = |what: &str, path: &PathBuf, error: &dyn fmt::Display| {
            Error::new(ErrorKind::Invalid, format!("the TLS {what} {} can't be used: {error}", path.display()))
        };
        let mut roots = RootCertStore::empty();
        let authorities =
            CertificateDer::pem_file_iter(&files.ca).map_err(|error| unreadable("authority", &files.ca, &error))?;
        for authority in authorities {
            let authority = authority.map_err(|error| unreadable("authority", &files.ca, &error))?;
            roots.add(authority).map_err(|error| unreadable("authority", &files.ca, &error))?;
        }
        let chain = CertificateDer::pem_file_iter(&files.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unreadable("certificate", &files.cert, &error))?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable("key", &files.key, &error))?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unreadable("set-up with", &files.cert, &error))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|error| unreadable("certificate", &files.cert, &error))?;
        let name = ServerName::try_from(host.clone()).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("the engine's host name {host:?} can't be checked by TLS: {error}"))
        })?;
        Ok(Self::Tls { host, port, name, config: Arc::new(config) })
    }

    async fn connect(self, contact: Arc<Contact>) -> io::Result<Stream> {
        let stream: Box<dyn Duplex> = match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp { host, port } => Box::new(tcp(&host, port).await?),
            Self::Tls { host, port, name, config } => {
                Box::new(TlsConnector::from(config).connect(name, tcp(&host, port).await?).await?)
            }
        };
        Ok(Stream(TokioIo::new(Watched::new(stream, contact))))
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What Docker's own tools read, in this one place.
#[expect(
    clippy::disallowed_methods,
    reason = "DOCKER_HOST and its companions are this executor's defaults by convention"
)]
fn from_environment(tls: Option<TlsFiles>) -> (String, Option<TlsFiles>) {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let address = set("DOCKER_HOST").unwrap_or_else(|| format!("unix://{DEFAULT_SOCKET}"));
    let verify = set("DOCKER_TLS_VERIFY").is_some();
    let folder = set("DOCKER_CERT_PATH").filter(|_| verify).map(PathBuf::from);
    (address, tls.or_else(|| folder.map(|folder| TlsFiles::in_folder(&folder))))
}

fn host_and_port(text: &str, tls: bool) -> Option<(String, u16)> {
    let text = text.trim_end_matches('/');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, if tls { 2376 } else { 2375 }),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (port != 0 && !host.is_empty()).then(|| (host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Connects hyper's client to one endpoint, whatever the request's own address says.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) endpoint: Endpoint,
    pub(crate) contact: Arc<Contact>,
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.endpoint.clone().connect(self.contact.clone()))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection to the engine, of whatever kind.
pub(crate) struct Stream(TokioIo<Watched<Box<dyn Duplex>>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, allow_plain_tcp: bool) -> Result<String> {
        let config = DockerConfig { host: Some(host.to_owned()), allow_plain_tcp, ..DockerConfig::default() };
        Endpoint::from_config(&config).map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn plain_tcp_is_for_loopback_or_on_demand() {
        assert_eq!(endpoint("tcp://127.0.0.1:2375", false).unwrap(), "tcp://127.0.0.1:2375");
        assert_eq!(endpoint("tcp://[::1]:99", false).unwrap(), "tcp://::1:99");
        assert_eq!(endpoint("tcp://localhost", false).unwrap(), "tcp://localhost:2375");
        assert_eq!(endpoint("tcp://10.0.0.1:2375", true).unwrap(), "tcp://10.0.0.1:2375");
        for address in ["tcp://10.0.0.1:2375", "tcp://docker.example.com:2375", "tcp://127.0.0.1.example.com:1"] {
            let error = endpoint(address, false).unwrap_err();
            assert!(error.message().contains("allow_plain_tcp"), "{error}");
        }
    }

    #[test]
    fn addresses_that_mean_nothing_are_refused() {
        for address in ["", "docker", "http://127.0.0.1:1", "ssh://host", "tcp://", "tcp://host:0", "tcp://host:99999"]
        {
            assert_eq!(endpoint(address, true).unwrap_err().kind(), ErrorKind::Invalid, "{address}");
        }
    }

    #[test]
    fn missing_certificates_are_named() {
        let files = TlsFiles::in_folder(std::path::Path::new("/nonexistent"));
        let config =
            DockerConfig { host: Some("tcp://host:2376".to_owned()), tls: Some(files), ..DockerConfig::default() };
        let error = Endpoint::from_config(&config).unwrap_err();
        assert!(error.message().contains("/nonexistent/ca.pem"), "{error}");
    }
}
