//! Long-running operations.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    error::{Code, Refusal},
    job::{Job, Readiness},
    world::World,
};

/// What an operation waits for.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A job that is made or changed.
    Deploy {
        job: String,
    },
    /// An execution that completes, by itself or cancelled.
    Complete {
        job: String,
        execution: String,
    },
    DeleteJob {
        job: String,
    },
    DeleteExecution {
        job: String,
        execution: String,
    },
    /// Nothing: a request that was only validated.
    Nothing,
}

/// An operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    target: Target,
    /// What it is about, as it was in the beginning or, once it is done, in the end.
    shown: Value,
    /// Once it is done: why it failed, if it did.
    failure: Option<Option<Refusal>>,
}

impl Operation {
    /// An operation on what is shown.
    pub(crate) fn new(name: String, created: Timestamp, target: Target, shown: Value) -> Self {
        Self { name, created, target, shown, failure: None }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.failure.is_some()
    }

    /// Looks whether what it waits for has come, and keeps how it ended: what it is about may be gone later.
    pub(crate) fn settle(&mut self, world: &World, now: Timestamp) {
        if self.is_done() {
            return;
        }
        self.failure = self.outcome(world, now).map(Result::err);
        if self.is_done() {
            self.shown = self.show(world, now).unwrap_or_else(|| self.shown.take());
        }
    }

    pub(crate) fn json(&self, world: &World, now: Timestamp) -> Value {
        let shown = || self.shown.clone();
        let Some(failure) = &self.failure else {
            return json!({ "name": self.name, "metadata": self.show(world, now).unwrap_or_else(shown) });
        };
        let mut operation = json!({ "name": self.name, "metadata": shown(), "done": true });
        match failure {
            None => operation["response"] = shown(),
            Some(failure) => operation["error"] = failure.status(),
        }
        operation
    }

    /// What it is about, as it is now.
    fn show(&self, world: &World, now: Timestamp) -> Option<Value> {
        match &self.target {
            Target::Deploy { job } | Target::DeleteJob { job } => world.show_job(job, now),
            Target::Complete { job, execution } | Target::DeleteExecution { job, execution } => {
                world.show_execution(job, execution, now)
            }
            Target::Nothing => None,
        }
    }

    /// How it has ended; none while it has not.
    fn outcome(&self, world: &World, now: Timestamp) -> Option<Result<(), Refusal>> {
        match &self.target {
            Target::Nothing => Some(Ok(())),
            Target::Deploy { job } => world.jobs.get(job).map_or_else(gone, |job| deployed(job, now)),
            Target::Complete { job, execution } => {
                let job = world.jobs.get(job);
                let known = job.and_then(|job| job.executions.iter().find(|known| known.name == *execution));
                known.map_or_else(gone, |execution| execution.is_over(now).then_some(Ok(())))
            }
            Target::DeleteJob { job } => world.jobs.get(job).is_none_or(|job| job.is_gone(now)).then_some(Ok(())),
            Target::DeleteExecution { job, execution } => {
                let known = world.jobs.get(job).and_then(|job| job.execution(execution, now));
                let is_gone = known.is_none_or(|execution| execution.deleted.is_some_and(|at| at <= now));
                is_gone.then_some(Ok(()))
            }
        }
    }
}

fn deployed(job: &Job, now: Timestamp) -> Option<Result<(), Refusal>> {
    match job.readiness(now) {
        Readiness::Reconciling => None,
        Readiness::Ready => Some(Ok(())),
        Readiness::Failed(message) => {
            let code = job.failure.as_ref().map_or(Code::Aborted, Refusal::code);
            Some(Err(Refusal::new(code, message)))
        }
    }
}

fn gone() -> Option<Result<(), Refusal>> {
    Some(Err(Refusal::new(Code::Aborted, "The resource was deleted before the operation was done.")))
}
