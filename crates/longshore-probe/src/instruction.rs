//! The instructions and how they are written.

use std::{fmt, time::Duration};

use crate::{
    Signal, Stream,
    words::{DurationText, SizeText},
};

/// One instruction; the table of the language says what each does. Written by [`Display`](fmt::Display), a parsed
/// instruction gives a text that parses to the same instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instruction {
    /// `print`, `eprint`, `put` or `eput`.
    Text {
        /// Where to.
        stream: Stream,
        /// What.
        text: String,
        /// Whether a newline follows.
        newline: bool,
    },
    /// `lines` or `elines`.
    Lines {
        /// Where to.
        stream: Stream,
        /// How many.
        count: u64,
        /// The bytes of each, the newline included.
        width: u64,
    },
    /// `bytes`.
    Bytes {
        /// How many.
        count: u64,
        /// The byte.
        byte: u8,
    },
    /// `random`.
    Random {
        /// How many bytes.
        count: u64,
        /// The seed of the sequence.
        seed: u64,
    },
    /// `tick`.
    Tick {
        /// How many lines.
        count: u64,
        /// The sleep after each.
        pause: Duration,
    },
    /// `sleep`.
    Sleep(Duration),
    /// `forever`.
    Forever,
    /// `exit`.
    Exit(u8),
    /// `raise`.
    Raise(Signal),
    /// `allocate`, in bytes.
    Allocate(u64),
    /// `spin`.
    Spin(Duration),
    /// `ignore`.
    Ignore(Signal),
    /// `catch`.
    Catch {
        /// The signal.
        signal: Signal,
        /// The exit code.
        code: u8,
        /// The time before the exit.
        after: Duration,
    },
    /// `env`, with the variable's name.
    Env(String),
    /// `envs`.
    Envs,
    /// `read`, with the path.
    Read(String),
    /// `write` or `append`.
    Write {
        /// The file.
        path: String,
        /// The line without its newline.
        text: String,
        /// Whether the line is added.
        append: bool,
    },
    /// `pwd`.
    Pwd,
    /// `id`.
    Id,
    /// `hostname`.
    Hostname,
    /// `children`.
    Children {
        /// How many.
        count: u32,
        /// How long each lives.
        duration: Duration,
    },
}

/// The width of a line where none is given.
pub(crate) const DEFAULT_WIDTH: u64 = 9;

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { stream, text, newline } => write_text(f, *stream, text, *newline),
            Self::Lines { stream, count, width } => write!(f, "{}lines {count} {width}", prefix(*stream)),
            Self::Bytes { count, byte } => write!(f, "bytes {count} {}", char::from(*byte)),
            Self::Random { count, seed } => write!(f, "random {count} {seed}"),
            Self::Tick { count, pause } => write!(f, "tick {count} {}", DurationText(*pause)),
            Self::Sleep(duration) => write!(f, "sleep {}", DurationText(*duration)),
            Self::Forever => f.write_str("forever"),
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Raise(signal) => write!(f, "raise {signal}"),
            Self::Allocate(bytes) => write!(f, "allocate {}", SizeText(*bytes)),
            Self::Spin(duration) => write!(f, "spin {}", DurationText(*duration)),
            Self::Ignore(signal) => write!(f, "ignore {signal}"),
            Self::Catch { signal, code, after } => write!(f, "catch {signal} {code} {}", DurationText(*after)),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Envs => f.write_str("envs"),
            Self::Read(path) => write!(f, "read {path}"),
            Self::Write { path, text, append: false } => write!(f, "write {path} {text}"),
            Self::Write { path, text, append: true } => write!(f, "append {path} {text}"),
            Self::Pwd => f.write_str("pwd"),
            Self::Id => f.write_str("id"),
            Self::Hostname => f.write_str("hostname"),
            Self::Children { count, duration } => write!(f, "children {count} {}", DurationText(*duration)),
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, stream: Stream, text: &str, newline: bool) -> fmt::Result {
    let verb = if newline { "print" } else { "put" };
    write!(f, "{}{verb} {text}", prefix(stream))
}

fn prefix(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "",
        Stream::Stderr => "e",
    }
}
