//! Talks to the Cloud Run Admin API v2 and to Cloud Logging v2. Every answer leaves this file either as what was asked
//! for or as Longshore's error. <https://cloud.google.com/run/docs/reference/rest>

use jiff::Timestamp;
use longshore_core::{Clock, Error, ErrorKind, Result};
use longshore_http::{Authority, AuthorityScheme, Client, Failure, Idempotency, Page, Request, Traffic, pages_until};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

use crate::{
    config::CloudRunConfig,
    mapping::{
        answers::{Execution, Job, Task},
        entries::{self, Answer},
        errors::{self, Place},
    },
    quotas::Limits,
};

/// Google's own addresses.
const ENDPOINT: &str = "https://run.googleapis.com";
const LOGGING_ENDPOINT: &str = "https://logging.googleapis.com";

/// How many things of a list are asked for at once; the API gives fewer where it likes.
const PAGE: u32 = 500;
/// How much of a page of log entries is read at most. Entries are at most 256 KiB.
const LOG_PAGE_BYTES: usize = 24 << 20;
/// How long a read of the log may take: its quota may have to be waited for.
const LOG_TIME: Duration = Duration::from_secs(600);
/// How many times longer than one of its tries a request may take in all, its quota included.
const TRIES: u32 = 3;

/// The two APIs for one project and region.
#[derive(Debug)]
pub(crate) struct Api {
    run: Client,
    logging: Client,
    limits: Limits,
    log_time: Duration,
    pub(crate) project: String,
    pub(crate) region: String,
}

/// What part of a log is asked for.
#[derive(Debug, Clone)]
pub(crate) struct LogQuestion {
    pub(crate) filter: String,
    pub(crate) page_token: Option<String>,
    pub(crate) page_size: u32,
}

/// A page of a log, or that its entries are too long for so many of them at once.
#[derive(Debug)]
pub(crate) enum LogAnswer {
    Page(Answer),
    TooLong,
}

impl Api {
    /// Makes the clients. Talks to nobody yet.
    pub(crate) fn new(
        config: &CloudRunConfig,
        region: &str,
        authority: &Arc<dyn Authority>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self> {
        let run = config.endpoint.as_deref().unwrap_or(ENDPOINT);
        let logging = config.logging_endpoint.as_deref().unwrap_or(LOGGING_ENDPOINT);
        let limits = Limits::of(config.quotas, (run, logging), (&config.project, region), clock);
        let a_try = config.request_timeout.0;
        let client = |base: &str, setting: &'static str| {
            let builder =
                Client::builder(base, Arc::clone(clock)).map_err(|error| error.with_context("setting", setting))?;
            builder
                .authorized_by(Arc::clone(authority), AuthorityScheme::Bearer)
                .with_times(a_try * TRIES, a_try)
                .build()
        };
        Ok(Self {
            run: client(run, "executor_config.endpoint")?,
            logging: client(logging, "executor_config.logging_endpoint")?,
            limits,
            log_time: LOG_TIME.max(a_try * TRIES),
            project: config.project.clone(),
            region: region.to_owned(),
        })
    }

    /// Where the Admin API answers, for people.
    pub(crate) fn address(&self) -> &str {
        self.run.base()
    }

    /// What went over the wire to both.
    pub(crate) fn traffic(&self) -> (Traffic, Traffic) {
        (self.run.traffic(), self.logging.traffic())
    }

    fn error(&self, failure: Failure) -> Error {
        errors::explained(failure, Place { project: &self.project, region: &self.region })
    }

