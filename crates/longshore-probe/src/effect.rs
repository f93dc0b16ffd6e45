//! What a script asks its surroundings to do.

use std::{borrow::Cow, time::Duration};

use crate::{Action, Signal};

/// The most bytes that one [`Effect::Write`] holds: 8 KiB.
pub const CHUNK: usize = 8 * 1024;

/// One of the two streams of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The next thing that a script asks for. Each one is done before the next is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Write the bytes: at least one and at most [`CHUNK`].
    Write {
        /// Where to.
        stream: Stream,
        /// What.
        bytes: Vec<u8>,
    },
    /// Do nothing for so long.
    Sleep(Duration),
    /// Keep one CPU busy for so long.
    Spin(Duration),
    /// Do nothing until a signal ends the process.
    Forever,
    /// Take so many bytes of memory, write to every page and keep them.
    Allocate(u64),
    /// From now on, take the action when the signal comes.
    Disposition {
        /// The signal; never SIGKILL or SIGSTOP.
        signal: Signal,
        /// The action; never [`Action::Default`].
        action: Action,
    },
    /// Send the process itself the signal. What comes of it, [`Dispositions::reaction`](crate::Dispositions::reaction)
    /// says: after [`Reaction::Nothing`](crate::Reaction::Nothing) and [`Reaction::Halt`](crate::Reaction::Halt) the
    /// script goes on.
    Raise(Signal),
    /// Write the bytes of the file to standard output; a relative path starts at the working directory. If it can't be
    /// read, say so by [`Interpreter::fail`](crate::Interpreter::fail).
    ReadFile(String),
    /// Write the text to the file; a relative path starts at the working directory. If that fails, say so by
    /// [`Interpreter::fail`](crate::Interpreter::fail).
    WriteFile {
        /// The file.
        path: String,
        /// All of what to write, its newline included.
        text: String,
        /// Whether the text is added to what the file holds; otherwise it takes its place.
        append: bool,
    },
    /// Start so many child processes that do nothing for so long, and don't wait for them.
    Spawn {
        /// How many.
        count: u32,
        /// How long each of them lives.
        duration: Duration,
    },
    /// End with the exit code. From here on there is no other effect.
    Exit(u8),
}

impl Effect {
    /// What to say, and with which code to exit (`sysexits.h`), when the effect fails.
    pub(crate) fn failure(&self) -> (Cow<'static, str>, u8) {
        match self {
            Self::ReadFile(path) => (format!("read {path}").into(), 66),
            Self::WriteFile { path, append: false, .. } => (format!("write {path}").into(), 73),
            Self::WriteFile { path, append: true, .. } => (format!("append {path}").into(), 73),
            Self::Write { stream: Stream::Stdout, .. } => ("write to stdout".into(), 74),
            Self::Write { stream: Stream::Stderr, .. } => ("write to stderr".into(), 74),
            Self::Allocate(size) => (format!("allocate {size}").into(), 71),
            Self::Disposition { signal, .. } => (format!("set the action of {signal}").into(), 71),
            Self::Spawn { count, .. } => (format!("start {count} children").into(), 71),
            Self::Raise(signal) => (format!("raise {signal}").into(), 71),
            Self::Sleep(_) | Self::Spin(_) | Self::Forever => ("pass the time".into(), 71),
            Self::Exit(_) => ("exit".into(), 71),
        }
    }
}
