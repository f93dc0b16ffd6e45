//! A task of an execution: its attempts, one after the other.

use jiff::Timestamp;
use longshore_core::{Signal, clock::later};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    container::Container,
    error::{Code, Refusal},
    logging::{Kind, Lines, Log, Payload, Source},
    options::Pace,
};
use crate::fakes::process::{End, Process};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// What is the same for all tasks of an execution.
pub(crate) struct Work {
    pub(crate) project: String,
    pub(crate) region: String,
    pub(crate) job: String,
    pub(crate) execution: String,
    pub(crate) container: Container,
    pub(crate) task_count: u32,
    pub(crate) max_retries: u32,
    pub(crate) timeout: Duration,
    pub(crate) pace: Pace,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
    Cancelled,
}

/// How an attempt ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// What went wrong; none when nothing did.
    pub(crate) status: Option<Refusal>,
}

/// A task. It may hold secrets and is never shown.
pub(crate) struct Task {
    pub(crate) index: u32,
    pub(crate) uid: String,
    running: Option<Running>,
    /// When the next attempt starts, after a first that failed.
    retry_at: Option<Timestamp>,
    pub(crate) attempts: u32,
    /// How many containers of it were really started.
    pub(crate) starts: u32,
    pub(crate) started: Option<Timestamp>,
    pub(crate) last: Option<Attempt>,
    finished: Option<(Timestamp, Outcome)>,
    cancelled: Option<Timestamp>,
}

struct Running {
    process: Process,
    lines: Lines,
    deadline: Timestamp,
    killed_from_outside: bool,
}

impl Task {
    pub(crate) fn new(index: u32, uid: String) -> Self {
        Self {
            index,
            uid,
            running: None,
            retry_at: None,
            attempts: 0,
            starts: 0,
            started: None,
            last: None,
            finished: None,
            cancelled: None,
        }
    }

    /// When and how it ended, as far as it has been followed. It may lie in the future.
    pub(crate) fn finished(&self) -> Option<(Timestamp, Outcome)> {
        self.finished
    }

    /// How it has ended by now.
    pub(crate) fn outcome(&self, now: Timestamp) -> Option<Outcome> {
        self.finished.filter(|(at, _)| *at <= now).map(|(_, outcome)| outcome)
    }

    pub(crate) fn is_running(&self, now: Timestamp) -> bool {
        self.started.is_some_and(|at| at <= now) && self.outcome(now).is_none()
    }

