//! The `longshore` program: a thin door to its library.

use std::process::ExitCode;

/// Two fifths of what a busy dispatcher does is asking for memory and copying into it: a fifth more jobs a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    longshore_cli::main(std::env::args_os())
}