    /// A question, answered without the blanks that Google adds for people.
    fn get(&self, path: String) -> Request<'_> {
        self.run.get(path).query("prettyPrint", false).limited_by(&self.limits.reads)
    }

    fn parent(&self) -> String {
        format!("/v2/projects/{}/locations/{}", self.project, self.region)
    }

    fn job_path(&self, job: &str) -> String {
        format!("{}/jobs/{job}", self.parent())
    }

    fn execution_path(&self, job: &str, execution: &str) -> String {
        format!("{}/jobs/{job}/executions/{execution}", self.parent())
    }

    /// Creates a job, and with it its execution. Sent once, and never after the deadline.
    pub(crate) async fn create_job(&self, id: &str, job: &Value, deadline: Timestamp) -> Result<()> {
        let created = self.run.post(format!("{}/jobs", self.parent())).query("jobId", id).body(job);
        created
            .sent_before(deadline)
            .limited_by(&self.limits.writes)
            .reply()
            .await
            .map(drop)
            .map_err(|failure| self.error(failure))
    }

    /// Asks whether a job could be created, creating none.
    pub(crate) async fn validate_job(&self, id: &str, job: &Value) -> Result<()> {
        let asked = self.run.post(format!("{}/jobs", self.parent())).query("jobId", id).query("validateOnly", true);
        let asked = asked.body(job).idempotency(Idempotency::Idempotent).limited_by(&self.limits.writes);
        asked.reply().await.map(drop).map_err(|failure| self.error(failure))
    }

    /// The job of this id; `None` when there is none.
    pub(crate) async fn job(&self, id: &str) -> Result<Option<Job>> {
        let asked = self.get(self.job_path(id)).json().await;
        self.or_none(asked)
    }

    /// Removes a job with its executions. False when there is none.
    pub(crate) async fn delete_job(&self, id: &str) -> Result<bool> {
        let asked = self.run.delete(self.job_path(id)).limited_by(&self.limits.writes).reply().await;
        Ok(self.or_none(asked)?.is_some())
    }

    /// The execution; `None` when there is none.
    pub(crate) async fn execution(&self, job: &str, execution: &str) -> Result<Option<Execution>> {
        let asked = self.get(self.execution_path(job, execution)).query("fields", Execution::FIELDS);
        let answer = asked.json().await;
        self.or_none(answer)
    }

    /// The only task of an execution; `None` when the API shows none.
    pub(crate) async fn task(&self, job: &str, execution: &str) -> Result<Option<Task>> {
        #[derive(Deserialize)]
        struct Tasks {
            #[serde(default)]
            tasks: Vec<Task>,
        }
        let path = format!("{}/tasks", self.execution_path(job, execution));
        let asked = self.get(path).query("fields", "tasks(completionTime,conditions,lastAttemptResult)");
        let answer: Result<Option<Tasks>> = self.or_none(asked.json().await);
        Ok(answer?.and_then(|answer| answer.tasks.into_iter().next()))
    }

    /// Stops an execution. False when it has already ended, or there is none.
    pub(crate) async fn cancel(&self, job: &str, execution: &str) -> Result<bool> {
        let path = format!("{}:cancel", self.execution_path(job, execution));
        let asked = self.run.post(path).body(&json!({})).idempotency(Idempotency::Idempotent);
        match asked.limited_by(&self.limits.writes).reply().await.map_err(|failure| self.error(failure)) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All executions of the project and region, of each what `keep` makes of it, until it is enough: of so many kept
    /// after so many pages.
    pub(crate) async fn executions<K>(
        &self,
        is_enough: impl Fn(&[K], usize) -> bool,
        keep: impl FnMut(Execution) -> Option<K>,
    ) -> Result<Vec<K>> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Listed {
            executions: Vec<Execution>,
            next_page_token: Option<String>,
        }
        let path = format!("{}/jobs/-/executions", self.parent());
        let fields = format!("executions({}),nextPageToken", Execution::FIELDS);
        let ask = async |token: Option<String>| {
            let asked = self.get(path.clone()).query("pageSize", PAGE).query("fields", &fields);
            let listed: Listed = asked.maybe_query("pageToken", token).json().await?;
            Ok(Page::new(listed.executions, listed.next_page_token.filter(|token| !token.is_empty())))
        };
        pages_until(is_enough, ask, keep).await.map_err(|failure| self.error(failure))
    }

    /// That jobs can be listed.
    pub(crate) async fn can_list(&self) -> Result<()> {
        self.jobs_by(1, |_, _| true, |_| Some(())).await.map(drop)
    }

    /// All jobs of the project and region, of each what `keep` makes of it.
    pub(crate) async fn jobs<K>(&self, keep: impl FnMut(Job) -> Option<K>) -> Result<Vec<K>> {
        self.jobs_by(PAGE, |_, _| false, keep).await
    }

    async fn jobs_by<K>(
        &self,
        size: u32,
        is_enough: impl Fn(&[K], usize) -> bool,
        keep: impl FnMut(Job) -> Option<K>,
    ) -> Result<Vec<K>> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Listed {
            jobs: Vec<Job>,
            next_page_token: Option<String>,
        }
        let path = format!("{}/jobs", self.parent());
        let fields = "jobs(name,labels,annotations,deleteTime,reconciling,terminalCondition,conditions,latestCreatedExecution),nextPageToken";
        let ask = async |token: Option<String>| {
            let asked = self.get(path.clone()).query("pageSize", size).query("fields", fields);
            let listed: Listed = asked.maybe_query("pageToken", token).json().await?;
            Ok(Page::new(listed.jobs, listed.next_page_token.filter(|token| !token.is_empty())))
        };
        pages_until(is_enough, ask, keep).await.map_err(|failure| self.error(failure))
    }

    /// What asks for the output of executions between two times.
    pub(crate) fn log_filter(&self, executions: &[&str], from: Timestamp, to: Timestamp) -> String {
        entries::filter(&self.project, &self.region, executions, from, to)
    }

    /// One page of log entries.
    pub(crate) async fn log_page(&self, question: &LogQuestion) -> Result<LogAnswer> {
        let mut body = json!({
            "resourceNames": [format!("projects/{}", self.project)],
            "filter": question.filter,
            "orderBy": "timestamp asc",
            "pageSize": question.page_size,
        });
        if let Some(token) = &question.page_token {
            body["pageToken"] = token.clone().into();
        }
        let asked = self
            .logging
            .post("/v2/entries:list")
            .query("prettyPrint", false)
            .query("fields", entries::FIELDS)
            .body(&body);
        let asked = asked.idempotency(Idempotency::Idempotent).most_bytes(LOG_PAGE_BYTES).within(self.log_time);
        match asked.limited_by(&self.limits.log_reads).json().await {
            Ok(answer) => Ok(LogAnswer::Page(answer)),
            Err(Failure::TooLong(_)) => Ok(LogAnswer::TooLong),
            Err(failure) => Err(self.error(failure).with_context("api", "Cloud Logging")),
        }
    }

    fn or_none<T>(&self, answer: Result<T, Failure>) -> Result<Option<T>> {
        match answer.map_err(|failure| self.error(failure)) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
