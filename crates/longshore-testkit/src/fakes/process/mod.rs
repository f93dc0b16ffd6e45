//! A simulated container: what the probe in it has done by a given time follows from its script, its start and what
//! came to it from outside.

mod files;
mod program;

use jiff::Timestamp;
use longshore_core::{
    Signal,
    clock::{later, since},
};
use longshore_probe::{Dispositions, Effect, Interpreter, Reaction, Stream};
use std::{collections::VecDeque, time::Duration};

pub(crate) use self::files::Files;
pub(crate) use self::program::{Surroundings, interpreter};

/// How many bytes a program writes in a second: what writes without end takes time.
const OUTPUT_RATE: u64 = 256 << 20;

/// A piece of output.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) at: Timestamp,
    pub(crate) stream: Stream,
    pub(crate) bytes: Vec<u8>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with a code.
    Exited(u8),
    /// By a signal that nothing can be done against.
    Killed(Signal),
    /// It took more memory than it may.
    OutOfMemory { taken: u64 },
}

/// A process at some moment. It may hold secrets and is never shown.
pub(crate) struct Process {
    interpreter: Interpreter,
    dispositions: Dispositions,
    files: Files,
    working_directory: String,
    memory: u64,
    memory_limit: u64,
    /// When it does the next thing; none when nothing more happens by itself.
    next: Option<Timestamp>,
    /// What it is still writing of a file that it read.
    writing: VecDeque<u8>,
    /// The exit that a handler leads to.
    exiting: Option<u8>,
    halted: Option<Halt>,
    signals: VecDeque<(Timestamp, Signal)>,
    end: Option<(Timestamp, End)>,
}

/// A process that does nothing until it is continued.
struct Halt {
    left: Option<Duration>,
    held: Vec<Signal>,
}

impl Process {
    pub(crate) fn new(script: &[String], surroundings: Surroundings, starts_at: Timestamp) -> Self {
        let files = surroundings.files.clone();
        let (working_directory, memory_limit) = (surroundings.working_directory.clone(), surroundings.memory_limit);
        Self {
            interpreter: interpreter(script, surroundings),
            dispositions: Dispositions::new(),
            files,
            working_directory,
            memory: 0,
            memory_limit,
            next: Some(starts_at),
            writing: VecDeque::new(),
            exiting: None,
            halted: None,
            signals: VecDeque::new(),
            end: None,
        }
    }

    /// When and how it ended, as far as it has been followed.
    pub(crate) fn end(&self) -> Option<(Timestamp, End)> {
        self.end
    }

    /// A signal reaches it at a time to which it has not been followed yet.
    pub(crate) fn signal(&mut self, at: Timestamp, signal: Signal) {
        let earlier = self.signals.partition_point(|(known, _)| *known <= at);
        self.signals.insert(earlier, (at, signal));
    }

