//! The probe's script and what it finds around it.

use longshore_probe::{Context, Interpreter, ParseError, Program};
use std::collections::BTreeMap;

use super::Files;

/// What a container gives to its program. It may hold secrets and is never shown.
pub(crate) struct Surroundings {
    pub(crate) env: BTreeMap<String, Vec<u8>>,
    pub(crate) working_directory: String,
    pub(crate) hostname: String,
    pub(crate) files: Files,
    /// In bytes.
    pub(crate) memory_limit: u64,
}

/// The script at its beginning, run by root. One that is refused complains and exits, as the real program does.
pub(crate) fn interpreter(script: &[String], surroundings: Surroundings) -> Interpreter {
    let program = Program::parse(script).unwrap_or_else(|refusal| complaint(&refusal));
    let context = Context {
        env: surroundings.env.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect(),
        working_directory: surroundings.working_directory.into_bytes(),
        hostname: surroundings.hostname,
        ..Context::default()
    };
    Interpreter::new(program, context)
}

fn complaint(refusal: &ParseError) -> Program {
    let says = format!("eprint longshore-probe: {refusal}");
    let program = Program::parse([says, format!("exit {}", ParseError::EXIT_CODE)]);
    program.unwrap_or_else(|refusal| unreachable!("a complaint is a program: {refusal}"))
}
