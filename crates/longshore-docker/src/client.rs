//! Talks to the engine. Every answer leaves this file either as what was asked for or as Longshore's error.

use bollard::{
    API_DEFAULT_VERSION, BollardRequest, Docker, body_full,
    models::{ContainerCreateBody, ContainerStatsResponse, ImageInspect, SystemInfo, SystemVersion},
    query_parameters::{
        ImportImageOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, StatsOptionsBuilder,
        UploadToContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use http_body_util::{BodyExt, Collected};
use hyper::{Method, Request, Response, body::Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, Result, Signal};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::OnceCell;

use crate::{
    contact::Contact,
    identity::{EngineId, LastSeen},
    mapping::{
        answers::{Container, Event, Listed, Processes},
        errors,
    },
    transport::{Connector, Endpoint},
};

/// How long the engine may take to answer a question. Its start of a container takes the longest.
const ANSWER: Duration = Duration::from_secs(120);

type Body = <BollardRequest as IntoBody>::Body;

/// Names the body type of bollard's requests, so that our own requests share its connections.
trait IntoBody {
    type Body;
}

impl<B> IntoBody for Request<B> {
    type Body = B;
}

/// One engine, and the connections to it.
pub(crate) struct Engine {
    endpoint: Endpoint,
    http: Client<Connector, Body>,
    docker: OnceCell<Docker>,
    podman: AtomicBool,
    pub(crate) contact: Arc<Contact>,
    pub(crate) last_seen: LastSeen,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let contact = Arc::new(Contact::default());
        let connector = Connector { endpoint: endpoint.clone(), contact: contact.clone() };
        let http = Client::builder(TokioExecutor::new()).build(connector);
        let (docker, podman, last_seen) = (OnceCell::new(), AtomicBool::new(false), LastSeen::default());
        Self { endpoint, http, docker, podman, contact, last_seen }
    }

    /// Where it answers, for people.
    pub(crate) fn address(&self) -> String {
        self.endpoint.to_string()
    }

    /// bollard over our own connections, speaking the version that the engine speaks.
    async fn docker(&self) -> Result<&Docker> {
        self.docker
            .get_or_try_init(|| async {
                let http = self.http.clone();
                let transport = move |request: BollardRequest| {
                    let answer = http.request(request);
                    async move { answer.await.map_err(bollard::errors::Error::from) }
                };
                let docker = Docker::connect_with_custom_transport(
                    transport,
                    Some("http://engine"),
                    ANSWER.as_secs(),
                    API_DEFAULT_VERSION,
                );
                docker
                    .map_err(|error| self.error("connect", error))?
                    .negotiate_version()
                    .await
                    .map_err(|error| self.error("connect", error))
            })
            .await
    }

    /// True once an answer has shown that this is Podman's service.
    pub(crate) fn is_podman(&self) -> bool {
        self.podman.load(Ordering::Relaxed)
    }

    fn error(&self, operation: &'static str, error: bollard::errors::Error) -> Error {
        errors::from_bollard(error, &self.endpoint).with_operation(operation)
    }

    pub(crate) async fn version(&self) -> Result<SystemVersion> {
        self.docker().await?.version().await.map_err(|error| self.error("version", error))
    }

    /// What the engine says of itself; who it is, is remembered.
    pub(crate) async fn info(&self) -> Result<SystemInfo> {
        let losses = self.contact.losses();
        let info = self.ask("info", Method::GET, "/info", (), Bytes::new()).await?;
        self.last_seen.note(EngineId::of(&info, self.is_podman()), losses);
        Ok(info)
    }

    /// Creates a container and returns its id. Sent by ourselves: bollard writes request bodies to the debug
    /// log, and secrets that are delivered as variables are in this one.
    pub(crate) async fn create(
        &self,
        name: &str,
        platform: Option<&str>,
        body: &ContainerCreateBody,
    ) -> Result<String> {
        #[derive(Serialize)]
        struct Query<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            platform: Option<&'a str>,
        }
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Created {
            id: String,
        }
        let payload = serde_json::to_vec(body).map_err(|error| self.error("create", error.into()))?;
        let query = Query { name, platform };
        let created = self.ask::<Created>("create", Method::POST, "/containers/create", query, payload.into()).await;
        created.map(|created| created.id)
    }

    pub(crate) async fn start(&self, id: &str) -> Result<()> {
        let started = self.docker().await?.start_container(id, None).await;
        started.map_err(|error| self.error("start", error))
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<Container> {
        self.ask("inspect", Method::GET, &format!("/containers/{id}/json"), (), Bytes::new()).await
    }

    /// Whether the engine holds a process of a container that it calls running.
    pub(crate) async fn has_process(&self, id: &str) -> Result<bool> {
        let path = format!("/containers/{id}/top");
        let found: Processes = self.ask("top", Method::GET, &path, (), Bytes::new()).await?;
        Ok(found.processes.is_some_and(|processes| !processes.is_empty()))
    }

    /// All containers with the label, running or not.
    pub(crate) async fn list(&self, label: &str) -> Result<Vec<Listed>> {
        #[derive(Serialize)]
        struct Query {
            all: bool,
            filters: String,
        }
        let filters = self.filters("list", &HashMap::from([("label", vec![label])]))?;
        self.ask("list", Method::GET, "/containers/json", Query { all: true, filters }, Bytes::new()).await
    }

    /// Removes a container that has ended, and its anonymous volumes. The engine refuses a running one.
    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().v(true).build();
        let removed = self.docker().await?.remove_container(id, Some(options)).await;
        removed.map_err(|error| self.error("remove", error))
    }

    /// Asks the engine to stop a container: signal, wait, kill, in its own hands. False when it had already ended.
    pub(crate) async fn stop(&self, id: &str, grace_seconds: u64) -> Result<bool> {
        #[derive(Serialize)]
        struct Query {
            t: u64,
        }
        let path = format!("/containers/{id}/stop");
        let asked = self.send(Method::POST, &path, Query { t: grace_seconds }, Bytes::new());
        let limit = ANSWER.saturating_add(Duration::from_secs(grace_seconds));
        let response = self.within("stop", limit, asked).await?;
        Ok(response.status() != hyper::StatusCode::NOT_MODIFIED)
    }

    /// False when it had already ended.
    pub(crate) async fn kill(&self, id: &str, signal: Signal) -> Result<bool> {
        let options = KillContainerOptionsBuilder::new().signal(&signal.to_string()).build();
        let killed = self.docker().await?.kill_container(id, Some(options)).await;
        match killed.map_err(|error| self.error("kill", error)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn upload(&self, id: &str, folder: &str, archive: Bytes) -> Result<()> {
        let options = UploadToContainerOptionsBuilder::new().path(folder).build();
        let uploaded = self.docker().await?.upload_to_container(id, Some(options), body_full(archive)).await;
        uploaded.map_err(|error| self.error("upload", error))
    }

    pub(crate) async fn image(&self, name: &str) -> Result<ImageInspect> {
        self.docker().await?.inspect_image(name).await.map_err(|error| self.error("inspect image", error))
    }

    /// One sample of a running container's usage.
    pub(crate) async fn sample(&self, id: &str) -> Result<Option<ContainerStatsResponse>> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut samples = std::pin::pin!(self.docker().await?.stats(id, Some(options)));
        samples.try_next().await.map_err(|error| self.error("stats", error))
    }

    /// Pulls an image; each item is a step of the pull.
    pub(crate) async fn pull(
        &self,
        options: bollard::query_parameters::CreateImageOptions,
        credentials: Option<bollard::auth::DockerCredentials>,
    ) -> Result<impl Stream<Item = Result<bollard::models::CreateImageInfo>> + '_> {
        let steps = self.docker().await?.create_image(Some(options), None, credentials);
        Ok(steps.map_err(|error| errors::from_pull(error, &self.endpoint)))
    }

    /// Loads an image archive.
    pub(crate) async fn load(&self, archive: Bytes) -> Result<()> {
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let steps = self.docker().await?.import_image(options, body_full(archive), None);
        steps.try_for_each(|_| std::future::ready(Ok(()))).await.map_err(|error| self.error("load image", error))
    }

    /// The engine's events since then, which it remembers, and from now on. It answers a moment before it begins to listen to
    /// itself: what happens in that moment is told by what it remembers.
    pub(crate) async fn events(
        &self,
        filters: &HashMap<&str, Vec<&str>>,
        since: Timestamp,
    ) -> Result<Response<Incoming>> {
        #[derive(Serialize)]
        struct Query {
            filters: String,
            since: i64,
        }
        let filters = self.filters("events", filters)?;
        let query = Query { filters, since: since.as_second().max(1) };
        let asked = self.send(Method::GET, "/events", query, Bytes::new());
        self.within("events", ANSWER, asked).await
    }

    /// The events that the engine remembers, of one container or all, from a time on or all, until another, both by the engine's
    /// clock. It answers when that has come.
    pub(crate) async fn past_events(
        &self,
        id: Option<&str>,
        since: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<Vec<Event>> {
        #[derive(Serialize)]
        struct Query {
            since: String,
            until: String,
            filters: String,
        }
        let of_one = |id| HashMap::from([("type", vec!["container"]), ("container", vec![id])]);
        let filters = self.filters("events", &id.map(of_one).unwrap_or_default())?;
        let since = since.map_or_else(|| "0".to_owned(), unix_time);
        let query = Query { since, until: unix_time(until), filters };
        let answer = self.answer("events", Method::GET, "/events", query, Bytes::new()).await?;
        serde_json::Deserializer::from_slice(&answer)
            .into_iter()
            .map(|event| event.map_err(|error| self.error("events", error.into())))
            .collect()
    }

    /// A container's log as the engine frames it. Answers only when there is something to read: the engine sends
    /// no header before the first record, so nothing here limits the time to it.
    pub(crate) async fn logs(&self, id: &str, query: &LogsQuery) -> Result<Response<Incoming>> {
        self.docker().await?;
        self.send(Method::GET, &format!("/containers/{id}/logs"), query, Bytes::new()).await
    }

    fn filters(&self, operation: &'static str, filters: &HashMap<&str, Vec<&str>>) -> Result<String> {
        serde_json::to_string(filters).map_err(|error| self.error(operation, error.into()))
    }

    /// Asks for something in JSON.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        query: impl Serialize,
        body: Bytes,
    ) -> Result<T> {
        let answer = self.answer(operation, method, path, query, body).await?;
        serde_json::from_slice(&answer).map_err(|error| self.error(operation, error.into()))
    }

    async fn answer(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        query: impl Serialize,
        body: Bytes,
    ) -> Result<Bytes> {
        let asked = async {
            let response = self.send(method, path, query, body).await?;
            let whole = response.into_body().collect().await;
            whole.map(Collected::to_bytes).map_err(|error| self.error(operation, error.into()))
        };
        self.within(operation, ANSWER, asked).await
    }

    async fn send(&self, method: Method, path: &str, query: impl Serialize, body: Bytes) -> Result<Response<Incoming>> {
        let version = self.docker().await?.client_version();
        let query = serde_urlencoded::to_string(query).map_err(|error| self.error("send", error.into()))?;
        let uri = format!("http://engine/v{}.{}{path}?{query}", version.major_version, version.minor_version);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(body_full(body))
            .map_err(|error| self.error("send", error.into()))?;
        let response = self.http.request(request).await.map_err(|error| self.error("send", error.into()))?;
        if response.headers().contains_key("libpod-api-version") {
            self.podman.store(true, Ordering::Relaxed);
        }
        if response.status().is_success() || response.status() == hyper::StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    async fn refusal(&self, response: Response<Incoming>) -> Error {
        #[derive(serde::Deserialize)]
        struct Refusal {
            message: String,
        }
        let status_code = response.status().as_u16();
        let body =
            http_body_util::Limited::new(response.into_body(), 64 << 10).collect().await.map(Collected::to_bytes);
        let body = body.unwrap_or_default();
        let message = serde_json::from_slice::<Refusal>(&body).map_or_else(
            |_| String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned(),
            |refusal| refusal.message,
        );
        errors::from_bollard(bollard::errors::Error::DockerResponseServerError { status_code, message }, &self.endpoint)
    }

    async fn within<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        asked: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, asked).await {
            Ok(answer) => answer.map_err(|error| error.with_operation(operation)),
            Err(_) => Err(self.error(operation, bollard::errors::Error::RequestTimeoutError)),
        }
    }
}

/// Which part of a log the engine is to send.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LogsQuery {
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    follow: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tail: Option<u32>,
}

impl LogsQuery {
    const ALL: Self = Self { stdout: true, stderr: true, timestamps: true, follow: false, since: None, tail: None };

    /// All from the given time on; with `follow`, also what is still to come.
    pub(crate) fn since(since: Option<Timestamp>, follow: bool) -> Self {
        Self { follow, since: since.map(unix_time), ..Self::ALL }
    }

    /// Only the last record.
    pub(crate) fn last_record() -> Self {
        Self { tail: Some(1), ..Self::ALL }
    }
}

/// Shared by everything that works for one host.
pub(crate) type SharedEngine = Arc<Engine>;

/// As the engine takes times.
fn unix_time(time: Timestamp) -> String {
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())
}
