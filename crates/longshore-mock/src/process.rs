//! A simulated process: what it has done by a given time follows from its program, its start and what came to it
//! from outside, and from nothing else.

use bytes::Bytes;
use jiff::Timestamp;
use longshore_core::{
    Cause, LogStream, Signal, StopReason,
    clock::{later, since},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    files::{Files, absolute},
    program::{Act, Reaction, Run},
};

/// The most bytes that one piece of output has.
const PIECE: usize = 8 << 10;

/// Limits and rates that stay the same for the life of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) memory: u64,
    pub(crate) processes: Option<u32>,
    pub(crate) cpu_millis: Option<u32>,
    pub(crate) log_cap: u64,
    pub(crate) output_rate: u64,
    pub(crate) working_directory: String,
}

/// Who sent something to a process, or ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A stop of ours.
    Stop(StopReason),
    /// Somebody behind our back.
    Outside,
    /// The process itself.
    Itself,
    /// The provider, for a reason that it tells.
    Provider(Cause),
}

/// Something that comes to a process from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) at: Timestamp,
    pub(crate) from: Sender,
    pub(crate) signal: Signal,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: Timestamp,
    pub(crate) how: How,
    pub(crate) by: Sender,
}

/// The way in which a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It never began.
    NeverStarted,
    Exited(u8),
    Signalled(Signal),
    OutOfMemory,
}

/// A piece of output: the part of it that the log keeps, and where it stands there.
pub(crate) struct Output {
    pub(crate) at: Timestamp,
    pub(crate) stream: LogStream,
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

/// A process at some moment. A clone goes on from there by itself; that is how a log is read without being kept.
#[derive(Clone)]
pub(crate) struct Process {
    limits: Arc<Limits>,
    run: Run,
    files: Arc<Files>,
    /// When it does the next thing.
    at: Timestamp,
    started: bool,
    /// How many of the inputs have come.
    taken: usize,
    /// What it is still writing of a file that it read.
    writing: Bytes,
    /// The exit that a signal's handler leads to.
    exiting: Option<(u8, Sender)>,
    halted: Option<Halt>,
    children: Vec<(Timestamp, u32)>,
    memory: u64,
    cpu: Duration,
    written: u64,
    kept: [u64; 2],
    end: Option<End>,
}

/// A process that does nothing until it is continued.
#[derive(Clone)]
struct Halt {
    left: Option<Duration>,
    held: VecDeque<Input>,
}

impl Process {
    pub(crate) fn new(run: Run, files: Files, limits: Limits, starts_at: Timestamp) -> Self {
        Self {
            limits: Arc::new(limits),
            run,
            files: Arc::new(files),
            at: starts_at,
            started: false,
            taken: 0,
            writing: Bytes::new(),
            exiting: None,
            halted: None,
            children: Vec::new(),
            memory: 0,
            cpu: Duration::ZERO,
            written: 0,
            kept: [0; 2],
            end: None,
        }
    }

    /// Goes on to the next piece of output that the log keeps, or to the given time if there is none before. What
    /// comes from outside at the time at which the process does something comes after it.
    pub(crate) fn next_output(&mut self, until: Timestamp, inputs: &[Input]) -> Option<Output> {
        while self.end.is_none() {
            let input = inputs.get(self.taken).filter(|input| input.at < self.at);
            if input.map_or(self.at, |input| input.at) > until {
                return None;
            }
            if let Some(input) = input {
                self.taken += 1;
                self.receive(*input);
                continue;
            }
            self.started = true;
            let output = self.act();
            if output.is_some() {
                return output;
            }
        }
        None
    }

    /// When something happens next; none when nothing more does by itself.
    pub(crate) fn next_change(&self, inputs: &[Input]) -> Option<Timestamp> {
        let next = inputs.get(self.taken).map_or(self.at, |input| input.at.min(self.at));
        (self.end.is_none() && next < Timestamp::MAX).then_some(next)
    }

    pub(crate) const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// How many of the inputs have come.
    pub(crate) const fn taken(&self) -> usize {
        self.taken
    }

    /// How many bytes the log keeps of what was written so far.
    pub(crate) const fn logged(&self) -> u64 {
        self.kept[0] + self.kept[1]
    }

    /// How many bytes the log keeps of the stream.
    pub(crate) const fn logged_of(&self, stream: LogStream) -> u64 {
        self.kept[stream as usize]
    }

    /// True when more was written than the log keeps.
    pub(crate) const fn is_truncated(&self) -> bool {
        self.written > self.logged()
    }

    /// The memory that it has taken, in bytes; it gives none back.
    pub(crate) const fn memory(&self) -> u64 {
        self.memory
    }

    pub(crate) const fn cpu_time(&self) -> Duration {
        self.cpu
    }

    fn finish(&mut self, at: Timestamp, how: How, by: Sender) {
        self.end = Some(End { at, how, by });
    }

