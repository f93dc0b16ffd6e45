//! Response bodies on their way to the client, and the faults within them.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};

use super::{
    armed::Armed,
    fault::{BodyFault, Ending},
    line::Line,
};

/// A body that the client gets. It never fails: where the server's fails, the connection is closed.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body fault, and the armed fault that it belongs to.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) fault: BodyFault,
    pub(super) armed: Arc<Armed>,
}

struct Relay {
    body: Incoming,
    /// What the limit has split off the server's last frame.
    rest: Option<Bytes>,
    limit: Option<Limit>,
    line: Arc<Line>,
}

/// Passes a body on frame by frame, as the frames come.
pub(super) fn relay(body: Incoming, limit: Option<Limit>, line: Arc<Line>) -> Body {
    let relay = Relay { body, rest: None, limit, line };
    BodyExt::boxed_unsync(StreamBody::new(stream::unfold(relay, Relay::next)))
}

impl Relay {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        if self.limit.as_ref().is_some_and(|limit| limit.fault.after == 0) {
            self.strike().await;
        }
        let frame = match self.rest.take() {
            Some(rest) => Frame::data(rest),
            None => match self.body.frame().await? {
                Ok(frame) => frame,
                Err(error) => {
                    tracing::debug!(%error, "the server's answer broke off");
                    return Some((Arc::clone(&self.line).hang_up().await, self));
                }
            },
        };
        Some((Ok(self.within_limit(frame)), self))
    }

    async fn strike(&mut self) {
        let Some(Limit { fault, armed }) = self.limit.take() else { return };
        match fault.ending {
            Ending::Stall => armed.hold(None).await,
            Ending::Cut => {
                armed.strike();
                let Ok(()) = Arc::clone(&self.line).hang_up().await;
            }
        }
    }

    fn within_limit(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(limit) = &mut self.limit else { return frame };
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return trailers,
        };
        let passes = usize::try_from(limit.fault.after).unwrap_or(usize::MAX).min(data.len());
        limit.fault.after -= passes as u64;
        self.rest = Some(data.split_off(passes)).filter(|rest| !rest.is_empty());
        Frame::data(data)
    }
}
