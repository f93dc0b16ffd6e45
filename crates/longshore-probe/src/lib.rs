//! A small program with a language of its own, to try container executors with.
//!
//! The same script runs in two ways, and an executor that is right can't tell them apart:
//!
//! - as a process: the program `longshore-probe` takes one instruction from each of its arguments;
//! - as values: an [`Interpreter`] tells its caller one [`Effect`] after the other and does nothing itself, so that
//!   a simulator can run thousands of scripts on a clock of its own.
//!
//! ```
//! use std::time::Duration;
//! use longshore_probe::{Context, Effect, Interpreter, Program, Stream};
//!
//! let program = Program::parse(["print hello", "sleep 100ms", "exit 3"])?;
//! let mut interpreter = Interpreter::new(program, Context::default());
//! assert_eq!(interpreter.next_effect(), Effect::Write { stream: Stream::Stdout, bytes: b"hello\n".to_vec() });
//! assert_eq!(interpreter.next_effect(), Effect::Sleep(Duration::from_millis(100)));
//! assert_eq!(interpreter.next_effect(), Effect::Exit(3));
//! # Ok::<(), longshore_probe::ParseError>(())
//! ```
//!
#![doc = include_str!("language.md")]

mod dispositions;
mod effect;
mod instruction;
mod interpreter;
mod output;
mod parse;
mod program;
mod random;
mod signal;
mod words;

pub use self::{
    dispositions::{Action, Dispositions, Reaction},
    effect::{CHUNK, Effect, Stream},
    instruction::Instruction,
    interpreter::{Context, Interpreter},
    program::{ParseError, Program},
    random::random_bytes,
    signal::Signal,
};

#[cfg(all(feature = "binary", not(target_os = "linux")))]
compile_error!("the feature `binary` of longshore-probe embeds a program for Linux: build it for a Linux target");

#[cfg(all(feature = "binary", target_os = "linux"))]
mod image;
#[cfg(all(feature = "binary", target_os = "linux"))]
pub use self::image::{BINARY, image_archive};
