//! The last steps in the container's first process, before it becomes the program.

use libcontainer::{
    oci_spec::runtime::Spec,
    workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError},
};
use longshore_core::ErrorKind;
use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    },
    unistd::execve,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, OFlags, ResolveFlags, openat2},
    process::fchdir,
};
use seccompiler::BpfProgram;
use std::{
    collections::HashMap,
    convert::Infallible,
    ffi::CString,
    fs,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::fault::Fault;
use crate::seccomp;

/// Turns the container's first process into the program.
#[derive(Clone)]
pub(super) struct Become {
    pub(super) arguments: Arc<[CString]>,
    pub(super) env: Arc<[CString]>,
    pub(super) search: String,
    pub(super) working_directory: String,
    pub(super) filter: Arc<[BpfProgram]>,
    /// Tells when the supervisor has ended.
    pub(super) supervisor: Arc<OwnedFd>,
    /// Where it is said why the program could not be executed; closed by the kernel when it is.
    pub(super) failure: Arc<OwnedFd>,
}

/// Separates a fault's kind from its words where it passes through libcontainer as text.
const MARK: &str = "longshore-fault ";

impl Executor for Become {
    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        let Err(error) = self.execute();
        // In one write below the size of a pipe's buffer, which is never interleaved.
        let said = rustix::io::write(&self.failure, error.to_text().as_bytes());
        Err(ExecutorError::Other(said.err().map_or_else(|| error.message, |error| error.to_string())))
    }

    /// Called when privileges have been dropped and the root is the container's, before the supervisor hears that the
    /// container is made.
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        self.bind_to_supervisor()
            .and_then(|()| self.enter_working_directory())
            .and_then(|()| self.program().map(|_| ()))
            .map_err(|fault| ExecutorValidationError::ArgValidationError(fault.to_text()))
    }

    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }
}

impl Become {
    /// From here on the container dies with its supervisor, whatever that dies of. The kernel forgets it when the program
    /// changes its user; then looks at the execution end it.
    fn bind_to_supervisor(&self) -> Result<(), Fault> {
        let failed = |error: std::io::Error| Fault::of("the container can't be bound to its supervisor", error);
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| failed(error.into()))?;
        let mut supervisor = [PollFd::new(&self.supervisor, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut supervisor, Some(&now)) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Fault::new(ErrorKind::StartFailed, "the supervisor has ended")),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Enters it once more, by no way but the container's own: the runtime follows the kernel's own links too.
    fn enter_working_directory(&self) -> Result<(), Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::empty())
            .and_then(|root| openat2(root, &self.working_directory, flags, Mode::empty(), resolve))
            .and_then(fchdir)
            .map_err(|error| {
                let shown = &self.working_directory;
                Fault::new(ErrorKind::Invalid, format!("the working directory {shown} can't be entered: {error}"))
            })
    }

    fn execute(&self) -> Result<Infallible, Fault> {
        let program = self.program()?;
        default_signals().map_err(|error| Fault::of("signals can't be set to their defaults", error))?;
        let path = CString::new(program.as_os_str().as_encoded_bytes())
            .map_err(|error| Fault::of("the program's path", error))?;
        seccomp::install(&self.filter).map_err(|error| Fault::of("the seccomp filter can't be installed", error))?;
        execve(&path, &self.arguments, &self.env).map_err(|error| not_executed(&program, error))
    }

    /// The program's path: as it stands when it has a `/`, else the first that can be executed in `PATH`.
    fn program(&self) -> Result<PathBuf, Fault> {
        let name = self.arguments.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.contains('/') {
            return executable(Path::new(&name)).map(|()| PathBuf::from(&name));
        }
        let mut fault =
            Fault::new(ErrorKind::CommandNotFound, format!("{name:?} is not in the image: PATH is {:?}", self.search));
        for folder in self.search.split(':').filter(|_| !name.is_empty()) {
            let path = Path::new(if folder.is_empty() { "." } else { folder }).join(&name);
            match executable(&path) {
                Ok(()) => return Ok(path),
                Err(found) if found.kind == ErrorKind::CommandNotExecutable => fault = found,
                Err(_) => {}
            }
        }
        Err(fault)
    }
}

fn executable(path: &Path) -> Result<(), Fault> {
    let shown = path.display();
    let not = |why: &str| Err(Fault::new(ErrorKind::CommandNotExecutable, format!("{shown} can't be executed: {why}")));
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => not("it is a folder"),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => not("it has no permission for it"),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => not("permission denied"),
        Err(error) => Err(Fault::new(ErrorKind::CommandNotFound, format!("{shown} is not in the image: {error}"))),
    }
}

fn not_executed(program: &Path, error: Errno) -> Fault {
    let shown = program.display();
    match error {
        // The file is there, as was looked at: what it names as its interpreter is not.
        Errno::ENOENT => {
            Fault::new(ErrorKind::CommandNotFound, format!("{shown} needs an interpreter that is not in the image"))
        }
        Errno::ENOEXEC => Fault::new(
            ErrorKind::CommandNotExecutable,
            format!(
                "{shown} can't be executed: it is no program of this machine, nor a script that names its interpreter"
            ),
        ),
        error => Fault::new(ErrorKind::CommandNotExecutable, format!("{shown} can't be executed: {}", error.desc())),
    }
}

/// What this process ignores or blocks, the program would too.
#[expect(unsafe_code, reason = "an action that is no function of ours; the kernel's default is always sound")]
fn default_signals() -> Result<(), Errno> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        unsafe { sigaction(signal, &action) }?;
    }
    SigSet::all().thread_unblock()
}

impl Fault {
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(&(self.kind, &self.message))
            .map_or_else(|_| self.message.clone(), |text| format!("{MARK}{text}"))
    }

    /// Finds a fault in the words of whoever passed it on.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (_, fault) = text.split_once(MARK)?;
        let mut found = serde_json::Deserializer::from_str(fault).into_iter::<(ErrorKind, String)>();
        let (kind, message) = found.next()?.ok()?;
        Some(Self { kind, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_whatever_is_said_around_it() {
        let fault = Fault::new(ErrorKind::CommandNotFound, "\"x\" is not in the image");
        let found = Fault::from_text(&format!("failed to create: executor: {} and more", fault.to_text())).unwrap();
        assert_eq!((found.kind, found.message), (fault.kind, fault.message));
        assert!(Fault::from_text("failed to create").is_none());
    }
}
