//! The `longshore` program: a container job, run to completion anywhere, with the habits of `docker run`.
//!
//! [`main`] is the whole program, [`command`] what can be typed, and [`RunReport`] what `longshore run --json` prints.

mod args;
mod choice;
mod commands;
mod configuration;
mod console;
mod database;
mod described;
mod env_file;
mod exit;
mod fleet;
mod help;
mod hints;
mod host;
mod image;
mod job;
mod job_id;
mod logging;
mod machine;
mod output;
mod place;
mod progress;
mod reader;
mod recording;
mod report;
mod routing;
mod settings;
mod signals;
mod text;
mod values;

use clap::{CommandFactory, Parser};
use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

pub use commands::{CleanupResult, DatabaseReport, ImportReport, Orphan, Resumed, SubmitReport};
pub use report::{CleanupReport, ErrorReport, LogReport, RunReport, Timings};

/// Runs the program with the given arguments, the first of which is its own name, and returns its exit code.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // A container's supervisor is this program under another name, and never comes back from here.
    #[cfg(all(feature = "embedded", target_os = "linux"))]
    longshore::embedded::supervise();
    let cli = match args::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(shown) => return show(&shown),
    };
    let is_service = matches!(cli.command, args::Command::Dispatch(_));
    if let Err(error) = logging::start(cli.verbose, cli.log_filter.as_deref(), is_service) {
        let _ = writeln!(io::stderr(), "longshore: {}", text::clean(&error.chain()));
        return ExitCode::from(exit::FAILED);
    }
    ExitCode::from(commands::execute(cli.command))
}

/// What can be typed, for whoever wants to look at it.
#[must_use]
pub fn command() -> clap::Command {
    args::Cli::command()
}

/// Help was asked for, or what was typed can't be read: then the code is Docker's for it, in place of clap's.
fn show(shown: &clap::Error) -> ExitCode {
    let _ = shown.print();
    if shown.use_stderr() { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS }
}
