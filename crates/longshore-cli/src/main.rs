//! The `longshore` program: a thin door to its library.

use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_cli::main(std::env::args_os())
}
