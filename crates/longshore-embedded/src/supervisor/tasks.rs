//! What this program can be executed for, other than for itself.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    os::{fd::BorrowedFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use super::{NAME, PROTOCOL, run, spaces};
use crate::{facts, remove, unpacker};

/// What a supervisor or helper process is executed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// To look after a container.
    Run,
    /// To unpack a layer from standard input into a folder.
    Unpack(PathBuf),
    /// To remove a folder.
    Remove(PathBuf),
    /// To find out what can be done here.
    Try(PathBuf),
}

/// As whom a task is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// As root of the machine.
    Root,
    /// As an ordinary user, who is to become root of a user namespace first.
    User,
    /// As root of a user namespace.
    Namespace,
}

impl Place {
    const NAMES: [(&str, Self); 3] = [("root", Self::Root), ("user", Self::User), ("namespace", Self::Namespace)];
}

impl Task {
    /// The arguments for the task.
    pub(crate) fn arguments(&self, rootless: bool) -> Vec<OsString> {
        self.arguments_at(if rootless { Place::User } else { Place::Root })
    }

    fn arguments_at(&self, place: Place) -> Vec<OsString> {
        let (word, path): (&str, Option<&Path>) = match self {
            Self::Run => ("run", None),
            Self::Unpack(path) => ("unpack", Some(path)),
            Self::Remove(path) => ("remove", Some(path)),
            Self::Try(path) => ("try", Some(path)),
        };
        let place = Place::NAMES.iter().find(|(_, known)| *known == place).map_or("root", |(name, _)| name);
        let mut arguments = vec![PROTOCOL.to_string().into(), place.into(), word.into()];
        arguments.extend(path.map(|path| path.as_os_str().to_owned()));
        arguments
    }

    fn parse(word: &OsStr, path: Option<&OsString>) -> Option<Self> {
        match (word.to_str()?, path) {
            ("run", None) => Some(Self::Run),
            ("unpack", Some(path)) => Some(Self::Unpack(path.into())),
            ("remove", Some(path)) => Some(Self::Remove(path.into())),
            ("try", Some(path)) => Some(Self::Try(path.into())),
            _ => None,
        }
    }
}

/// Does what the arguments say, and returns the process's exit code.
pub(super) fn perform(arguments: &[OsString]) -> u8 {
    let Some((task, place)) = understood(arguments) else {
        return failed(&format!("longshore-supervisor {PROTOCOL} does not understand {arguments:?}"));
    };
    match (place, &task) {
        (Place::User, task) => failed(&enter(task).to_string()),
        (_, Task::Run) => run::run(),
        (place, task) => match helped(task, place == Place::Namespace) {
            Ok(answer) => {
                let _ = io::stdout().write_all(answer.as_bytes());
                0
            }
            Err(error) => failed(&error.to_string()),
        },
    }
}

/// Launchers show whatever is said here that is no report.
fn failed(words: &str) -> u8 {
    let _ = io::stderr().write_all(words.as_bytes());
    1
}

fn understood(arguments: &[OsString]) -> Option<(Task, Place)> {
    let (protocol, rest) = arguments.split_first()?;
    let (place, rest) = rest.split_first()?;
    let (word, rest) = rest.split_first()?;
    let (_, place) = Place::NAMES.into_iter().find(|(name, _)| place == name)?;
    let task = Task::parse(word, rest.first())?;
    (protocol.to_str()? == PROTOCOL.to_string()).then_some((task, place))
}

/// Enters a user namespace and executes this program again for the task: what was executed outside is out of reach, to
/// the kernel, for whoever is root only inside (`ptrace(2)`, on access to a process that can't be dumped).
fn enter(task: &Task) -> io::Error {
    let copy = |file: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(file, 3).map(File::from);
    let entered = copy(rustix::stdio::stderr()).and_then(|report| Ok((report, copy(rustix::stdio::stdin())?)));
    let entered = entered
        .map_err(io::Error::from)
        .and_then(|(mut report, mut answer)| spaces::enter_user_namespace(&mut report, &mut answer));
    match entered {
        Ok(()) => Command::new("/proc/self/exe").arg0(NAME).args(task.arguments_at(Place::Namespace)).exec(),
        Err(error) => error,
    }
}

/// The tasks that are done with an answer.
fn helped(task: &Task, rootless: bool) -> io::Result<String> {
    match task {
        Task::Unpack(folder) => unpacker::unpack_here(folder, rootless),
        Task::Remove(folder) => remove::tree(folder).map(|()| String::new()),
        Task::Try(folder) => facts::try_here(folder, rootless),
        Task::Run => Err(io::ErrorKind::Unsupported.into()),
    }
}
