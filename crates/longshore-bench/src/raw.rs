//! The bare Engine API over its unix socket: what Longshore is measured against.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A connection to the engine, kept from request to request.
pub(crate) struct Raw {
    sender: http1::SendRequest<Full<Bytes>>,
}

/// What a raw container runs with: the same as the Longshore job beside it.
#[derive(Debug, Clone)]
pub(crate) struct RawJob {
    pub(crate) image: String,
    pub(crate) command: Vec<String>,
}

impl Raw {
    pub(crate) async fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<Value>) -> Result<Response<Incoming>> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1.41{path}"))
            .header("Host", "engine")
            .header("Content-Type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let words = response.into_body().collect().await?.to_bytes();
        Err(format!("{path}: {status} {}", String::from_utf8_lossy(&words)).into())
    }

    async fn bytes(&mut self, method: Method, path: &str, body: Option<Value>) -> Result<Bytes> {
        Ok(self.send(method, path, body).await?.into_body().collect().await?.to_bytes())
    }

    async fn create_and_start(&mut self, job: &RawJob) -> Result<String> {
        let log = json!({ "Type": "local", "Config": { "max-size": "4g", "max-file": "1", "compress": "false" } });
        let body = json!({ "Image": job.image, "Cmd": job.command, "HostConfig": { "NetworkMode": "none", "LogConfig": log } });
        let created: Value =
            serde_json::from_slice(&self.bytes(Method::POST, "/containers/create", Some(body)).await?)?;
        let id = created["Id"].as_str().ok_or("no id")?.to_owned();
        self.bytes(Method::POST, &format!("/containers/{id}/start"), None).await?;
        Ok(id)
    }

    /// create, start, wait, logs, remove.
    pub(crate) async fn run(&mut self, job: &RawJob) -> Result<()> {
        let id = self.create_and_start(job).await?;
        self.bytes(Method::POST, &format!("/containers/{id}/wait"), None).await?;
        self.bytes(Method::GET, &format!("/containers/{id}/logs?stdout=1&stderr=1&timestamps=1"), None).await?;
        self.bytes(Method::DELETE, &format!("/containers/{id}?v=1"), None).await?;
        Ok(())
    }

    /// create, start, follow the log to its end counting bytes, remove.
    pub(crate) async fn follow(&mut self, job: &RawJob) -> Result<u64> {
        let id = self.create_and_start(job).await?;
        let path = format!("/containers/{id}/logs?stdout=1&stderr=1&timestamps=1&follow=1");
        let mut body = self.send(Method::GET, &path, None).await?.into_body();
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            count += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        self.bytes(Method::POST, &format!("/containers/{id}/wait"), None).await?;
        self.bytes(Method::DELETE, &format!("/containers/{id}?v=1"), None).await?;
        Ok(count)
    }

    /// Ends a container; returns when it died, by the engine's own word.
    pub(crate) async fn kill(&mut self, id: &str) -> Result<longshore::Timestamp> {
        self.bytes(Method::POST, &format!("/containers/{id}/kill?signal=TERM"), None).await?;
        self.bytes(Method::POST, &format!("/containers/{id}/wait"), None).await.ok();
        let now = longshore::Clock::now(&longshore::SystemClock);
        let until = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
        let filters = format!("%7B%22container%22%3A%5B%22{id}%22%5D%2C%22event%22%3A%5B%22die%22%5D%7D");
        let told = self.bytes(Method::GET, &format!("/events?since=0&until={until}&filters={filters}"), None).await?;
        let event: Value = serde_json::from_slice(&told)?;
        let nanoseconds = event["timeNano"].as_i64().ok_or("the engine does not tell when it died")?;
        Ok(longshore::Timestamp::from_nanosecond(nanoseconds.into())?)
    }

    /// Loads an image from a `docker save` archive.
    pub(crate) async fn load(&mut self, archive: Vec<u8>) -> Result<()> {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/v1.41/images/load?quiet=1")
            .header("Host", "engine")
            .header("Content-Type", "application/x-tar")
            .body(Full::new(Bytes::from(archive)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status.is_success() { Ok(()) } else { Err(String::from_utf8_lossy(&answer).into_owned().into()) }
    }
}

/// The unix socket that `DOCKER_HOST` names, or the usual one.
#[expect(clippy::disallowed_methods, reason = "DOCKER_HOST is where the engine is, by convention")]
pub(crate) fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").ok();
    PathBuf::from(host.as_deref().and_then(|host| host.strip_prefix("unix://")).unwrap_or("/var/run/docker.sock"))
}
