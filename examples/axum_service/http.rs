//! The jobs over HTTP.

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
    routing::{get, post},
};
use futures::{FutureExt, StreamExt};
use longshore::{Error, ErrorKind, JobTemplate, LogStream};
use serde::Deserialize;
use std::{future::Future, time::Duration};
use tokio::net::TcpListener;

use crate::{jobs::Jobs, refusal::Refusal};

/// How long clients may take to read their last answers when the service ends.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// Makes the same submission, sent twice, one job.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The service as a router, for a server of one's own or to be merged into another router.
pub fn router(jobs: Jobs) -> Router {
    Router::new()
        .route("/jobs", post(submit))
        .route("/jobs/{id}", get(show).delete(cancel))
        .route("/jobs/{id}/events", get(events))
        .route("/jobs/{id}/logs", get(logs))
        .with_state(jobs)
}

/// Serves until `asked` returns, then hands its jobs over: what runs goes on running.
///
/// # Errors
/// When the listener fails, and what kept the jobs from being dispatched.
pub async fn serve(
    listener: TcpListener,
    jobs: Jobs,
    asked: impl Future<Output = ()> + Send + 'static,
) -> longshore::Result<()> {
    let closing = jobs.clone();
    let ended = async move {
        asked.await;
        closing.close();
    };
    let ended = ended.boxed().shared();
    let too_long = ended.clone().then(|()| tokio::time::sleep(LAST_ANSWERS));
    let served = tokio::select! {
        served = axum::serve(listener, router(jobs.clone())).with_graceful_shutdown(ended) => served,
        () = too_long => Ok(()),
    };
    jobs.shut_down().await?;
    served.map_err(|error| Error::new(ErrorKind::Unexpected, "the listener failed").with_source(error))
}

async fn submit(
    State(jobs): State<Jobs>,
    headers: HeaderMap,
    template: Result<Json<JobTemplate>, JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Json(template) = template?;
    let key = headers.get(IDEMPOTENCY_KEY).map(|key| key.to_str().unwrap_or("not readable"));
    let report = jobs.submit(template, key).await?;
    let location = format!("/jobs/{}", report.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(report)))
}

async fn show(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<impl IntoResponse, Refusal> {
    Ok(Json(jobs.report(id.parse()?).await?))
}

/// 202 while the job is still to end, 200 when it has.
async fn cancel(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<impl IntoResponse, Refusal> {
    let report = jobs.cancel(id.parse()?).await?;
    let status = if report.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(report)))
}

/// How the job stands, as server-sent events: now, and each time that it moves. The stream ends with the job.
async fn events(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<impl IntoResponse, Refusal> {
    let reports = jobs.watch(id.parse()?).await?;
    let events = reports.map(|report| match report {
        Ok(report) => Event::default().event("job").json_data(report),
        Err(error) => Ok(Event::default().event("error").data(error.to_string())),
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    stream: Option<LogStream>,
}

/// The output of a job that has ended. Bytes are bytes: no browser shall take them for a page.
async fn logs(
    State(jobs): State<Jobs>,
    Path(id): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let output = jobs.output(id.parse()?, query.stream.unwrap_or(LogStream::Stdout)).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], output))
}
