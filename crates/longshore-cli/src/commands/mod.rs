//! The commands, a file each.

mod completions;
mod executors;
mod man;
mod plan;
mod run;
mod schema;

use longshore::{Error, Result};
use std::{
    ffi::OsString,
    io::{self, ErrorKind, Write},
};

use crate::{args::Command, exit, text::clean};

/// Does what was asked, and returns the program's exit code.
pub(crate) fn execute(command: Command) -> u8 {
    let done = match command {
        Command::Run(args) => return run::run(&args),
        Command::Executors => print(&executors::table(&longshore::registry())),
        Command::Schema { name } => schema::text(name.as_deref()).and_then(|text| print(&text)),
        Command::Completions { shell } => print(&completions::script(shell)),
        Command::Man { folder: None } => man::pages().and_then(|pages| print(&pages)),
        Command::Man { folder: Some(folder) } => man::write(&folder),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            exit::FAILED
        }
    }
}

/// A variable of our own environment: this is the one place where it is read.
fn own_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
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

fn complain(error: &Error) {
    let _ = writeln!(io::stderr(), "longshore: {}", clean(&error.chain()));
}
