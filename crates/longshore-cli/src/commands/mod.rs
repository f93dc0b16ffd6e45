//! The commands, a file each.

mod cleanup;
mod completions;
mod config;
mod db;
mod dispatch;
mod executors;
mod hosts;
mod jobs;
mod man;
mod pauses;
mod plan;
mod route;
mod run;
mod schema;
mod submit;
mod templates;

use longshore::{Error, Result};
use std::{
    ffi::OsString,
    io::{self, ErrorKind, Write},
    path::PathBuf,
};

pub use cleanup::{CleanupResult, Orphan};
pub use db::{DatabaseReport, ImportReport};
pub use pauses::Resumed;
pub use submit::SubmitReport;

use crate::{args::Command, configuration, exit, text::clean};

/// Does what was asked, and returns the program's exit code.
pub(crate) fn execute(command: Command) -> u8 {
    let done = match command {
        Command::Run(args) => return run::run(&args),
        Command::Submit(args) => waited(submit::submit(&args)),
        Command::Jobs { command } => waited(jobs::jobs(&command)),
        Command::Dispatch(args) => waited(dispatch::dispatch(&args)),
        Command::Cleanup(args) => waited(cleanup::cleanup(&args)),
        Command::Db { command } => waited(db::db(&command)),
        Command::Templates { command } => waited(templates::templates(&command)),
        Command::Route(args) => waited(route::route(&args)),
        Command::Hosts { command } => waited(hosts::hosts(&command)),
        Command::Config { command } => config::config(&command),
        Command::Executors => printed(&executors::table(&longshore::registry())),
        Command::Schema { name } => schema::text(name.as_deref()).and_then(|text| printed(&text)),
        Command::Completions { shell } => printed(&completions::script(shell)),
        Command::Man { folder: None } => man::pages().and_then(|pages| printed(&pages)),
        Command::Man { folder: Some(folder) } => man::write(&folder).map(|()| 0),
    };
    done.unwrap_or_else(|error| {
        complain(&error);
        exit::FAILED
    })
}

/// Waits for what takes its time.
fn waited(asked: impl Future<Output = Result<u8>>) -> Result<u8> {
    let runtime = runtime()?;
    let done = runtime.block_on(asked);
    runtime.shutdown_background();
    done
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Error::new(longshore::ErrorKind::Unexpected, "the program can't start its threads").with_source(error)
    })
}

/// A variable of our own environment: this is the one place where it is read.
pub(crate) fn own_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// All of them.
pub(crate) fn own_variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// The folder in which the program was started; no path at all where it is gone.
pub(crate) fn own_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

fn printed(text: &str) -> Result<u8> {
    print(text).map(|()| 0)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(longshore::ErrorKind::Unexpected, "the result can't be written as JSON").with_source(error)
}

/// Writes to stdout. A reader that has heard enough is no error.
fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(longshore::ErrorKind::Unexpected, "stdout can't be written to").with_source(error))
        }
        _ => Ok(()),
    }
}

/// Says something that is worth knowing.
pub(crate) fn notice(text: &str) {
    let _ = writeln!(io::stderr(), "longshore: {}", clean(text));
}

fn complain(error: &Error) {
    let mut stderr = io::stderr();
    let _ = match configuration::problems_of(error) {
        Some(problems) => writeln!(stderr, "{problems}\n\nlongshore: {}", clean(error.message())),
        None => writeln!(stderr, "longshore: {}", clean(&error.chain())),
    };
}
