//! A small server whose effects can be counted and whose streams the test feeds.

use std::{
    convert::Infallible,
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use longshore_testkit::{
    Address,
    proxy::{Method, StatusCode, header},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// The size of one piece of `/flood`, and how many pieces it has.
pub(crate) const FLOOD_PIECE: usize = 64 * 1024;
pub(crate) const FLOOD_PIECES: u64 = 1024;

type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) struct Engine {
    address: Address,
    world: Arc<World>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct World {
    effects: watch::Sender<u64>,
    flooded: Arc<AtomicU64>,
    feed: Mutex<Option<mpsc::Receiver<Bytes>>>,
}

impl Engine {
    pub(crate) fn unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let world = Arc::new(World::default());
        let shared = Arc::clone(&world);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&shared), stream));
            }
        });
        Self { address: Address::Unix(path.to_owned()), world, task }
    }

    pub(crate) async fn tcp() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let world = Arc::new(World::default());
        let shared = Arc::clone(&world);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&shared), stream));
            }
        });
        Self { address, world, task }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn effects(&self) -> u64 {
        *self.world.effects.borrow()
    }

    pub(crate) async fn wait_effects(&self, at_least: u64) {
        self.world.effects.subscribe().wait_for(|effects| *effects >= at_least).await.unwrap();
    }

    /// How many pieces of `/flood` were produced.
    pub(crate) fn flooded(&self) -> u64 {
        self.world.flooded.load(Ordering::Acquire)
    }

    /// Feeds the next `GET /logs` or `POST /pull`; the stream ends when the sender is dropped.
    pub(crate) fn feed(&self) -> mpsc::Sender<Bytes> {
        let (sender, receiver) = mpsc::channel(1);
        *self.world.feed.lock().unwrap() = Some(receiver);
        sender
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S>(world: Arc<World>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&world), request));
    // How a connection ends is the client's to judge.
    let _ = http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(world: Arc<World>, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().trim_start_matches("/v1.41").to_owned();
    Ok(match (request.method(), path.as_str()) {
        (&Method::POST, "/containers/one/start") => {
            world.effect();
            status(StatusCode::NO_CONTENT)
        }
        (&Method::GET, "/version") => version(),
        (&Method::HEAD, "/archive") => {
            Response::builder().header("X-Stat", "abc").header(header::CONTENT_LENGTH, 1234).body(empty()).unwrap()
        }
        (&Method::HEAD, "/bare") => status(StatusCode::OK),
        (_, "/echo") => {
            let (head, body) = request.into_parts();
            let headers = head.headers.get("x-custom").cloned();
            let mut response = Response::new(full(body.collect().await.unwrap().to_bytes()));
            headers.map(|value| response.headers_mut().insert("x-custom", value));
            response
        }
        (&Method::GET, "/logs") => Response::new(streamed(fed(&world))),
        (&Method::GET, "/flood") => Response::new(flood(&world)),
        (&Method::GET, "/broken") => Response::new(broken()),
        (&Method::POST, "/pull") => Response::new(pull(&world)),
        (&Method::POST, "/attach") => attach(&mut request),
        _ => status(StatusCode::NOT_FOUND),
    })
}

impl World {
    fn effect(&self) {
        self.effects.send_modify(|effects| *effects += 1);
    }
}

fn empty() -> Body {
    full(Bytes::new())
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn streamed(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    BodyExt::boxed_unsync(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))))
}

fn status(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(empty()).unwrap()
}

fn version() -> Response<Body> {
    let mut response = Response::new(full(r#"{"ApiVersion":"1.41"}"#));
    response.headers_mut().insert("api-version", header::HeaderValue::from_static("1.41"));
    response
}

/// What the test feeds, until it drops its end.
fn fed(world: &World) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let receiver = world.feed.lock().unwrap().take().unwrap();
    stream::unfold(receiver, async |mut receiver| Some((Ok(receiver.recv().await?), receiver)))
}

/// Produces as fast as the other side reads.
fn flood(world: &World) -> Body {
    let flooded = Arc::clone(&world.flooded);
    streamed(stream::iter(0..FLOOD_PIECES).map(move |_| {
        flooded.fetch_add(1, Ordering::AcqRel);
        Ok(Bytes::from_static(&[b'x'; FLOOD_PIECE]))
    }))
}

/// Sends a part, and ends the connection in the middle of the next.
fn broken() -> Body {
    let ends = stream::unfold((), async |()| {
        tokio::task::yield_now().await;
        Some((Err(io::ErrorKind::BrokenPipe.into()), ()))
    });
    streamed(stream::iter([Ok(Bytes::from_static(b"part"))]).chain(ends))
}

/// Its effect happens when the body has been sent, as a pull's does.
fn pull(world: &Arc<World>) -> Body {
    let done = Arc::clone(world);
    let last = stream::once(async move {
        done.effect();
        Ok(Bytes::from_static(b"done\n"))
    });
    streamed(fed(world).chain(last))
}

/// Sends every byte back, and says goodbye when the client has closed its direction.
fn attach(request: &mut Request<Incoming>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..length]).await.unwrap();
        }
        // The client may have left altogether.
        let _ = stream.write_all(b"bye").await;
        let _ = stream.shutdown().await;
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "tcp")
        .body(empty())
        .unwrap()
}
