//! What the probe is told to write, and what it then writes: by its own interpreter.

use longshore_probe::{Context, Effect, Interpreter, Program};

use super::failure::{CaseResult, Halt};

/// One instruction of the probe, and the bytes that it writes.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) instruction: String,
    pub(crate) output: Vec<u8>,
}

/// So many numbered lines of so many bytes on stdout.
pub(crate) fn lines(count: u64, width: u64) -> CaseResult<Work> {
    work(format!("lines {count} {width}"))
}

/// So many numbered lines of so many bytes on stderr.
pub(crate) fn error_lines(count: u64, width: u64) -> CaseResult<Work> {
    work(format!("elines {count} {width}"))
}

/// So many bytes without a line break.
pub(crate) fn bytes(count: u64) -> CaseResult<Work> {
    work(format!("bytes {count}"))
}

/// So many bytes of any value.
pub(crate) fn random(count: u64, seed: u64) -> CaseResult<Work> {
    work(format!("random {count} {seed}"))
}

fn work(instruction: String) -> CaseResult<Work> {
    let program = Program::parse([&instruction]).map_err(|error| Halt::broken(error.to_string()))?;
    let mut interpreter = Interpreter::new(program, Context::default());
    let mut output = Vec::new();
    while let Effect::Write { bytes, .. } = interpreter.next_effect() {
        output.extend(bytes);
    }
    Ok(Work { instruction, output })
}
