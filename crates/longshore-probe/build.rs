//! Builds the probe's program for the feature `binary`, linked statically, so that the library can embed it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let wanted = env::var_os("CARGO_FEATURE_BINARY").is_some();
    // For any other system the library itself refuses the feature, in clearer words than a script could.
    let possible = env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|system| system == "linux");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    if !wanted || !possible {
        return ExitCode::SUCCESS;
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("cargo::error={reason}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles the library and the program that uses it with nothing but the compiler. Cargo can't be asked: it holds
/// the lock of the folder that it builds in.
fn build() -> Result<(), String> {
    let sources = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("src");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let library = out.join("liblongshore_probe.rlib");
    let mut of_library = compiler(&sources)?;
    of_library.arg("--crate-name=longshore_probe").arg("--crate-type=rlib").arg(sources.join("lib.rs"));
    run(of_library.arg("-o").arg(&library))?;
    let mut of_program = compiler(&sources)?;
    of_program.arg("--crate-name=probe").arg("--crate-type=bin").arg(sources.join("main.rs"));
    of_program.arg("--extern").arg(joined("longshore_probe=", &library));
    run(of_program.arg("-o").arg(out.join("probe")))
}

/// The compiler with the options that the library and the program share.
fn compiler(sources: &Path) -> Result<Command, String> {
    let mut command = Command::new(variable("RUSTC")?);
    command.args(["--edition=2024", "--cap-lints=allow", "--target"]).arg(variable("TARGET")?);
    let options = ["opt-level=s", "panic=abort", "strip=symbols", "target-feature=+crt-static", "codegen-units=1"];
    command.args(options.map(|option| format!("-C{option}")));
    // The program is the same wherever it is built.
    let mut remapped = joined("--remap-path-prefix=", sources);
    remapped.push("=src");
    command.arg(remapped);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg(joined("-Clinker=", Path::new(&linker)));
    }
    Ok(command)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("the compiler {command:?} can't be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).replace('\n', " | ");
    let way_out = "for a static program the target's C library must be installed as an archive (libc.a)";
    Err(format!("the probe can't be built as a static program ({}): {complaint}; {way_out}", output.status))
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("the variable {name} is missing: build it by Cargo"))
}