    /// When something happens next.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        let signal = self.signals.front().map(|(at, _)| *at);
        let next = self.next.into_iter().chain(signal).min();
        next.filter(|_| self.end.is_none())
    }

    /// Follows it to the given time.
    pub(crate) fn advance(&mut self, until: Timestamp, mut write: impl FnMut(Output)) {
        while let Some(at) = self.next_change().filter(|at| *at <= until) {
            // What it does at the same time comes before the signal.
            if self.next == Some(at) {
                if let Some(output) = self.act(at) {
                    write(output);
                }
            } else if let Some((_, signal)) = self.signals.pop_front() {
                self.receive(at, signal);
            }
        }
    }

    fn finish(&mut self, at: Timestamp, end: End) {
        self.end = Some((at, end));
    }

    fn receive(&mut self, at: Timestamp, signal: Signal) {
        match (&mut self.halted, signal) {
            (_, Signal::KILL) => self.finish(at, End::Killed(signal)),
            (Some(_), signal) if signal.number() == CONT => self.resume(at),
            (Some(halt), _) => halt.held.push(signal),
            (None, signal) if signal.number() == STOP => self.halt(at),
            (None, _) => self.react(at, signal),
        }
    }

    /// The first process of a container exits where another would die, and is not halted by what it may handle.
    fn react(&mut self, at: Timestamp, signal: Signal) {
        let Some(signal) = longshore_probe::Signal::from_number(signal.number()) else { return };
        match self.dispositions.reaction(signal) {
            Reaction::Nothing | Reaction::Halt => {}
            Reaction::Death => self.finish(at, End::Exited(signal.exit_code())),
            Reaction::Exit { .. } if self.exiting.is_some() => {}
            Reaction::Exit { code, after } => {
                self.exiting = Some(code);
                self.next = Some(later(at, after));
            }
        }
    }

    fn halt(&mut self, at: Timestamp) {
        let left = self.next.take().map(|next| since(next, at));
        self.halted = Some(Halt { left, held: Vec::new() });
    }

    fn resume(&mut self, at: Timestamp) {
        let Some(halt) = self.halted.take() else { return };
        self.next = halt.left.map(|left| later(at, left));
        for signal in halt.held {
            if self.end.is_none() {
                self.react(at, signal);
            }
        }
    }

    fn act(&mut self, at: Timestamp) -> Option<Output> {
        if let Some(code) = self.exiting {
            self.finish(at, End::Exited(code));
            return None;
        }
        if !self.writing.is_empty() {
            let piece = self.writing.len().min(longshore_probe::CHUNK);
            let bytes: Vec<u8> = self.writing.drain(..piece).collect();
            return Some(self.write(at, Stream::Stdout, bytes));
        }
        match self.interpreter.next_effect() {
            Effect::Write { stream, bytes } => return Some(self.write(at, stream, bytes)),
            Effect::Sleep(duration) | Effect::Spin(duration) => self.next = Some(later(at, duration)),
            Effect::Forever => self.next = None,
            Effect::Allocate(bytes) => self.allocate(at, bytes),
            Effect::Disposition { signal, action } => self.dispositions.set(signal, action),
            Effect::Raise(signal) => self.raise(at, signal),
            Effect::ReadFile(path) => self.read(&path),
            Effect::WriteFile { path, text, append } => self.store(&path, &text, append),
            Effect::Spawn { .. } => {}
            Effect::Exit(code) => self.finish(at, End::Exited(code)),
        }
        None
    }

    fn write(&mut self, at: Timestamp, stream: Stream, bytes: Vec<u8>) -> Output {
        let cost = bytes.len() as u64 * 1_000_000_000 / OUTPUT_RATE;
        self.next = Some(later(at, Duration::from_nanos(cost.max(1))));
        Output { at, stream, bytes }
    }

    fn raise(&mut self, at: Timestamp, signal: longshore_probe::Signal) {
        match Signal::from_number(signal.number()) {
            // The kernel keeps it from the first process of a container; the probe exits as a shell would say it.
            Some(Signal::KILL) => self.finish(at, End::Exited(signal.exit_code())),
            Some(signal) if signal.number() != STOP => self.react(at, signal),
            _ => {}
        }
    }

    fn allocate(&mut self, at: Timestamp, bytes: u64) {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > self.memory_limit {
            self.finish(at, End::OutOfMemory { taken: self.memory });
        }
    }

    fn read(&mut self, path: &str) {
        match self.files.read(&files::absolute(&self.working_directory, path)) {
            Ok(bytes) => self.writing.extend(bytes),
            Err(refusal) => self.interpreter.fail(refusal),
        }
    }

    fn store(&mut self, path: &str, text: &str, append: bool) {
        let path = files::absolute(&self.working_directory, path);
        if let Err(refusal) = self.files.write(&path, text.as_bytes(), append) {
            self.interpreter.fail(refusal);
        }
    }
}

const CONT: u8 = 18;
const STOP: u8 = 19;

#[cfg(test)]
mod tests;
