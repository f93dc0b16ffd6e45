//! What flows after an upgrade: bytes both ways, each direction closed on its own.

use std::io;

use futures::future;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, split};

use super::{body::Limit, fault::Ending};

/// Carries an upgraded connection until both directions have ended.
pub(super) async fn tunnel(client: OnUpgrade, server: OnUpgrade, limit: Option<Limit>) {
    if let Err(error) = upgraded(client, server, limit).await {
        tracing::debug!(%error, "the upgraded connection broke off, or did not come about");
    }
}

async fn upgraded(client: OnUpgrade, server: OnUpgrade, limit: Option<Limit>) -> io::Result<()> {
    let (client, server) = future::try_join(client, server).await.map_err(io::Error::other)?;
    carry(TokioIo::new(client), TokioIo::new(server), limit).await
}

async fn carry<S>(mut client: S, mut server: S, limit: Option<Limit>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(limit) = limit else {
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    };
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    future::try_join(pass(from_client, to_server), pass_limited(from_server, to_client, limit)).await?;
    Ok(())
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown().await
}

async fn pass_limited(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    limit: Limit,
) -> io::Result<()> {
    let after = limit.fault.after;
    if copy(&mut (&mut from).take(after), &mut to).await? < after {
        return to.shutdown().await;
    }
    if limit.fault.ending == Ending::Cut {
        limit.armed.strike();
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    limit.armed.hold(None).await;
    pass(from, to).await
}