    pub(crate) fn retries(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    /// When something happens to it next, if its turn comes at the given time.
    pub(crate) fn next_change(&self, turn: Option<Timestamp>) -> Option<Timestamp> {
        match (&self.finished, &self.running) {
            (Some((at, _)), _) => Some(*at),
            (None, Some(running)) => running.process.next_change(),
            (None, None) => self.retry_at.or(turn),
        }
    }

    /// Asks it to end: SIGTERM, and SIGKILL after a grace period.
    pub(crate) fn cancel(&mut self, now: Timestamp, pace: &Pace) {
        if self.finished.is_some() || self.cancelled.is_some() {
            return;
        }
        self.cancelled = Some(now);
        match &mut self.running {
            Some(running) => {
                running.process.signal(now, Signal::TERM);
                running.process.signal(later(now, GRACE), Signal::KILL);
            }
            None => self.finished = Some((later(now, pace.settle), Outcome::Cancelled)),
        }
    }

    /// Sends its container a signal behind everybody's back. False when there is no container.
    pub(crate) fn kill(&mut self, now: Timestamp, signal: Signal) -> bool {
        let Some(running) = &mut self.running else { return false };
        running.process.signal(now, signal);
        running.killed_from_outside = true;
        true
    }

    /// Follows it to now. `turn` is when it may start first.
    pub(crate) fn advance(&mut self, now: Timestamp, turn: Option<Timestamp>, work: &Work, log: &mut Log) {
        while self.finished.is_none() {
            let Some(running) = &mut self.running else {
                let Some(at) = self.retry_at.or(turn).filter(|at| *at <= now) else { return };
                self.start(at, work, log);
                continue;
            };
            let Running { process, lines, .. } = running;
            process.advance(now, |output| lines.write(&output, log));
            let Some((at, end)) = process.end() else { return };
            self.end(at, end, work, log);
        }
    }

    fn start(&mut self, at: Timestamp, work: &Work, log: &mut Log) {
        let number = self.attempts;
        self.attempts += 1;
        self.started.get_or_insert(at);
        let source = Arc::new(Source {
            project: work.project.clone(),
            region: work.region.clone(),
            job: work.job.clone(),
            execution: work.execution.clone(),
            attempt: Some((self.index, number, format!("{}{number:02x}", self.uid.replace('-', "")))),
        });
        let mut lines = Lines::new(source);
        match work.container.start(self.variables(number, work)) {
            Err(refusal) => {
                let moment = lines.next_moment(at);
                log.write(lines.source(), Kind::System, moment, "ERROR", Payload::Text(refusal.message().to_owned()));
                self.conclude(at, Attempt { status: Some(refusal), ..Attempt::default() }, work);
            }
            Ok((script, surroundings)) => {
                self.starts += 1;
                let mut process = Process::new(script, surroundings, at);
                let deadline = later(at, work.timeout);
                process.signal(deadline, Signal::TERM);
                process.signal(later(deadline, GRACE), Signal::KILL);
                self.running = Some(Running { process, lines, deadline, killed_from_outside: false });
            }
        }
    }

    /// `cloud.google.com/run/docs/container-contract#jobs-env-vars`
    fn variables(&self, attempt: u32, work: &Work) -> BTreeMap<String, String> {
        let variables = [
            ("CLOUD_RUN_JOB", work.job.clone()),
            ("CLOUD_RUN_EXECUTION", work.execution.clone()),
            ("CLOUD_RUN_TASK_INDEX", self.index.to_string()),
            ("CLOUD_RUN_TASK_ATTEMPT", attempt.to_string()),
            ("CLOUD_RUN_TASK_COUNT", work.task_count.to_string()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn end(&mut self, at: Timestamp, end: End, work: &Work, log: &mut Log) {
        let Some(mut running) = self.running.take() else { return };
        running.lines.end(at, log);
        let timed_out = at >= running.deadline && !running.killed_from_outside && self.cancelled.is_none();
        let attempt = if timed_out { timed_out_attempt(end) } else { attempt(end, work) };
        for (severity, text) in notes(end, timed_out, work) {
            let moment = running.lines.next_moment(at);
            log.write(running.lines.source(), Kind::System, moment, severity, Payload::Text(text));
        }
        self.conclude(at, attempt, work);
    }

    fn conclude(&mut self, at: Timestamp, attempt: Attempt, work: &Work) {
        let settled = later(at, work.pace.settle);
        let succeeded = attempt.status.is_none();
        self.last = Some(attempt);
        if self.cancelled.is_some() {
            self.finished = Some((settled, Outcome::Cancelled));
        } else if succeeded {
            self.finished = Some((settled, Outcome::Succeeded));
        } else if self.retries() < work.max_retries {
            self.retry_at = Some(later(at, work.pace.retry));
        } else {
            self.finished = Some((settled, Outcome::Failed));
        }
    }
}

fn attempt(end: End, work: &Work) -> Attempt {
    let failed = |code, message: &str| Some(Refusal::new(code, message));
    match end {
        End::Exited(0) => Attempt::default(),
        End::Exited(code) => Attempt {
            exit_code: Some(code.into()),
            status: failed(Code::Unknown, "The container exited with an error."),
            ..Attempt::default()
        },
        End::Killed(signal) => Attempt {
            signal: Some(signal.number().into()),
            status: failed(Code::Unknown, "The container exited with an error."),
            ..Attempt::default()
        },
        End::OutOfMemory { .. } => {
            let limit = work.container.memory_limit() >> 20;
            let message = format!("The configured memory limit was reached. The limit is {limit} MiB.");
            Attempt { signal: Some(9), status: failed(Code::ResourceExhausted, &message), ..Attempt::default() }
        }
    }
}

fn timed_out_attempt(end: End) -> Attempt {
    let status = Some(Refusal::new(Code::DeadlineExceeded, "The configured timeout was reached."));
    match end {
        End::Exited(code) => Attempt { exit_code: Some(code.into()), status, ..Attempt::default() },
        End::Killed(_) | End::OutOfMemory { .. } => Attempt { signal: Some(9), status, ..Attempt::default() },
    }
}

/// What the platform writes to its own log at the end of a container.
fn notes(end: End, timed_out: bool, work: &Work) -> Vec<(&'static str, String)> {
    let mut notes = Vec::new();
    if timed_out {
        let seconds = work.timeout.as_secs();
        let text = format!("Terminating task because it has reached the maximum timeout of {seconds} seconds.");
        notes.push(("ERROR", text));
    }
    notes.push(match end {
        End::Exited(0) => ("INFO", "Container called exit(0).".to_owned()),
        End::Exited(code) => ("WARNING", format!("Container called exit({code}).")),
        End::Killed(signal) => ("WARNING", format!("Container terminated on signal {}.", signal.number())),
        End::OutOfMemory { taken } => {
            let (limit, taken) = (work.container.memory_limit() >> 20, taken.div_ceil(1 << 20));
            let text = format!(
                "Memory limit of {limit} MiB exceeded with {taken} MiB used. Consider increasing the memory limit, see \
                 https://cloud.google.com/run/docs/configuring/memory-limits"
            );
            ("ERROR", text)
        }
    });
    notes
}
