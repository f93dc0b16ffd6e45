//! The probe as a process: each argument is one instruction. The language is described by the library.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod signals;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    process::main(std::env::args_os().skip(1)).into()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write as _;
    // Nothing is left to do when even the complaint can't be written.
    let _ = writeln!(std::io::stderr(), "longshore-probe: it runs on Linux; the library runs anywhere");
    ExitCode::FAILURE
}
