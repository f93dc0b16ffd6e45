//! An execution of a job: its tasks, and what is known of them at a time.

use jiff::Timestamp;
use longshore_core::{Signal, clock::later};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::{
    error::Refusal,
    logging::{Kind, Log, Payload, Source},
    task::{Outcome, Task, Work},
};

/// An execution. It may hold secrets and is never shown.
pub(crate) struct Execution {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// When it can be seen first; it may lie in the future.
    pub(crate) created: Timestamp,
    /// Labels, annotations and what else the job's template says of executions.
    pub(crate) spec: Map<String, Value>,
    /// The template of its tasks, with overrides and defaults in it.
    pub(crate) template: Map<String, Value>,
    pub(crate) parallelism: usize,
    pub(crate) tasks: Vec<Task>,
    pub(crate) cancelled: Option<Timestamp>,
    /// When it was asked for its deletion.
    pub(crate) deleted: Option<Timestamp>,
    work: Work,
    /// When its first container may start; none as long as there is no capacity for it.
    starts: Option<Timestamp>,
    waits: bool,
    told: Told,
}

/// What has been written of it to the log for auditors.
#[derive(Default)]
struct Told {
    start: bool,
    end: bool,
}

impl Execution {
    pub(crate) fn new(
        uid: String,
        created: Timestamp,
        spec: Map<String, Value>,
        template: Map<String, Value>,
        parallelism: usize,
        tasks: Vec<Task>,
        work: Work,
    ) -> Self {
        Self {
            name: work.execution.clone(),
            uid,
            created,
            spec,
            template,
            parallelism,
            tasks,
            cancelled: None,
            deleted: None,
            work,
            starts: None,
            waits: false,
            told: Told::default(),
        }
    }

    /// When all tasks have ended; it may lie in the future.
    pub(crate) fn completed(&self) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.tasks.iter().map(|task| task.finished().map(|(at, _)| at)).collect();
        ends?.into_iter().max()
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.completed().is_some_and(|at| at <= now)
    }

    /// When the first container started.
    pub(crate) fn started(&self, now: Timestamp) -> Option<Timestamp> {
        self.tasks.iter().filter_map(|task| task.started).min().filter(|at| *at <= now)
    }

    pub(crate) fn count(&self, now: Timestamp, outcome: Outcome) -> usize {
        self.tasks.iter().filter(|task| task.outcome(now) == Some(outcome)).count()
    }

    /// What went wrong, in the words that the execution and its operation have for it.
    pub(crate) fn failure(&self, now: Timestamp) -> Option<String> {
        if self.cancelled.is_some() {
            return Some("The execution was cancelled by the user.".to_owned());
        }
        let failed = self.tasks.iter().find(|task| task.outcome(now) == Some(Outcome::Failed))?;
        let last = failed.last.as_ref()?;
        let message = last.status.as_ref().map(Refusal::message).unwrap_or_default();
        let code = last.exit_code.map(|code| format!("exit code: {code} and ")).unwrap_or_default();
        Some(format!("Task {} failed with {code}message: {message}", self.task_name(failed)))
    }

    pub(crate) fn task_name(&self, task: &Task) -> String {
        format!("{}-task{}", self.name, task.index)
    }

    /// How many containers of it were really started.
    pub(crate) fn starts(&self) -> u32 {
        self.tasks.iter().map(|task| task.starts).sum()
    }

    pub(crate) fn cancel(&mut self, now: Timestamp) {
        self.cancelled.get_or_insert(now);
        for task in &mut self.tasks {
            task.cancel(now, &self.work.pace);
        }
    }

    pub(crate) fn kill(&mut self, now: Timestamp, signal: Signal) -> bool {
        self.tasks.iter_mut().map(|task| task.kill(now, signal)).fold(false, |any, killed| any | killed)
    }

    /// Follows it to now.
    pub(crate) fn advance(&mut self, now: Timestamp, has_capacity: bool, log: &mut Log) {
        if self.created > now || self.told.end {
            return;
        }
        if self.starts.is_none() && has_capacity {
            let from = if self.waits { now } else { self.created };
            self.starts = Some(later(from, self.work.pace.start));
        }
        self.waits = !has_capacity;
        for index in 0..self.tasks.len() {
            let turn = self.turn(index);
            if let Some(task) = self.tasks.get_mut(index) {
                task.advance(now, turn, &self.work, log);
            }
        }
        self.tell(now, log);
    }

    /// When something happens to it next.
    pub(crate) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        if self.created > now {
            return Some(self.created);
        }
        let tasks = self.tasks.iter().enumerate();
        tasks.filter_map(|(index, task)| task.next_change(self.turn(index))).filter(|at| *at > now).min()
    }

    /// When the task may start: at once, or as soon as enough of those before it have ended.
    fn turn(&self, index: usize) -> Option<Timestamp> {
        let starts = self.starts?;
        let Some(must_end) = (index + 1).checked_sub(self.parallelism).filter(|ends| *ends > 0) else {
            return Some(starts);
        };
        let before = self.tasks.iter().take(index);
        let mut ends: Vec<Timestamp> = before.filter_map(|task| task.finished().map(|(at, _)| at)).collect();
        ends.sort_unstable();
        ends.get(must_end - 1).map(|end| starts.max(*end))
    }

    fn tell(&mut self, now: Timestamp, log: &mut Log) {
        if !self.told.start {
            self.told.start = true;
            self.event(self.created, "Execution has started.", log);
        }
        if !self.told.end && self.is_over(now) {
            self.told.end = true;
            let text = self.failure(now).unwrap_or_else(|| "Execution has completed successfully.".to_owned());
            self.event(self.completed().unwrap_or(now), &text, log);
        }
    }

    fn event(&self, at: Timestamp, text: &str, log: &mut Log) {
        let Work { project, region, job, execution, .. } = &self.work;
        let payload = json!({
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "run.googleapis.com",
            "methodName": "/Jobs.RunJob",
            "resourceName": format!("namespaces/{project}/executions/{execution}"),
            "status": { "message": text },
        });
        let (project, region) = (project.clone(), region.clone());
        let (job, execution) = (job.clone(), execution.clone());
        let source = Arc::new(Source { project, region, job, execution, attempt: None });
        log.write(&source, Kind::Event, at, "INFO", Payload::Proto(payload));
    }
}
