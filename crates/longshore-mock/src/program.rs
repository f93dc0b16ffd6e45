//! The probe's language as the simulation takes it: the one place that knows the interpreter.

use bytes::Bytes;
use longshore_core::{LogStream, Signal};
use longshore_probe::{self as probe, Context, Dispositions, Effect, Interpreter, ParseError, Program};
use std::{collections::BTreeMap, time::Duration};

/// What a program does next.
pub(crate) enum Act {
    Write { stream: LogStream, bytes: Bytes },
    Sleep(Duration),
    Compute(Duration),
    Forever,
    Allocate(u64),
    Raise(Signal),
    Read { path: String },
    Store { path: String, bytes: Bytes, append: bool },
    Spawn { count: u32, lifetime: Duration },
    Exit(u8),
}

/// What becomes of a process when a signal comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaction {
    Nothing,
    Death,
    Halt,
    Exit { code: u8, after: Duration },
}

/// What the program can find out about where it runs. It may hold secrets, and is never shown.
pub(crate) struct Surroundings {
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) working_directory: String,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) hostname: String,
}

/// A program under way. A clone goes on from the same place by itself. Not to be shown either.
#[derive(Clone)]
pub(crate) struct Run {
    interpreter: Interpreter,
    dispositions: Dispositions,
}

impl Run {
    /// The program at its beginning. One that is refused complains and exits, as the real one does.
    pub(crate) fn new(instructions: &[String], surroundings: Surroundings) -> Self {
        let program = Program::parse(instructions).unwrap_or_else(|refusal| complaint(&refusal));
        let context = Context {
            env: surroundings.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            working_directory: surroundings.working_directory.into(),
            uid: surroundings.user,
            gid: surroundings.group,
            hostname: surroundings.hostname,
        };
        Self { interpreter: Interpreter::new(program, context), dispositions: Dispositions::new() }
    }

    pub(crate) fn next(&mut self) -> Act {
        loop {
            return match self.interpreter.next_effect() {
                Effect::Write { stream, bytes } => Act::Write { stream: log_stream(stream), bytes: bytes.into() },
                Effect::Sleep(duration) => Act::Sleep(duration),
                Effect::Spin(duration) => Act::Compute(duration),
                Effect::Forever => Act::Forever,
                Effect::Allocate(bytes) => Act::Allocate(bytes),
                Effect::Disposition { signal, action } => {
                    self.dispositions.set(signal, action);
                    continue;
                }
                Effect::Raise(signal) => Act::Raise(core_signal(signal)),
                Effect::ReadFile(path) => Act::Read { path },
                Effect::WriteFile { path, text, append } => Act::Store { path, bytes: text.into(), append },
                Effect::Spawn { count, duration } => Act::Spawn { count, lifetime: duration },
                Effect::Exit(code) => Act::Exit(code),
            };
        }
    }

    /// What was asked for last could not be done.
    pub(crate) fn fail(&mut self, reason: &str) {
        self.interpreter.fail(reason);
    }

    pub(crate) fn reaction(&self, signal: Signal) -> Reaction {
        let Some(signal) = probe::Signal::from_number(signal.number()) else { return Reaction::Death };
        match self.dispositions.reaction(signal) {
            probe::Reaction::Nothing => Reaction::Nothing,
            probe::Reaction::Death => Reaction::Death,
            probe::Reaction::Halt => Reaction::Halt,
            probe::Reaction::Exit { code, after } => Reaction::Exit { code, after },
        }
    }
}

fn complaint(refusal: &ParseError) -> Program {
    let says = format!("eprint longshore-probe: {refusal}");
    let program = Program::parse([says, format!("exit {}", ParseError::EXIT_CODE)]);
    program.unwrap_or_else(|refusal| unreachable!("a complaint is a program: {refusal}"))
}

const fn log_stream(stream: probe::Stream) -> LogStream {
    match stream {
        probe::Stream::Stdout => LogStream::Stdout,
        probe::Stream::Stderr => LogStream::Stderr,
    }
}

/// The two number their signals alike.
fn core_signal(signal: probe::Signal) -> Signal {
    Signal::from_number(signal.number()).unwrap_or(Signal::KILL)
}
