//! One execution at the provider.

use jiff::Timestamp;
use longshore_core::{
    ByteSize, Capabilities, ExecutionStatus, Harvest, LaunchRequest, LogPage, LogQuery, Result, Signal, StopReason,
    StopRequest,
    clock::{earlier, later},
};
use std::{sync::Arc, time::Duration};

use crate::{
    behaviour::Behaviour,
    logs::{self, Filling, Keeping},
    mapping,
    process::{Input, Process, Sender},
    timeline::Timeline,
};

/// How far an execution has come, in the order in which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Pending,
    Running,
    Ended,
}

/// When things happen to an execution, and what else is scripted for it from its launch on.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) created_at: Timestamp,
    pub(crate) starts_at: Timestamp,
    vanishes_at: Option<Timestamp>,
    interruption: Option<Input>,
    late_logs: Duration,
    cut_logs: Option<u64>,
}

impl Script {
    pub(crate) fn new(behaviour: &Behaviour, created_at: Timestamp) -> Self {
        let interruption = behaviour.interrupt.as_ref().map(|scripted| Input {
            at: later(created_at, scripted.after),
            from: Sender::Provider(scripted.cause),
            signal: Signal::KILL,
        });
        Self {
            created_at,
            starts_at: later(created_at, behaviour.pending.unwrap_or_default()),
            vanishes_at: behaviour.vanish.map(|after| later(created_at, after)),
            interruption,
            late_logs: behaviour.late_logs.unwrap_or_default(),
            cut_logs: behaviour.cut_logs.map(ByteSize::bytes),
        }
    }
}

/// A page of a log, and when to look again if nothing is in it.
pub(crate) struct Look {
    pub(crate) page: LogPage,
    pub(crate) again_at: Option<Timestamp>,
}

/// One execution at the provider.
pub(crate) struct Execution {
    pub(crate) id: String,
    pub(crate) request: Arc<LaunchRequest>,
    pub(crate) script: Script,
    pub(crate) log_cap: ByteSize,
    timeline: Timeline,
    /// The first stop that was asked for: its reason stays.
    stop: Option<StopReason>,
    /// The last cut of the log's connection that a reader was told of.
    cut_told: u64,
    /// How far its owner's events have told of it.
    told: Option<Stage>,
}

impl Execution {
    pub(crate) fn new(
        id: String,
        request: Arc<LaunchRequest>,
        script: Script,
        log_cap: ByteSize,
        process: Process,
    ) -> Self {
        let mut timeline = Timeline::new(process);
        if let Some(interruption) = script.interruption {
            timeline.add(interruption);
        }
        Self { id, request, script, log_cap, timeline, stop: None, cut_told: 0, told: None }
    }

    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.timeline.advance(now);
    }

    pub(crate) const fn process(&self) -> &Process {
        self.timeline.process()
    }

    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.script.vanishes_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn stage(&self, now: Timestamp) -> Stage {
        match self.process().end() {
            Some(_) => Stage::Ended,
            None if now < self.script.starts_at => Stage::Pending,
            None => Stage::Running,
        }
    }

    pub(crate) fn status(&self, now: Timestamp, capabilities: &Capabilities) -> ExecutionStatus {
        match (self.process().end(), self.stage(now)) {
            (Some(end), _) => {
                ExecutionStatus::Terminated(mapping::termination(end, self.script.starts_at, capabilities))
            }
            (None, Stage::Pending) => ExecutionStatus::Pending,
            (None, _) => ExecutionStatus::Running { started_at: Some(self.script.starts_at) },
        }
    }

    /// When something happens to it next, that anybody could want to know.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        [self.timeline.next_change(), self.script.vanishes_at].into_iter().flatten().min()
    }

    /// What its owner has not been told yet, with the times.
    pub(crate) fn untold(&mut self, now: Timestamp) -> Vec<Timestamp> {
        let stage = self.stage(now);
        let end = self.process().end();
        let has_run = end.is_none_or(|end| end.at >= self.script.starts_at);
        let steps = [
            (Stage::Pending, Some(self.script.created_at)),
            (Stage::Running, has_run.then_some(self.script.starts_at)),
            (Stage::Ended, end.map(|end| end.at)),
        ];
        let told = self.told.replace(stage);
        let news = steps.into_iter().filter(|(step, _)| *step <= stage && told.is_none_or(|told| *step > told));
        news.filter_map(|(_, at)| at).collect()
    }

    /// Begins to stop it, or cuts short the grace of the stop that is under way.
    pub(crate) fn stop(&mut self, request: &StopRequest, signal: Signal, now: Timestamp) {
        let is_first = self.stop.is_none();
        let from = Sender::Stop(*self.stop.get_or_insert(request.reason));
        let kill_at = later(now, request.grace);
        if is_first {
            if !request.grace.is_zero() {
                self.timeline.add(Input { at: now, from, signal });
            }
            return self.timeline.add(Input { at: kill_at, from, signal: Signal::KILL });
        }
        let is_kill = |input: &Input| input.from == from && input.signal == Signal::KILL;
        if !self.timeline.is_expecting(|input| is_kill(input) && input.at <= kill_at) {
            self.timeline.take_back(is_kill);
            self.timeline.add(Input { at: kill_at, from, signal: Signal::KILL });
        }
    }

    /// Something comes to it from elsewhere.
    pub(crate) fn receive(&mut self, from: Sender, signal: Signal, now: Timestamp) {
        self.timeline.add(Input { at: now, from, signal });
    }

    /// A page of what can be read by now.
    pub(crate) fn page(&self, query: &LogQuery, now: Timestamp, keeping: Keeping) -> Result<Look> {
        let readable_until = earlier(now, self.script.late_logs);
        let from = logs::place(query.cursor.as_ref(), &self.id, self.process().logged())?;
        let mut replay = self.timeline.replay(from, readable_until);
        let page = Filling::new(from, query.max_bytes, self.script.cut_logs, keeping).fill(&mut replay);
        let next = logs::cursor(&self.id, page.next);
        let is_settled = self.settled_at().is_some_and(|at| at <= now);
        let page = if is_settled && page.next == self.process().logged() {
            LogPage::last(page.records, next, keeping.completeness(self.process(), self.log_cap))
        } else {
            LogPage::open(page.records, next)
        };
        Ok(Look { page, again_at: replay.next_change().map(|at| later(at, self.script.late_logs)) })
    }

    /// True when the connection is cut at this place of the log, and nobody has been told of it yet.
    pub(crate) fn is_cut_at(&mut self, query: &LogQuery) -> Result<bool> {
        let from = logs::place(query.cursor.as_ref(), &self.id, self.process().logged())?;
        let is_cut = self.script.cut_logs.is_some_and(|every| from > self.cut_told && from.is_multiple_of(every));
        if is_cut {
            self.cut_told = from;
        }
        Ok(is_cut)
    }

    /// When its last log record can be read; none before its end.
    pub(crate) fn settled_at(&self) -> Option<Timestamp> {
        self.process().end().map(|end| later(end.at, self.script.late_logs))
    }

    /// The final truth; none before its end.
    pub(crate) fn harvest(&self, capabilities: &Capabilities) -> Option<Harvest> {
        let process = self.process();
        let termination = mapping::termination(process.end()?, self.script.starts_at, capabilities);
        let usage = mapping::usage(&termination, process);
        Some(Harvest::new(termination, Keeping::of(capabilities).summary(process, self.log_cap), usage))
    }
}
