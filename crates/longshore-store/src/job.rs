//! Jobs as they are submitted and as they are kept.

use bon::Builder;
use jiff::Timestamp;
use longshore_core::{
    ContainerJob, ExecutorType, HostName, JobId, JobName, JobStatus, LaunchToken, Priority, clock::later, route::Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Actor, AttemptRecord, IdempotencyKey, WaitingFor};

/// A job that somebody hands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[non_exhaustive]
pub struct Submission {
    /// The job.
    #[builder(start_fn)]
    pub job: ContainerJob,
    /// Where it must run, when whoever submits says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Target>,
    /// What makes submitting it again harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// The finished job that it runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
}

impl From<ContainerJob> for Submission {
    fn from(job: ContainerJob) -> Self {
        Self::builder(job).build()
    }
}

impl Submission {
    /// What two submissions of the same job have in common, whenever they are made: a hash of everything that was asked,
    /// without the id, the time, and the priority, which may be changed while the job waits and is exported as it is then.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let Self { job, bound, retry_of, idempotency_key: _ } = self;
        let mut job = job.clone();
        job.id = JobId::from_uuid(uuid::Uuid::nil());
        job.created_at = Timestamp::UNIX_EPOCH;
        job.priority = Priority::default();
        let text = serde_json::to_vec(&(&job, bound, retry_of)).unwrap_or_default();
        Sha256::digest(text).into()
    }
}

/// What became of a submission; in both cases there is exactly one job, and it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Submitted {
    /// The job is new.
    New(JobId),
    /// It had been submitted before, under this id.
    Existing(JobId),
}

impl Submitted {
    /// The job's id.
    #[must_use]
    pub const fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Existing(id) => id,
        }
    }
}

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct JobRecord {
    /// What was submitted.
    pub submission: Submission,
    /// When it was stored.
    pub submitted_at: Timestamp,
    /// Where it stands.
    pub status: JobStatus,
    /// Why, in words: what it waits for, or how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it reached its terminal status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// How many attempts there are, those that were refused at the launch among them. The last one's number.
    pub attempts: u32,
    /// How many of them ran.
    pub runs: u32,
    /// The hosts that have refused to launch it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_by: Vec<HostName>,
    /// The host of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The kind of executor of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_type: Option<ExecutorType>,
    /// The exit code of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// That somebody wants it to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Request>,
    /// What keeps it in the queue while it is pending.
    #[serde(default, skip_serializing_if = "WaitingFor::is_nothing")]
    pub waiting_for: WaitingFor,
}

/// What somebody asks for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Request {
    /// Who asks.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Request {
    /// Somebody asks, at a time.
    #[must_use]
    pub const fn new(by: Actor, at: Timestamp) -> Self {
        Self { by, at, why: None }
    }

    /// The same with a reason in words.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
}

impl JobRecord {
    /// A job that has just been submitted.
    #[must_use]
    pub const fn new(submission: Submission, submitted_at: Timestamp) -> Self {
        Self {
            submission,
            submitted_at,
            status: JobStatus::Pending,
            reason: None,
            finished_at: None,
            attempts: 0,
            runs: 0,
            refused_by: Vec::new(),
            host: None,
            executor_type: None,
            exit_code: None,
            cancel: None,
            waiting_for: WaitingFor::NOTHING,
        }
    }

    /// The job's id.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.submission.job.id
    }

    /// What was asked for.
    #[must_use]
    pub const fn job(&self) -> &ContainerJob {
        &self.submission.job
    }

    /// The job's name.
    #[must_use]
    pub const fn name(&self) -> &JobName {
        &self.submission.job.template.name
    }

    /// The token of the last attempt, if there is one.
    #[must_use]
    pub fn last_attempt(&self) -> Option<LaunchToken> {
        (self.attempts > 0).then(|| LaunchToken::new(self.id(), self.attempts))
    }

    /// An attempt at it is about to be launched.
    pub(crate) fn begin(&mut self, attempt: &AttemptRecord) {
        self.status = JobStatus::Launching;
        self.reason = None;
        self.waiting_for = WaitingFor::NOTHING;
        self.attempts = attempt.token().attempt();
        self.host = Some(attempt.host().clone());
        self.executor_type = Some(attempt.request.plan.executor_type.clone());
        self.exit_code = None;
    }

    /// The place in the queue: who has the earlier one goes first.
    #[must_use]
    pub fn place_in_queue(&self) -> Timestamp {
        self.submission.job.priority.place_in_queue(self.submitted_at)
    }

    /// When it gives up waiting for a place, if ever.
    #[must_use]
    pub fn queue_deadline(&self) -> Option<Timestamp> {
        Some(later(self.submitted_at, self.submission.job.queue_timeout?))
    }
}
