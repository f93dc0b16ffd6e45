//! The filter, run by an interpreter (for both architectures) and by the kernel (for this one).

mod kernel;
#[cfg(target_env = "gnu")]
mod numbers;
mod profile;

use std::collections::BTreeSet;

use nix::libc;
use seccompiler::BpfProgram;

use super::program::{self, Answer};
use super::rules;
use super::table::{ALLOWED, Architecture, Call};

/// Every call that the profile names, some of them more than once.
fn every_call() -> impl Iterator<Item = &'static Call> {
    let conditional = rules::CONDITIONAL.iter().map(|(call, _)| call);
    let by_capability = rules::BY_CAPABILITY.iter().flat_map(|(_, calls)| *calls);
    ALLOWED.iter().chain(conditional).chain(by_capability)
}

/// A set of capabilities.
fn capabilities(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The program for a container with these capabilities.
fn program_for(architecture: Architecture, names: &[&str]) -> BpfProgram {
    program::assemble(architecture, &rules::decisions(architecture, &capabilities(names)))
}

/// What the program answers to a call, with how many instructions it took.
fn run(program: &BpfProgram, audit: u32, number: u32, argument: u64) -> (u32, usize) {
    let (mut accumulator, mut at) = (0, 0);
    for steps in 1..=program.len() {
        let instruction = &program[at];
        let k = instruction.k;
        let jump = |taken: bool| usize::from(if taken { instruction.jt } else { instruction.jf });
        at += 1;
        match u32::from(instruction.code) {
            0x20 => {
                accumulator = match k {
                    0 => number,
                    4 => audit,
                    16 => argument as u32,
                    20 => (argument >> 32) as u32,
                    other => panic!("loads from {other}"),
                }
            }
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x45 => at += jump(accumulator & k != 0),
            0x54 => accumulator &= k,
            0x06 => return (k, steps),
            other => panic!("unknown instruction {other:#x}"),
        }
    }
    panic!("the program doesn't end")
}

/// What the program answers to a call through its own architecture's entry.
fn ask(program: &BpfProgram, architecture: Architecture, number: u32, argument: u64) -> u32 {
    run(program, architecture.audit(), number, argument).0
}

/// The value of the answer that lets a call through.
fn allowed() -> u32 {
    libc::SECCOMP_RET_ALLOW
}

/// The value of the answer that forbids a call.
fn denied() -> u32 {
    Answer::DENIED.value()
}

/// The value of the answer to a call that the profile is too old to know.
fn no_such_call() -> u32 {
    Answer::NO_SUCH_CALL.value()
}
