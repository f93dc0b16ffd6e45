//! Attempts: one try at a job on one host, from the intent to the last trace removed.

use jiff::Timestamp;
use longshore_core::{
    Cause, ExecutionHandle, HostName, JobStatus, LaunchRequest, LaunchToken, LogSummary, Termination, Usage,
    price::{Estimate, Money},
    route::{BudgetName, RouteDecision},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LogReference, SessionId};

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AttemptState {
    /// The intent is stored. Whether the launch was sent nobody knows but its holder.
    Launching,
    /// It was launched, and its handle is stored.
    Launched,
    /// What became of it is stored, its log included; what it left at the provider is still to be removed.
    Ended,
    /// Nothing of it is left at the provider.
    Closed,
}

impl AttemptState {
    /// Whether it takes a place on its host.
    #[must_use]
    pub const fn takes_place(self) -> bool {
        matches!(self, Self::Launching | Self::Launched)
    }

    /// Whether somebody has still something to do for it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// An attempt as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// Everything that is sent to launch it.
    pub request: LaunchRequest,
    /// Why it goes where it goes.
    pub decision: RouteDecision,
    /// What it counts on budgets: as estimated until its end, then as charged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// Where it stands.
    pub state: AttemptState,
    /// Who looks after it; absent while nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Until when a launch by a former holder may still be on its way, where it was taken over while it was launching.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_at: Option<Timestamp>,
    /// What finds it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<ExecutionHandle>,
    /// When its intent was stored.
    pub created_at: Timestamp,
    /// When its handle was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Timestamp>,
    /// When it was first seen to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its outcome was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When the last of it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl AttemptRecord {
    /// An attempt whose intent is being stored.
    #[must_use]
    pub fn new(intent: Intent, session: SessionId, now: Timestamp) -> Self {
        Self {
            request: intent.request,
            decision: intent.decision,
            charges: intent.charges,
            state: AttemptState::Launching,
            session: Some(session),
            quiet_at: None,
            handle: None,
            created_at: now,
            launched_at: None,
            started_at: None,
            ended_at: None,
            closed_at: None,
            outcome: None,
        }
    }

    /// The attempt's token.
    #[must_use]
    pub const fn token(&self) -> LaunchToken {
        self.request.token
    }

    /// The host that it is for.
    #[must_use]
    pub const fn host(&self) -> &HostName {
        &self.request.plan.host
    }
}

/// What is about to be launched: stored before anything is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Intent {
    /// Everything that will be sent.
    pub request: LaunchRequest,
    /// Why it goes there.
    pub decision: RouteDecision,
    /// What it reserves of the budgets that it counts on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
}

impl Intent {
    /// An intent.
    #[must_use]
    pub const fn new(request: LaunchRequest, decision: RouteDecision, charges: Vec<Charge>) -> Self {
        Self { request, decision, charges }
    }
}

/// What an attempt counts on one budget in one of its periods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Charge {
    /// The budget.
    pub budget: BudgetName,
    /// When the period began; absent for a budget that has no periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Timestamp>,
    /// How much.
    pub amount: Money,
}

impl Charge {
    /// So much of a budget's period.
    #[must_use]
    pub const fn new(budget: BudgetName, period: Option<Timestamp>, amount: Money) -> Self {
        Self { budget, period, amount }
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Outcome {
    /// The status that a job has which ends with it.
    pub status: JobStatus,
    /// In words: the cause, the refusal, or why it is lost.
    pub reason: String,
    /// How it ended; absent when it was refused at the launch, or is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination: Option<Termination>,
    /// What it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What its log held when it was harvested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogSummary>,
    /// Where the log is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReference>,
    /// Its standard output, where that is one JSON value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parsed_output: Option<serde_json::Value>,
    /// What it cost, or why that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Estimate>,
}

impl Outcome {
    /// An outcome without details.
    #[must_use]
    pub fn new(status: JobStatus, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            termination: None,
            usage: None,
            logs: None,
            log: None,
            parsed_output: None,
            cost: None,
        }
    }

    /// It ended so.
    #[must_use]
    pub fn of_end(termination: Termination) -> Self {
        let mut outcome = Self::new(termination.job_status(), termination.cause.to_string());
        outcome.termination = Some(termination);
        outcome
    }

    /// What became of it can't be proven.
    #[must_use]
    pub fn lost(reason: impl Into<String>) -> Self {
        Self::new(JobStatus::Lost, reason)
    }

    /// The cause of its end, where it is known to have ended.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.termination.as_ref().map(|termination| termination.cause)
    }

    /// The exit code, where it has one.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.termination.as_ref().and_then(|termination| termination.exit_code)
    }
}
