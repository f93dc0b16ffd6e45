//! A plain client of the fake: JSON in, JSON out, and nothing done behind anybody's back.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::{client::legacy, rt::TokioExecutor};
use jiff::Timestamp;
use longshore_core::{
    Clock,
    clock::{later, since},
};
use longshore_testkit::fakes::cloudrun::{FakeCloudRun, Options};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// A clock that is turned by hand.
#[derive(Debug)]
pub(crate) struct Turned(watch::Sender<Timestamp>);

#[async_trait]
impl Clock for Turned {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let end = later(self.now(), duration);
        self.0.subscribe().wait_for(|now| since(end, *now).is_zero()).await.unwrap();
    }
}

/// A fake, and somebody who may call it. Time passes where a test says so.
pub(crate) struct Bench {
    pub(crate) fake: FakeCloudRun,
    clock: Arc<Turned>,
    client: legacy::Client<legacy::connect::HttpConnector, Full<Bytes>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// Its JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Requires that it is a refusal with this status and code.
    #[track_caller]
    pub(crate) fn is_refusal(&self, status: u16, code: &str) -> String {
        let error = self.json()["error"].clone();
        assert_eq!((self.status.as_u16(), error["status"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(error["code"], status, "{}", self.text);
        error["message"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let clock = Arc::new(Turned(watch::Sender::new(Timestamp::UNIX_EPOCH)));
        let fake = FakeCloudRun::start(clock.clone(), options).await.unwrap();
        Self { fake, clock, client: legacy::Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, duration: Duration) {
        self.clock.0.send_modify(|now| *now = later(*now, duration));
    }

    pub(crate) fn parent(&self) -> String {
        format!("v2/projects/{}/locations/{}", self.fake.project(), self.fake.region())
    }

    /// Sends a request with a good token to the admin API; the path begins behind the region.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = format!("{}/{}/{path}", self.fake.endpoint(), self.parent());
        self.send(method, &url, body, Some(&self.fake.token())).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn entries(&self, body: Value) -> Answer {
        let url = format!("{}/v2/entries:list", self.fake.logging_endpoint());
        self.send(Method::POST, &url, Some(body), Some(&self.fake.token())).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<Value>,
        token: Option<&str>,
    ) -> Result<Answer, legacy::Error> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json; charset=utf-8");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let response = self.client.request(request.body(Full::new(body)).unwrap()).await?;
        Ok(read(response).await)
    }

    /// Posts a form.
    pub(crate) async fn form(&self, url: &str, form: &str) -> Answer {
        let request = Request::post(url).header("content-type", "application/x-www-form-urlencoded");
        let body = Full::new(Bytes::from(form.to_owned()));
        read(self.client.request(request.body(body).unwrap()).await.unwrap()).await
    }

    /// A job that runs the script once.
    pub(crate) fn job(&self, script: &[&str]) -> Value {
        json!({ "template": { "template": {
            "maxRetries": 0,
            "containers": [{ "image": self.fake.probe_image(), "args": script }],
        } } })
    }

    /// Makes the job with the token `a`, waits until its execution has ended, and returns that.
    pub(crate) async fn run(&self, name: &str, mut job: Value) -> Value {
        job["startExecutionToken"] = json!("a");
        self.post(&format!("jobs?jobId={name}"), job).await.ok();
        self.ended(name, &format!("{name}-a")).await
    }

    pub(crate) async fn ended(&self, job: &str, execution: &str) -> Value {
        let path = format!("jobs/{job}/executions/{execution}");
        self.until("the execution ends", async || {
            let execution = self.get(&path).await.json();
            (!execution["completionTime"].is_null()).then_some(execution)
        })
        .await
    }

    /// The only task of the execution.
    pub(crate) async fn task(&self, job: &str, execution: &str) -> Value {
        let tasks = self.get(&format!("jobs/{job}/executions/{execution}/tasks")).await.ok();
        assert_eq!(tasks["tasks"].as_array().map(Vec::len), Some(1), "{tasks}");
        tasks["tasks"][0].clone()
    }

    /// What the execution wrote to the log, as `log: text`, once there is so much of it.
    pub(crate) async fn log(&self, execution: &str, at_least: usize) -> Vec<String> {
        let filter = format!("labels.\"run.googleapis.com/execution_name\"=\"{execution}\"");
        self.until("the log is there", async || {
            let body = json!({ "resourceNames": [format!("projects/{}", self.fake.project())], "filter": filter });
            let entries = self.entries(body).await.ok();
            let entries = entries["entries"].as_array().cloned().unwrap_or_default();
            (entries.len() >= at_least).then(|| entries.iter().map(line).collect())
        })
        .await
    }

    /// Lets time pass until it has come to that.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        for _ in 0..2_000 {
            if let Some(found) = look().await {
                return found;
            }
            self.pass(Duration::from_millis(100));
        }
        panic!("{what}: it did not come to that");
    }

    /// Waits for the operation, while time passes.
    pub(crate) async fn waited(&self, operation: &Value, body: Value) -> Value {
        let id = operation["name"].as_str().unwrap().rsplit('/').next().unwrap();
        let path = format!("operations/{id}:wait");
        let answer = self.post(&path, body);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer.ok(),
                () = tokio::time::sleep(Duration::from_millis(1)) => self.pass(Duration::from_secs(1)),
            }
        }
    }
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let text = body.collect().await.map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap());
    let text = text.unwrap_or_else(|error| format!("broken off: {error}"));
    Answer { status: parts.status, headers: parts.headers, text }
}

/// An entry as `log: text`.
pub(crate) fn line(entry: &Value) -> String {
    let name = entry["logName"].as_str().unwrap();
    let log = name.rsplit("%2F").next().unwrap();
    match entry["textPayload"].as_str() {
        Some(text) => format!("{log}: {text}"),
        None if entry["jsonPayload"].is_object() => format!("{log}: {}", entry["jsonPayload"]),
        None => format!("{log}: {}", entry["protoPayload"]["status"]["message"].as_str().unwrap()),
    }
}
