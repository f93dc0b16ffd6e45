//! What a dispatcher stores about the attempts that it holds, and what each change means for attempt, job and history:
//! the one place where that is decided, for every store.

use jiff::Timestamp;
use longshore_core::{ExecutionHandle, HostName, JobStatus, LaunchRequest, LaunchToken};
use std::sync::Arc;

use crate::{AttemptRecord, AttemptState, Charge, Outcome, SessionId, WaitingFor};

/// Something that happened to an attempt, told by its holder.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The attempt.
    pub token: LaunchToken,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happened. Clones share what is large.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// Its preparation took long: the request has a new deadline, and nothing was sent yet.
    Renewed(Arc<LaunchRequest>),
    /// It was launched.
    Launched(Arc<ExecutionHandle>),
    /// It was seen to run.
    Started,
    /// It ended, or was refused or lost; its log is kept already.
    Ended {
        /// What became of it.
        outcome: Arc<Outcome>,
        /// What it counts on budgets from now on.
        charges: Vec<Charge>,
        /// What becomes of the job.
        next: Next,
        /// Whether there is nothing at the provider to be removed.
        closed: bool,
    },
    /// The last of it was removed at the provider.
    Closed,
    /// Something to remember, such as the evidence of an end that was found later.
    Noted(String),
}

/// What becomes of a job whose attempt has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// It ends with this status.
    Finish(JobStatus),
    /// It goes back into the queue, at its old place.
    Requeue {
        /// Why, in words.
        reason: String,
        /// What it waits for there.
        waiting_for: WaitingFor,
        /// The host that has refused it for good.
        refused_by: Option<HostName>,
    },
}

impl Change {
    /// Something happened to an attempt.
    #[must_use]
    pub const fn new(token: LaunchToken, at: Timestamp, what: What) -> Self {
        Self { token, at, what }
    }

    /// What it means.
    #[must_use]
    pub fn effect(&self) -> Effect<'_> {
        use AttemptState::{Closed, Ended, Launched, Launching};
        let effect =
            |from: &'static [AttemptState], kind| Effect { from, attempt: None, job: None, kind, detail: None };
        match &self.what {
            What::Renewed(_) => effect(&[Launching], "renewed"),
            What::Launched(handle) => Effect {
                attempt: Some(Launched),
                detail: Some(format!("{} on host {}", handle.external_execution_id, handle.host)),
                ..effect(&[Launching], "launched")
            },
            What::Started => Effect { job: Some(JobMove::Run), ..effect(&[Launched], "started") },
            What::Ended { outcome, next, closed, .. } => Effect {
                attempt: Some(if *closed { Closed } else { Ended }),
                job: Some(match next {
                    Next::Finish(status) => JobMove::Finish { status: *status, reason: &outcome.reason },
                    Next::Requeue { reason, waiting_for, refused_by } => {
                        JobMove::Requeue { reason, waiting_for, refused_by: refused_by.as_ref() }
                    }
                }),
                detail: Some(outcome.reason.clone()),
                ..effect(&[Launching, Launched], "ended")
            },
            What::Closed => Effect { attempt: Some(Closed), ..effect(&[Ended], "closed") },
            What::Noted(note) => {
                Effect { detail: Some(note.clone()), ..effect(&[Launching, Launched, Ended, Closed], "noted") }
            }
        }
    }
}

impl Change {
    /// Whether this session may tell it of an attempt in this state with this holder. Notes of closed attempts, which nobody
    /// holds, may come from any session.
    pub(crate) fn may_be_told(&self, by: SessionId, holder: Option<SessionId>, state: AttemptState) -> bool {
        let is_late_note = matches!(self.what, What::Noted(_)) && state == AttemptState::Closed;
        (is_late_note || holder == Some(by)) && self.effect().from.contains(&state)
    }

    /// Whether the attempt shows that exactly this has happened already: it was told before, and the answer was lost.
    #[must_use]
    pub fn is_in(&self, attempt: &AttemptRecord) -> bool {
        match &self.what {
            What::Renewed(request) => attempt.request == **request,
            What::Launched(handle) => {
                attempt.handle.as_ref() == Some(&**handle) && attempt.launched_at == Some(self.at)
            }
            What::Started => attempt.started_at.is_some(),
            What::Ended { outcome, .. } => {
                attempt.ended_at == Some(self.at) && attempt.outcome.as_ref() == Some(&**outcome)
            }
            What::Closed => attempt.closed_at == Some(self.at),
            What::Noted(_) => false,
        }
    }
}

impl AttemptRecord {
    /// The attempt after a change.
    pub fn apply(&mut self, change: &Change) {
        self.state = change.effect().attempt.unwrap_or(self.state);
        match &change.what {
            What::Renewed(request) => self.request = (**request).clone(),
            What::Launched(handle) => {
                self.handle = Some((**handle).clone());
                self.launched_at = Some(change.at);
            }
            What::Started => self.started_at = Some(change.at),
            What::Ended { outcome, charges, .. } => {
                self.outcome = Some((**outcome).clone());
                self.charges.clone_from(charges);
                self.ended_at = Some(change.at);
            }
            What::Closed | What::Noted(_) => {}
        }
        if self.state == AttemptState::Closed {
            self.closed_at.get_or_insert(change.at);
            self.session = None;
        }
    }
}

/// What a change means for attempt, job and history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effect<'a> {
    /// The states of the attempt in which it may happen.
    pub from: &'static [AttemptState],
    /// The attempt's new state, if it changes.
    pub attempt: Option<AttemptState>,
    /// The job's move, if it moves.
    pub job: Option<JobMove<'a>>,
    /// What the history calls it.
    pub kind: &'static str,
    /// What the history tells of it, in words.
    pub detail: Option<String>,
}

/// A job's move.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobMove<'a> {
    /// It runs.
    Run,
    /// It ends.
    Finish {
        /// With this status.
        status: JobStatus,
        /// Why, in words.
        reason: &'a str,
    },
    /// It goes back into the queue.
    Requeue {
        /// Why, in words.
        reason: &'a str,
        /// What it waits for there.
        waiting_for: &'a WaitingFor,
        /// The host that has refused it for good.
        refused_by: Option<&'a HostName>,
    },
}

impl JobMove<'_> {
    /// The move of a job of which somebody has asked that it ends: it does not go back into the queue.
    #[must_use]
    pub const fn of_cancelled(self) -> Self {
        match self {
            Self::Requeue { .. } => {
                Self::Finish { status: JobStatus::Cancelled, reason: "cancelled before it was run again" }
            }
            other => other,
        }
    }

    /// The status that the job has then.
    #[must_use]
    pub const fn status(&self) -> JobStatus {
        match self {
            Self::Run => JobStatus::Running,
            Self::Finish { status, .. } => *status,
            Self::Requeue { .. } => JobStatus::Pending,
        }
    }

    /// The statuses from which the job may make the move, by the one table of moves.
    #[must_use]
    pub fn from(&self) -> Vec<JobStatus> {
        let to = self.status();
        JobStatus::MOVES.iter().filter(|(_, next)| *next == to).map(|(before, _)| *before).collect()
    }
}
