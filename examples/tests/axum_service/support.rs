//! A service on a mock, and short words for what a test asks of it.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use axum_service::{Jobs, Limits, router};
use futures::StreamExt;
use longshore::{
    Clock, ExecutionHost, ExecutorContext, TokioClock,
    mock::{MockConfig, MockExecutor, MockProvider},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tower_service::Service as _;

/// Longer than any job of a test takes, by the paused clock.
const TOO_LONG: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct Service {
    pub(crate) jobs: Jobs,
    pub(crate) provider: MockProvider,
    router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// Runs the test beside a service on a mock, then shuts the service down: nothing may be left.
pub(crate) async fn with_service(limits: Limits, config: Value, test: impl AsyncFnOnce(&Service)) {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()));
    let context = ExecutorContext::new("unused").with_clock(Arc::clone(&clock));
    let mock = MockExecutor::new(&host(), MockConfig::from_value(&config).unwrap(), &context);
    let provider = mock.provider().clone();
    let (jobs, worker) = Jobs::new(Arc::new(mock), "service".parse().unwrap(), clock, limits);
    let service = Service { router: router(jobs.clone()), jobs, provider };
    let testing = async {
        test(&service).await;
        service.jobs.shut_down().await;
    };
    let all = async { tokio::join!(testing, worker.run()) };
    tokio::time::timeout(TOO_LONG, all).await.expect("the test waits for what never comes");
    assert_eq!(service.provider.executions(), []);
}

pub(crate) fn host() -> ExecutionHost {
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

    /// Waits until the job has written something, and returns that together with what is still to come.
    pub(crate) async fn first_output(&self, job: &str) -> (Bytes, Body) {
        let mut output = self.get(&format!("{job}/logs?follow=true")).await.body.into_data_stream();
        let first = output.next().await.unwrap().unwrap();
        (first, Body::from_stream(output))
    }

    /// Waits until the job has ended, and returns all that it wrote.
    pub(crate) async fn whole_output(&self, job: &str) -> String {
        self.get(&format!("{job}/logs?follow=true")).await.text().await
    }
}

impl Answer {
    pub(crate) async fn text(self) -> String {
        text(self.body).await
    }

    pub(crate) async fn json(self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }
}

pub(crate) async fn text(body: Body) -> String {
    String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap()
}
