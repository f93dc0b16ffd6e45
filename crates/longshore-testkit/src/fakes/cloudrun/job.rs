//! A job: what it is to run, and what of it was run.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{error::Refusal, execution::Execution, rules::text};

/// A job. It may hold secrets and is never shown.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// What was asked for, with what is given by default.
    pub(crate) spec: Map<String, Value>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) generation: u64,
    /// When the last change of it is deployed.
    pub(crate) ready: Timestamp,
    /// Why it can't be deployed.
    pub(crate) failure: Option<Refusal>,
    pub(crate) executions: Vec<Execution>,
    pub(crate) executions_made: u32,
    /// How many containers were started in executions that were removed.
    pub(crate) forgotten_starts: u32,
    /// When it is gone.
    pub(crate) gone: Option<Timestamp>,
}

/// What a token in a job asks to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Started,
    Completed,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    Reconciling,
    Ready,
    Failed(String),
}

impl Job {
    pub(crate) fn etag(&self) -> String {
        format!("\"{}-{}\"", self.uid.split('-').next().unwrap_or_default(), self.generation)
    }

    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.gone.is_some_and(|at| at <= now)
    }

    /// The executions that can be seen by now, the oldest first.
    pub(crate) fn visible(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = &Execution> {
        self.executions.iter().filter(move |execution| execution.created <= now)
    }

    pub(crate) fn execution(&self, name: &str, now: Timestamp) -> Option<&Execution> {
        self.visible(now).find(|execution| execution.name == name)
    }

    /// How many containers of it were really started.
    pub(crate) fn starts(&self) -> u32 {
        self.forgotten_starts + self.executions.iter().map(Execution::starts).sum::<u32>()
    }

    /// Removes the executions that are gone, and the oldest of those that have ended where there are too many.
    pub(crate) fn forget(&mut self, kept: usize, now: Timestamp) {
        let before = self.starts();
        let is_gone = |execution: &Execution| execution.deleted.is_some_and(|at| at <= now);
        self.executions.retain(|execution| !is_gone(execution));
        let ended = self.executions.iter().filter(|execution| execution.is_over(now)).count();
        let mut surplus = ended.saturating_sub(kept);
        self.executions.retain(|execution| {
            let stays = surplus == 0 || !execution.is_over(now);
            surplus -= usize::from(!stays);
            stays
        });
        self.forgotten_starts += before - self.starts();
    }

    /// The execution that its token asks for, and what the job waits for of it.
    pub(crate) fn by_token(&self) -> Option<(String, Until)> {
        let started = text(&self.spec, "startExecutionToken").map(|token| (token, Until::Started));
        let asked = started.or_else(|| text(&self.spec, "runExecutionToken").map(|token| (token, Until::Completed)));
        asked.map(|(token, until)| (format!("{}-{token}", self.name), until))
    }

    pub(crate) fn readiness(&self, now: Timestamp) -> Readiness {
        if self.ready > now {
            return Readiness::Reconciling;
        }
        if let Some(failure) = &self.failure {
            return Readiness::Failed(failure.message().to_owned());
        }
        match self.by_token() {
            None => Readiness::Ready,
            Some((name, until)) => match self.executions.iter().find(|execution| execution.name == name) {
                Some(execution) => until.readiness(execution, now),
                None => Readiness::Ready,
            },
        }
    }
}

impl Until {
    /// Whether the execution has come so far.
    pub(crate) fn readiness(self, execution: &Execution, now: Timestamp) -> Readiness {
        match self {
            Self::Started if execution.started(now).is_some() || execution.is_over(now) => Readiness::Ready,
            Self::Completed if execution.is_over(now) => {
                execution.failure(now).map_or(Readiness::Ready, Readiness::Failed)
            }
            Self::Started | Self::Completed => Readiness::Reconciling,
        }
    }
}
