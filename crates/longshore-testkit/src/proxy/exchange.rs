//! One client connection: each request is recorded, struck by a fault or passed on.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{Request, Response, StatusCode, body::Incoming, client, server, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;

use super::{
    address::{Address, Stream},
    armed::Armed,
    body::{Body, Limit, relay},
    fault::{Action, Interruption},
    line::{ClientStream, Line},
    scope::Scope,
    shared::Shared,
    tunnel::tunnel,
};

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the proxy closes the connection without an answer")]
struct HangUp;

type ForwardedBody = UnsyncBoxBody<Bytes, hyper::Error>;

/// What the requests of one client connection have in common.
#[derive(Debug, Clone)]
struct Exchange {
    shared: Arc<Shared>,
    scope: Scope,
    line: Arc<Line>,
}

/// Answers a client's requests until either side has had enough.
pub(super) async fn serve(shared: Arc<Shared>, scope: Scope, stream: Stream) {
    let line = Arc::new(Line::default());
    let client = TokioIo::new(ClientStream::new(stream, Arc::clone(&line)));
    let exchange = Exchange { shared, scope, line };
    let service = service_fn(move |request| exchange.clone().answer(request));
    let mut builder = server::conn::http1::Builder::new();
    let connection = builder.preserve_header_case(true).auto_date_header(false).serve_connection(client, service);
    if let Err(error) = connection.with_upgrades().await {
        tracing::debug!(%error, "a client's connection has ended");
    }
}

impl Exchange {
    async fn answer(self, mut request: Request<Incoming>) -> Result<Response<Body>, HangUp> {
        // A request that was read in the very moment of a cut came too late.
        if self.scope.is_cut() {
            return Err(HangUp);
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let Some(armed) = self.shared.receive(request.method(), request.uri()) else {
            let response = self.forward(request.map(BodyExt::boxed_unsync)).await?;
            return Ok(self.deliver(response, upgrade, None));
        };
        match armed.action() {
            Action::Before(interruption) => self.interrupt_before(request, upgrade, &armed, interruption).await,
            Action::After(interruption) => self.interrupt_after(request, upgrade, &armed, interruption).await,
            Action::Freeze => self.freeze(request, upgrade, armed).await,
            Action::Body(fault) => {
                let limit = Limit { fault: *fault, armed: Arc::clone(&armed) };
                let response = self.forward(request.map(BodyExt::boxed_unsync)).await?;
                Ok(self.deliver(response, upgrade, Some(limit)))
            }
        }
    }

    async fn interrupt_before(
        &self,
        request: Request<Incoming>,
        upgrade: OnUpgrade,
        armed: &Armed,
        interruption: &Interruption,
    ) -> Result<Response<Body>, HangUp> {
        let request = read_whole(request).await?;
        if let Some(answer) = self.interrupt(armed, interruption).await? {
            return Ok(answer);
        }
        Ok(self.deliver(self.forward(request).await?, upgrade, None))
    }

    async fn interrupt_after(
        &self,
        request: Request<Incoming>,
        upgrade: OnUpgrade,
        armed: &Armed,
        interruption: &Interruption,
    ) -> Result<Response<Body>, HangUp> {
        let mut response = self.forward(request.map(BodyExt::boxed_unsync)).await?;
        if !matches!(interruption, Interruption::Hold(_)) {
            // Some effects, an image pull for one, go on while the body is sent and end when nobody reads it.
            while let Some(Ok(_)) = response.body_mut().frame().await {}
        }
        if let Some(answer) = self.interrupt(armed, interruption).await? {
            return Ok(answer);
        }
        Ok(self.deliver(response, upgrade, None))
    }

    /// Holds, answers or refuses to; `None` means that the request takes its course.
    async fn interrupt(&self, armed: &Armed, interruption: &Interruption) -> Result<Option<Response<Body>>, HangUp> {
        match interruption {
            Interruption::Answer(answer) => {
                armed.strike();
                Ok(Some(answer.response(&self.line)))
            }
            Interruption::Reset => {
                armed.strike();
                self.line.reset_on_close();
                Err(HangUp)
            }
            Interruption::Hold(limit) => {
                armed.hold(*limit).await;
                Ok(None)
            }
        }
    }

    /// The request waits in a task of the proxy's own, so it outlives the client's connection.
    async fn freeze(
        &self,
        request: Request<Incoming>,
        upgrade: OnUpgrade,
        armed: Arc<Armed>,
    ) -> Result<Response<Body>, HangUp> {
        let request = read_whole(request).await?;
        let (shared, scope) = (Arc::clone(&self.shared), self.shared.lifetime().clone());
        let late = self.shared.lifetime().spawn(async move {
            armed.hold(None).await;
            forward(shared.upstream(), &scope, request).await
        });
        let response = late.await.ok().flatten().ok_or(HangUp)??;
        Ok(self.deliver(response, upgrade, None))
    }

    async fn forward(&self, request: Request<ForwardedBody>) -> Result<Response<Incoming>, HangUp> {
        forward(self.shared.upstream(), &self.scope, request).await
    }

    fn deliver(&self, mut response: Response<Incoming>, upgrade: OnUpgrade, limit: Option<Limit>) -> Response<Body> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return response.map(|body| relay(body, limit, Arc::clone(&self.line)));
        }
        let server = hyper::upgrade::on(&mut response);
        self.scope.spawn(tunnel(upgrade, server, limit));
        response.map(|body| relay(body, None, Arc::clone(&self.line)))
    }
}

/// Reads the request's body to its end, so that the connection notices when the client leaves.
async fn read_whole(request: Request<Incoming>) -> Result<Request<ForwardedBody>, HangUp> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
    Ok(Request::from_parts(head, Full::new(body).map_err(|never| match never {}).boxed_unsync()))
}

/// Sends a request on a connection of its own: no fault of one request can then spread to another.
async fn forward(
    upstream: &Address,
    scope: &Scope,
    request: Request<ForwardedBody>,
) -> Result<Response<Incoming>, HangUp> {
    let unanswered = |error: &dyn fmt::Display| {
        tracing::debug!(%upstream, %error, "the server did not answer");
        HangUp
    };
    let stream = upstream.connect().await.map_err(|error| unanswered(&error))?;
    let mut builder = client::conn::http1::Builder::new();
    let handshake = builder.preserve_header_case(true).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| unanswered(&error))?;
    scope.spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(|error| unanswered(&error))
}
