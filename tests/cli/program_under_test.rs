//! The `longshore` program, built for these tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_cli::main(std::env::args_os())
}
