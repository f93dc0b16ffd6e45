//! The system calls that a container may make.
//!
//! The filter says what Docker's default profile says (the one that moby keeps in `moby/profiles`, as of 2026): a
//! list of harmless calls, three calls that depend on an argument, further calls for each capability that the
//! container may hold, `EPERM` for everything else. It is one BPF program, made by [`filter`] in the supervisor and
//! put in force by [`install`] in the container's first process, just before `exec`.
//!
//! - A call with a number above the largest that the profile knows answers `ENOSYS`, as under runc, so that a C
//!   library that tries something new falls back instead of giving up. So does `clone3`, whose flags a filter can't
//!   see: the C library falls back to `clone`, whose flags it can.
//! - The program is a binary search, seven or eight comparisons deep, through ranges of numbers that share an answer.
//!   The programs that seccompiler makes compare with one number after the other, and when the kernel takes a filter it
//!   follows it once for each call there is: installing took 1.3 ms that way, and takes 0.12 ms (building 0.04 ms) this
//!   way. A denied call cost 1.3 µs, and costs 0.07 µs over the 0.1 µs of any call. seccompiler still gives the types
//!   and does the installing, and in the tests a second opinion.
//! - It is one program because the search answers `ENOSYS` for free. Where a second one is stacked on it, the newest
//!   program's error number counts.
//!
//! # Where it differs from Docker
//!
//! - **Foreign architectures.** Docker also lets 32-bit programs run on a 64-bit machine. Here the kernel ends such a
//!   program (`SIGSYS`) at its first call, as seccompiler has it: a 32-bit program makes its sockets through
//!   `socketcall`, which hides their family from the filter, and the kernel's 32-bit entry is a surface of its own that
//!   hardly an image needs. The x32 variant of x86-64 gets `ENOSYS`, as from a kernel built without it.
//! - **Arguments** are compared as the kernel reads them, which is their low 32 bits; Docker compares all 64.
//! - **Old kernels.** Docker allows `ptrace`, `process_vm_readv` and `process_vm_writev` from Linux 4.8 on. The
//!   control groups (version 2, with the processor's controller) that this executor needs came later, with 4.15.
//! - **Speculation.** runc asks the kernel not to turn on the mitigation of speculative store bypass for a filtered
//!   program. Since Linux 5.16 that is the default; on an older kernel the mitigation stays on, which is slower.
//! - **Docker 24 to 27** allowed every socket family but `AF_VSOCK`. Moby's present profile
//!   names the families that are allowed, without `AF_ALG`; this follows it. Docker 24 also still allowed `io_uring`.

mod program;
mod rules;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use seccompiler::BpfProgram;

use table::Architecture;

/// Why a container can't have its filter.
#[derive(Debug)]
pub(crate) enum SeccompError {
    /// The machine's architecture, by Rust's name for it, has no table of system calls here.
    UnknownArchitecture(&'static str),
    /// The kernel refused the filter.
    Refused(seccompiler::Error),
}

impl fmt::Display for SeccompError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownArchitecture(name) => {
                write!(formatter, "no system call filter for the architecture {name}: there are x86_64 and aarch64")
            }
            Self::Refused(_) => formatter.write_str("the kernel refused the system call filter"),
        }
    }
}

impl std::error::Error for SeccompError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::UnknownArchitecture(_) => None,
            Self::Refused(error) => Some(error),
        }
    }
}

/// The filter for a container with these capabilities in its bounding set, as programs to be installed in order.
///
/// - Capabilities are named without `CAP_`, in capitals: `SYS_ADMIN`. An unknown name allows nothing more.
/// - Pure: the same capabilities give the same programs.
///
/// # Errors
///
/// [`SeccompError::UnknownArchitecture`] where the machine is neither x86-64 nor 64-bit ARM.
pub(crate) fn filter(capabilities: &BTreeSet<String>) -> Result<Vec<BpfProgram>, SeccompError> {
    let architecture = Architecture::host()?;
    Ok(vec![program::assemble(architecture, &rules::decisions(architecture, capabilities))])
}

/// Puts the programs in force for the calling thread and whatever it starts or executes from now on.
///
/// - It can't be undone, and can't be repeated without a second filter being stacked on the first.
/// - It sets `no_new_privs`.
/// - It makes two system calls a program and allocates nothing, so it may run between `fork` and `exec`. The programs
///   allow both calls, and `execve`.
///
/// # Errors
///
/// [`SeccompError::Refused`] with the kernel's reason. Programs before the refused one are then in force.
pub(crate) fn install(programs: &[BpfProgram]) -> Result<(), SeccompError> {
    programs.iter().try_for_each(|program| seccompiler::apply_filter(program).map_err(SeccompError::Refused))
}
