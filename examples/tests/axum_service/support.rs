//! A service on a mock, and short words for what a test asks of it.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use axum_service::{Jobs, open_store, router};
use futures::{Stream, StreamExt, future};
use longshore::{
    ExecutionHost, ExecutorContext, SystemClock,
    mock::{MockConfig, MockExecutor, MockProvider},
    route::{self, RoutedHost, RoutingTable},
    store::LogStore,
};
use serde_json::{Value, json};
use std::{pin::pin, sync::Arc, time::Duration};
use tempfile::TempDir;
use tower_service::Service as _;

/// Longer than any test takes.
const TOO_LONG: Duration = Duration::from_secs(60);

/// What outlives a service: the database, the kept logs, and the place where jobs run.
pub(crate) struct World {
    pub(crate) provider: MockProvider,
    mock: Arc<MockExecutor>,
    folder: TempDir,
}

pub(crate) struct Service {
    pub(crate) jobs: Jobs,
    router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl World {
    pub(crate) fn new(config: &Value) -> Self {
        let context = ExecutorContext::new("unused");
        let mock = Arc::new(MockExecutor::new(&host(), MockConfig::from_value(config).unwrap(), &context));
        Self { provider: mock.provider().clone(), mock, folder: tempfile::tempdir().unwrap() }
    }

    /// Starts a service on what is there.
    pub(crate) async fn jobs(&self) -> Jobs {
        let store = open_store(self.folder.path().join("jobs.db").to_str().unwrap()).await.unwrap();
        let logs = Arc::new(LogStore::local(self.folder.path().join("logs")).unwrap());
        let hosts = vec![RoutedHost::new(host(), Arc::clone(&self.mock) as _)];
        let router = Arc::new(route::Router::new(RoutingTable::builder().hosts(hosts).build().unwrap()));
        Jobs::open(store, logs, router, Arc::new(SystemClock)).await.unwrap()
    }

    pub(crate) async fn service(&self) -> Service {
        let jobs = self.jobs().await;
        Service { router: router(jobs.clone()), jobs }
    }
}

/// Runs the test beside a service on a mock.
pub(crate) async fn with_service(config: Value, test: impl AsyncFnOnce(&Service, &World)) {
    in_time(async {
        let world = World::new(&config);
        let service = world.service().await;
        test(&service, &world).await;
        service.jobs.shut_down().await.unwrap();
    })
    .await;
}

pub(crate) async fn in_time(test: impl Future<Output = ()>) {
    tokio::time::timeout(TOO_LONG, test).await.expect("the test waits for what never comes");
}

fn host() -> ExecutionHost {
    ExecutionHost::builder().name("here".parse().unwrap()).executor_type("mock".parse().unwrap()).build()
}

/// A job whose program follows the script, in the language of `longshore-probe`.
pub(crate) fn job(script: &[&str]) -> Value {
    json!({ "name": "job", "image": "probe:1", "args": script })
}

impl Service {
    pub(crate) async fn call(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().call(request).await.unwrap().into_parts();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.call(Request::get(uri).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, uri: &str) -> Answer {
        self.call(Request::delete(uri).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, template: impl ToString) -> Answer {
        let request = Request::post("/jobs").header("content-type", "application/json");
        self.call(request.body(Body::from(template.to_string())).unwrap()).await
    }

    /// Takes a job in, and returns where it is found.
    pub(crate) async fn submit(&self, script: &[&str]) -> String {
        let answer = self.post(job(script)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        answer.headers["location"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn report(&self, job: &str) -> Value {
        self.get(job).await.json().await
    }

    /// What is told of the job, from now to its end.
    pub(crate) async fn events(&self, job: &str) -> impl Stream<Item = Value> {
        let answer = self.get(&format!("{job}/events")).await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"]),
            (StatusCode::OK, &"text/event-stream".parse().unwrap())
        );
        let parts = answer.body.into_data_stream();
        parts.flat_map(|part| {
            let text = String::from_utf8(part.unwrap().into()).unwrap();
            let told: Vec<Value> = text
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .map(|data| serde_json::from_str(data).unwrap())
                .collect();
            futures::stream::iter(told)
        })
    }

    /// Waits until the job has the status.
    pub(crate) async fn becomes(&self, job: &str, status: &str) -> Value {
        let mut told = pin!(self.events(job).await.filter(|report| future::ready(report["status"] == status)));
        told.next().await.unwrap()
    }

    pub(crate) async fn output(&self, job: &str, stream: &str) -> String {
        self.get(&format!("{job}/logs?stream={stream}")).await.text().await
    }
}

impl Answer {
    pub(crate) async fn text(self) -> String {
        String::from_utf8(to_bytes(self.body, usize::MAX).await.unwrap().into()).unwrap()
    }

    pub(crate) async fn json(self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }
}