    fn receive(&mut self, input: Input) {
        let Input { at, from, signal } = input;
        match (&mut self.halted, signal) {
            _ if !self.started => self.finish(at, How::NeverStarted, from),
            (_, Signal::KILL) => self.finish(at, How::Signalled(signal), from),
            (Some(_), CONT) => self.resume(at),
            (Some(halt), _) => halt.held.push_back(input),
            (None, STOP) => self.halt(at),
            (None, _) => self.react(input),
        }
    }

    fn react(&mut self, Input { at, from, signal }: Input) {
        match self.run.reaction(signal) {
            // The first process of a container is halted by nothing but SIGSTOP.
            Reaction::Nothing | Reaction::Halt => {}
            Reaction::Death => self.finish(at, How::Signalled(signal), from),
            Reaction::Exit { .. } if self.exiting.is_some() => {}
            Reaction::Exit { code, after } => {
                self.exiting = Some((code, from));
                self.at = later(at, after);
            }
        }
    }

    fn halt(&mut self, at: Timestamp) {
        let left = (self.at < Timestamp::MAX).then(|| since(self.at, at));
        self.halted = Some(Halt { left, held: VecDeque::new() });
        self.at = Timestamp::MAX;
    }

    fn resume(&mut self, at: Timestamp) {
        let Some(halt) = self.halted.take() else { return };
        self.at = halt.left.map_or(Timestamp::MAX, |left| later(at, left));
        for held in halt.held {
            if self.end.is_none() {
                self.react(Input { at, ..held });
            }
        }
    }

    /// Does the next thing.
    fn act(&mut self) -> Option<Output> {
        if let Some((code, by)) = self.exiting {
            self.finish(self.at, How::Exited(code), by);
            return None;
        }
        if !self.writing.is_empty() {
            let piece = self.writing.split_to(self.writing.len().min(PIECE));
            return self.write(LogStream::Stdout, piece);
        }
        match self.run.next() {
            Act::Write { stream, bytes } => return self.write(stream, bytes),
            Act::Sleep(duration) => self.at = later(self.at, duration),
            Act::Compute(duration) => self.compute(duration),
            Act::Forever => self.at = Timestamp::MAX,
            Act::Allocate(bytes) => self.allocate(bytes),
            Act::Raise(signal) => self.react(Input { at: self.at, from: Sender::Itself, signal }),
            Act::Read { path } => self.read(&path),
            Act::Store { path, bytes, append } => self.store(&path, &bytes, append),
            Act::Spawn { count, lifetime } => self.spawn(count, lifetime),
            Act::Exit(code) => self.finish(self.at, How::Exited(code), Sender::Itself),
        }
        None
    }

    /// Writing takes time, so that a program which writes without end does not do so in no time.
    fn write(&mut self, stream: LogStream, bytes: Bytes) -> Option<Output> {
        let length = bytes.len() as u64;
        let (at, offset) = (self.at, self.logged());
        let cost = u128::from(length) * 1_000_000_000 / u128::from(self.limits.output_rate);
        self.at = later(at, Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX)));
        self.written += length;
        let kept = length.min(self.limits.log_cap.saturating_sub(offset));
        self.kept[stream as usize] += kept;
        let bytes = bytes.slice(..usize::try_from(kept).unwrap_or(bytes.len()));
        (kept > 0).then_some(Output { at, stream, offset, bytes })
    }

    /// A limit on CPU leaves less of it in the same time.
    fn compute(&mut self, duration: Duration) {
        self.at = later(self.at, duration);
        let share = self.limits.cpu_millis.unwrap_or(1000).min(1000);
        self.cpu = self.cpu.saturating_add(duration * share / 1000);
    }

    fn allocate(&mut self, bytes: u64) {
        let wanted = self.memory.saturating_add(bytes);
        self.memory = wanted.min(self.limits.memory);
        if wanted > self.limits.memory {
            self.finish(self.at, How::OutOfMemory, Sender::Itself);
        }
    }

    fn read(&mut self, path: &str) {
        match self.files.read(&absolute(&self.limits.working_directory, path)) {
            Ok(bytes) => self.writing = bytes,
            Err(refusal) => self.run.fail(refusal),
        }
    }

    fn store(&mut self, path: &str, bytes: &[u8], append: bool) {
        let path = absolute(&self.limits.working_directory, path);
        if let Err(refusal) = Arc::make_mut(&mut self.files).write(&path, bytes, append) {
            self.run.fail(refusal);
        }
    }

    fn spawn(&mut self, count: u32, lifetime: Duration) {
        self.children.retain(|(end, _)| *end > self.at);
        let alive = self.children.iter().fold(1_u32, |sum, (_, count)| sum.saturating_add(*count));
        if self.limits.processes.is_some_and(|limit| alive.saturating_add(count) > limit) {
            return self.run.fail("Resource temporarily unavailable (os error 11)");
        }
        self.children.push((later(self.at, lifetime), count));
    }
}

/// Continues what is halted.
pub(crate) const CONT: Signal = match Signal::from_number(18) {
    Some(signal) => signal,
    None => unreachable!(),
};

/// Halts a process.
pub(crate) const STOP: Signal = match Signal::from_number(19) {
    Some(signal) => signal,
    None => unreachable!(),
};

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
