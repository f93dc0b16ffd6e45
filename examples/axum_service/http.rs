//! The jobs over HTTP.

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use futures::{FutureExt, stream};
use longshore::{JobTemplate, LogStream};
use serde::Deserialize;
use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};
use tokio::net::TcpListener;

use crate::{jobs::Jobs, record::Record, refusal::Refusal, worker::Worker};

/// How long clients may take to read their last answers when the service ends.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// The service as a router, for a server of one's own or to be merged into another router.
pub fn router(jobs: Jobs) -> Router {
    Router::new()
        .route("/jobs", post(submit))
        .route("/jobs/{id}", get(show).delete(cancel))
        .route("/jobs/{id}/logs", get(logs))
        .with_state(jobs)
}

/// Serves until `asked` returns, and then until no job is left. Meanwhile it still answers, and refuses new jobs.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    jobs: Jobs,
    worker: Worker,
    asked: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let all_jobs = jobs.clone();
    let ended = async move {
        asked.await;
        all_jobs.shut_down().await;
    };
    let ended = ended.boxed().shared();
    let too_long = ended.clone().then(|()| tokio::time::sleep(LAST_ANSWERS));
    let serving = async {
        let served = tokio::select! {
            served = axum::serve(listener, router(jobs.clone())).with_graceful_shutdown(ended) => served,
            () = too_long => Ok(()),
        };
        jobs.shut_down().await;
        served
    };
    tokio::join!(serving, worker.run()).0
}

async fn submit(
    State(jobs): State<Jobs>,
    template: Result<Json<JobTemplate>, JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Json(template) = template?;
    let report = jobs.submit(template).await?;
    let location = format!("/jobs/{}", report.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(report)))
}

async fn show(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<impl IntoResponse, Refusal> {
    Ok(Json(jobs.record(id.parse()?)?.report()))
}

/// 202 while the job is still to end, 200 when it has.
async fn cancel(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<impl IntoResponse, Refusal> {
    let report = jobs.cancel(id.parse()?)?;
    let status = if report.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(report)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    stream: Option<LogStream>,
    #[serde(default)]
    follow: bool,
}

/// The output so far, or all of it as it comes. Bytes are bytes: no browser shall take them for a page.
async fn logs(
    State(jobs): State<Jobs>,
    Path(id): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let record = jobs.record(id.parse()?)?;
    let stream = query.stream.unwrap_or(LogStream::Stdout);
    let body = if query.follow { followed(record, stream) } else { Body::from(record.output(stream)) };
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body))
}

fn followed(record: Arc<Record>, stream: LogStream) -> Body {
    Body::from_stream(stream::unfold((record, 0), move |(record, read)| async move {
        let bytes = record.next_output(stream, read).await;
        let read = read + bytes.len();
        (!bytes.is_empty()).then_some((Ok::<_, Infallible>(bytes), (record, read)))
    }))
}
