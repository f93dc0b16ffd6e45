//! One connection to the proxy, and what can be asked over it.

use std::{error::Error, io};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use longshore_testkit::{
    Address,
    proxy::{Method, StatusCode, header},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};

pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => Ok(Self::over(UnixStream::connect(path).await?).await),
            Address::Tcp(address) => Ok(Self::over(TcpStream::connect(address).await?).await),
        }
    }

    async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            Builder::new().preserve_header_case(true).handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Self { sender }
    }

    pub(crate) async fn request(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    pub(crate) async fn send(&mut self, method: Method, path: &str) -> hyper::Result<Response<Incoming>> {
        self.request(Request::builder().method(method).uri(path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        self.send(Method::GET, path).await
    }

    /// Asks for the one effect that is counted, and returns the status and the body of the answer.
    pub(crate) async fn start(&mut self) -> hyper::Result<(StatusCode, String)> {
        let response = self.send(Method::POST, "/v1.41/containers/one/start").await?;
        Ok((response.status(), text(response).await))
    }

    /// The same on a task of its own; aborting it is leaving.
    pub(crate) fn starting(mut self) -> JoinHandle<hyper::Result<(StatusCode, String)>> {
        tokio::spawn(async move { self.start().await })
    }

    /// Whether the connection still carries requests.
    pub(crate) async fn is_open(&mut self) -> bool {
        self.get("/version").await.is_ok()
    }

    /// Waits until the other side has closed the idle connection.
    pub(crate) async fn closed(&mut self) {
        while self.sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn attach(&mut self) -> hyper::Result<Response<Incoming>> {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/attach")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "tcp");
        self.request(request.body(Full::from(r#"{"Tty":true}"#)).unwrap()).await
    }

    pub(crate) async fn attached(&mut self) -> TokioIo<Upgraded> {
        let response = self.attach().await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        TokioIo::new(hyper::upgrade::on(response).await.unwrap())
    }
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// The next piece of a stream, or nothing if it has ended or broken off.
pub(crate) async fn piece(body: &mut Incoming) -> Option<Bytes> {
    body.frame().await?.ok()?.into_data().ok()
}

/// All the bytes that come, and whether the body ended as it should.
pub(crate) async fn read_until_end(mut body: Incoming) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(_)) => return (bytes, false),
            None => return (bytes, true),
        }
    }
}

/// The error of the operating system beneath an error of the HTTP client.
pub(crate) fn io_error(error: &hyper::Error) -> Option<io::ErrorKind> {
    error.source()?.downcast_ref::<io::Error>().map(io::Error::kind)
}
