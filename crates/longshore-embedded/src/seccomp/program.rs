//! From decisions about system calls to the BPF program that takes them.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{BpfProgram, sock_filter};

use super::table::Architecture;

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It carries the call out.
    Allow,
    /// It doesn't carry the call out, which fails with this error number.
    Fail(u16),
    /// It ends the process with `SIGSYS`.
    Kill,
}

impl Answer {
    /// "You may not", Docker's answer to whatever the profile doesn't name.
    pub(super) const DENIED: Self = Self::Fail(libc::EPERM as u16);
    /// "There is no such call", which makes a C library try an older one.
    pub(super) const NO_SUCH_CALL: Self = Self::Fail(libc::ENOSYS as u16);

    /// The answer as a filter returns it.
    pub(super) fn value(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Fail(number) => libc::SECCOMP_RET_ERRNO | u32::from(number),
            Self::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

/// Values from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// The first value.
    pub(super) first: u32,
    /// The last value.
    pub(super) last: u32,
}

/// How the answer to a call is found. Arguments are taken by their low 32 bits, which is all that the kernel reads of
/// those that are asked about here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Always this answer.
    Always(Answer),
    /// Allowed if the first argument has none of these bits, denied otherwise.
    UnlessBits(u32),
    /// Allowed if the first argument lies in one of these ranges, which are sorted and apart; denied otherwise.
    IfAmong(&'static [Range]),
}

/// The decision for all values from `from` up to where the next step begins.
#[derive(Debug, Clone, Copy)]
struct Step {
    from: u32,
    decision: Decision,
}

/// Offsets in the kernel's `struct seccomp_data`; both architectures are little-endian, so the low half comes first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// The program that takes these decisions, by call number. A number between those given is denied, one beyond them has
/// no such call, and a call through a foreign architecture's entry ends the process.
pub(super) fn assemble(architecture: Architecture, decisions: &BTreeMap<u32, Decision>) -> BpfProgram {
    let mut program =
        vec![load(ARCHITECTURE), jump(libc::BPF_JEQ, architecture.audit(), 1, 0), answer(Answer::Kill), load(NUMBER)];
    program.extend(search(&steps_by_number(decisions)));
    program
}

/// The steps from zero to the largest number there is.
fn steps_by_number(decisions: &BTreeMap<u32, Decision>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut next = 0;
    for (&number, &decision) in decisions {
        if number > next {
            push(&mut steps, next, Decision::Always(Answer::DENIED));
        }
        push(&mut steps, number, decision);
        next = number.saturating_add(1);
    }
    push(&mut steps, next, Decision::Always(Answer::NO_SUCH_CALL));
    steps
}

/// Steps that allow the ranges and deny what lies around them.
fn steps_by_range(ranges: &[Range]) -> Vec<Step> {
    let mut steps = vec![Step { from: 0, decision: Decision::Always(Answer::DENIED) }];
    for range in ranges {
        push(&mut steps, range.first, Decision::Always(Answer::Allow));
        if let Some(after) = range.last.checked_add(1) {
            push(&mut steps, after, Decision::Always(Answer::DENIED));
        }
    }
    steps
}

/// Adds a step, unless the one before already decides so. A step that begins where the last one does replaces it.
fn push(steps: &mut Vec<Step>, from: u32, decision: Decision) {
    steps.pop_if(|last| last.from == from);
    if steps.last().is_none_or(|last| last.decision != decision) {
        steps.push(Step { from, decision });
    }
}

/// Finds the step of the loaded value by halving.
fn search(steps: &[Step]) -> BpfProgram {
    let (below, above) = steps.split_at(steps.len() / 2);
    match (below, above) {
        (_, []) => Vec::new(),
        ([], [only, ..]) => take(only.decision),
        (_, [middle, ..]) => fork(middle.from, search(below), search(above)),
    }
}

/// Goes on with one program if the loaded value is smaller than `from`, with the other if it isn't.
fn fork(from: u32, below: BpfProgram, above: BpfProgram) -> BpfProgram {
    // A conditional jump reaches 255 instructions, an unconditional one any number.
    let mut program = match u8::try_from(below.len()) {
        Ok(distance) => vec![jump(libc::BPF_JGE, from, distance, 0)],
        Err(_) => vec![jump(libc::BPF_JGE, from, 0, 1), skip(below.len() as u32)],
    };
    program.extend(below);
    program.extend(above);
    program
}

/// Ends the search with the decision's answer.
fn take(decision: Decision) -> BpfProgram {
    match decision {
        Decision::Always(always) => vec![answer(always)],
        Decision::UnlessBits(bits) => {
            vec![load(FIRST_ARGUMENT), jump(libc::BPF_JSET, bits, 1, 0), answer(Answer::Allow), answer(Answer::DENIED)]
        }
        Decision::IfAmong(ranges) => {
            let mut program = vec![load(FIRST_ARGUMENT)];
            program.extend(search(&steps_by_range(ranges)));
            program
        }
    }
}

/// Loads 32 bits of what the kernel tells about the call.
fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

/// Compares the loaded value and skips as many instructions as are given for the outcome.
fn jump(comparison: u32, value: u32, if_so: u8, if_not: u8) -> sock_filter {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, value, if_so, if_not)
}

/// Skips this many instructions.
fn skip(distance: u32) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JA, distance, 0, 0)
}

/// Ends the program.
fn answer(answer: Answer) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, answer.value(), 0, 0)
}

/// One instruction; operation codes are 16 bits wide, though libc's constants are wider.
fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}
