//! A script, followed without doing anything.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use crate::{
    Action, Effect, Instruction, Program, Stream,
    output::{Output, Source},
};

/// What a process knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The environment, in bytes as the system has it: neither names nor values need be text.
    pub env: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The working directory, in bytes likewise.
    pub working_directory: Vec<u8>,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The name of the host.
    pub hostname: String,
}

/// Follows a script and tells its caller what to do.
///
/// - Ask for an effect, do it, and ask for the next, until [`Effect::Exit`].
/// - What could not be done is said by [`fail`](Self::fail) before the next effect is asked for.
/// - Signals are the caller's: it keeps [`Dispositions`](crate::Dispositions) by [`Effect::Disposition`], and when a
///   signal ends the process it asks for no more.
#[derive(Debug, Clone)]
pub struct Interpreter {
    program: Program,
    context: Context,
    next: usize,
    running: Running,
    /// The exit code after the last instruction.
    code: u8,
    elapsed: Duration,
    /// What to say, and the exit code, if the last effect fails.
    failure: (Cow<'static, str>, u8),
}

/// The rest of an instruction that has more than one effect.
#[derive(Debug, Clone)]
enum Running {
    Nothing,
    Output(Output),
    Ticks { next: u64, count: u64, pause: Duration, written: bool },
}

impl Interpreter {
    /// An interpreter at the start of the script.
    #[must_use]
    pub fn new(program: Program, context: Context) -> Self {
        let failure = ("start".into(), 71);
        Self { program, context, next: 0, running: Running::Nothing, code: 0, elapsed: Duration::ZERO, failure }
    }

    /// What to do next. After [`Effect::Exit`] it is the same for ever; so it is after [`Effect::Forever`].
    pub fn next_effect(&mut self) -> Effect {
        let effect = self.step();
        if let Effect::Sleep(duration) | Effect::Spin(duration) = effect {
            self.elapsed = self.elapsed.saturating_add(duration);
        }
        self.failure = effect.failure();
        effect
    }

    /// The last effect could not be done, for the given reason: the next ones are a complaint on standard error and
    /// the exit with the code that the language has for it.
    pub fn fail(&mut self, reason: &str) {
        let (what, code) = &self.failure;
        let complaint = format!("longshore-probe: {what}: {reason}\n");
        self.end(*code);
        self.running = Running::Output(Output::new(Stream::Stderr, Source::Text(complaint.into_bytes())));
    }

    /// The sum of all sleeping and spinning that was asked for so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn step(&mut self) -> Effect {
        loop {
            if let Some(effect) = self.running.next() {
                return effect;
            }
            self.running = Running::Nothing;
            let Some(instruction) = self.program.instructions().get(self.next).cloned() else {
                return Effect::Exit(self.code);
            };
            self.next += 1;
            if let Some(effect) = self.begin(instruction) {
                return effect;
            }
        }
    }

    /// The instruction's only effect; without one, what is running has been set.
    fn begin(&mut self, instruction: Instruction) -> Option<Effect> {
        match instruction {
            Instruction::Text { stream, mut text, newline } => {
                text.extend(newline.then_some('\n'));
                self.write(stream, Source::Text(text.into_bytes()))
            }
            Instruction::Lines { stream, count, width } => self.write(stream, Source::Lines { count, width }),
            Instruction::Bytes { count, byte } => self.write(Stream::Stdout, Source::Bytes { count, byte }),
            Instruction::Random { count, seed } => self.write(Stream::Stdout, Source::Random { count, seed }),
            Instruction::Tick { count, pause } => {
                self.running = Running::Ticks { next: 1, count, pause, written: false };
                None
            }
            Instruction::Sleep(duration) => Some(Effect::Sleep(duration)),
            Instruction::Forever => {
                self.next -= 1;
                Some(Effect::Forever)
            }
            Instruction::Exit(code) => {
                self.end(code);
                None
            }
            Instruction::Raise(signal) => Some(Effect::Raise(signal)),
            Instruction::Allocate(bytes) => Some(Effect::Allocate(bytes)),
            Instruction::Spin(duration) => Some(Effect::Spin(duration)),
            Instruction::Ignore(signal) => Some(Effect::Disposition { signal, action: Action::Ignore }),
            Instruction::Catch { signal, code, after } => {
                Some(Effect::Disposition { signal, action: Action::Exit { code, after } })
            }
            Instruction::Env(name) => self.answer(self.context.variable(&name)),
            Instruction::Envs => self.answer(self.context.variables()),
            Instruction::Read(path) => Some(Effect::ReadFile(path)),
            Instruction::Write { path, text, append } => Some(Effect::WriteFile { path, text: text + "\n", append }),
            Instruction::Pwd => self.answer([&self.context.working_directory, b"\n".as_slice()].concat()),
            Instruction::Id => self.answer(format!("uid={} gid={}\n", self.context.uid, self.context.gid)),
            Instruction::Hostname => self.answer(format!("{}\n", self.context.hostname)),
            Instruction::Children { count, duration } => Some(Effect::Spawn { count, duration }),
        }
    }

    fn answer(&mut self, bytes: impl Into<Vec<u8>>) -> Option<Effect> {
        self.write(Stream::Stdout, Source::Text(bytes.into()))
    }

    fn write(&mut self, stream: Stream, source: Source) -> Option<Effect> {
        self.running = Running::Output(Output::new(stream, source));
        None
    }

    fn end(&mut self, code: u8) {
        self.next = self.program.instructions().len();
        self.code = code;
    }
}

impl Running {
    fn next(&mut self) -> Option<Effect> {
        match self {
            Self::Nothing => None,
            Self::Output(output) => output.next(),
            Self::Ticks { next, count, pause, written } => {
                if *next > *count {
                    return None;
                }
                *written = !*written;
                if *written {
                    let bytes = format!("tick {next}\n").into_bytes();
                    return Some(Effect::Write { stream: Stream::Stdout, bytes });
                }
                *next = next.saturating_add(1);
                Some(Effect::Sleep(*pause))
            }
        }
    }
}

impl Context {
    fn variable(&self, name: &str) -> Vec<u8> {
        match self.env.get(name.as_bytes()) {
            Some(value) => [value, b"\n".as_slice()].concat(),
            None => format!("{name} is not set\n").into_bytes(),
        }
    }

    fn variables(&self) -> Vec<u8> {
        self.env.iter().flat_map(|(name, value)| [name, b"=".as_slice(), value, b"\n"].concat()).collect()
    }
}

impl Default for Context {
    /// Root in `/` on `localhost`, without an environment.
    fn default() -> Self {
        Self { env: BTreeMap::new(), working_directory: "/".into(), uid: 0, gid: 0, hostname: "localhost".into() }
    }
}

#[cfg(test)]
#[path = "interpreter_tests.rs"]
mod tests;
