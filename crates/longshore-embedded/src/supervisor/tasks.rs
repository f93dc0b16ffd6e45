//! What this program can be executed for, other than for itself.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use super::{NAME, PROTOCOL, run, spaces};
use crate::{facts, remove, unpacker};

/// What a supervisor or helper process is executed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// To look after a container. The file is where the program is put under protection from the container.
    Run(PathBuf),
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
    /// As a supervisor whose own file no container can reach.
    Protected,
}

impl Place {
    const NAMES: [(&str, Self); 4] =
        [("root", Self::Root), ("user", Self::User), ("namespace", Self::Namespace), ("protected", Self::Protected)];
}

impl Task {
    /// The arguments for the task.
    pub(crate) fn arguments(&self, rootless: bool) -> Vec<OsString> {
        self.arguments_at(if rootless { Place::User } else { Place::Root })
    }

    fn arguments_at(&self, place: Place) -> Vec<OsString> {
        let (word, path): (&str, &Path) = match self {
            Self::Run(path) => ("run", path),
            Self::Unpack(path) => ("unpack", path),
            Self::Remove(path) => ("remove", path),
            Self::Try(path) => ("try", path),
        };
        let place = Place::NAMES.iter().find(|(_, known)| *known == place).map_or("root", |(name, _)| name);
        vec![PROTOCOL.to_string().into(), place.into(), word.into(), path.into()]
    }

    fn parse(word: &OsStr, path: &OsStr) -> Option<Self> {
        match word.to_str()? {
            "run" => Some(Self::Run(path.into())),
            "unpack" => Some(Self::Unpack(path.into())),
            "remove" => Some(Self::Remove(path.into())),
            "try" => Some(Self::Try(path.into())),
            _ => None,
        }
    }
}

/// Does what the arguments say, and returns the process's exit code.
pub(super) fn perform(arguments: &[OsString]) -> u8 {
    if let Err(error) = close_others() {
        return failed(&format!("inherited files can't be closed: {error}"));
    }
    let Some((task, place)) = understood(arguments) else {
        return failed(&format!("longshore-supervisor {PROTOCOL} does not understand {arguments:?}"));
    };
    match (place, &task) {
        (Place::User, task) => failed(&format!("a user namespace can't be entered: {}", enter(task))),
        (Place::Protected, _) => run::run(),
        (_, Task::Run(file)) => failed(&format!("its program can't be protected: {}", protect(&task, file))),
        (place, task) => match helped(task, place == Place::Namespace) {
            Ok(answer) => {
                let _ = io::stdout().write_all(answer.as_bytes());
                0
            }
            Err(error) => failed(&error.to_string()),
        },
    }
}

/// Closes all but the three standard files: what else the launching program had open is nobody's business here.
fn close_others() -> io::Result<()> {
    let names: Vec<_> = std::fs::read_dir("/proc/self/fd")?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    let numbers = names.iter().filter_map(|name| name.to_str()?.parse::<i32>().ok()).filter(|number| *number > 2);
    // The list's own is closed already.
    numbers.for_each(|number| {
        let _ = nix::unistd::close(number);
    });
    Ok(())
}

/// Launchers show whatever is said here that is no report.
fn failed(words: &str) -> u8 {
    let _ = io::stderr().write_all(words.as_bytes());
    1
}

fn understood(arguments: &[OsString]) -> Option<(Task, Place)> {
    let [protocol, place, word, path] = arguments else { return None };
    let (_, place) = Place::NAMES.into_iter().find(|(name, _)| place == name)?;
    (protocol.to_str()? == PROTOCOL.to_string()).then_some((Task::parse(word, path)?, place))
}

/// Enters a user namespace and executes this program again for the task: what was executed outside is out of reach, to
/// the kernel, for whoever is root only inside (`ptrace(2)`, on access to a process that can't be dumped).
fn enter(task: &Task) -> io::Error {
    let copy = |file: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(file, 3).map(File::from);
    let entered = copy(rustix::stdio::stderr()).and_then(|report| Ok((report, copy(rustix::stdio::stdin())?)));
    let entered = entered
        .map_err(io::Error::from)
        .and_then(|(mut report, mut answer)| spaces::enter_user_namespace(&mut report, &mut answer));
    match (entered, task) {
        (Err(error), _) => error,
        (Ok(()), Task::Run(file)) => protect(task, file),
        (Ok(()), _) => execute_again(Path::new("/proc/self/exe"), task, Place::Namespace),
    }
}

/// Executes this program again from a view of its file that can't be written through: the container's first process is
/// this program until it becomes the job's, and `/proc/self/exe` leads to its file (CVE-2019-5736).
fn protect(task: &Task, file: &Path) -> io::Error {
    let own = Path::new("/proc/self/exe");
    let by_mount = spaces::enter_mount_namespace()
        .and_then(|()| std::fs::read_link(own))
        .and_then(|path| spaces::bind_read_only(&path, file));
    match by_mount {
        Ok(()) => execute_again(file, task, Place::Protected),
        // The file has been replaced by a newer one since the launching program was started: a copy of this one, then.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match spaces::sealed_copy(own) {
            Ok(copy) => {
                let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
                execute_again(Path::new(&path), task, Place::Protected)
            }
            Err(error) => error,
        },
        Err(error) => error,
    }
}

fn execute_again(program: &Path, task: &Task, place: Place) -> io::Error {
    Command::new(program).arg0(NAME).args(task.arguments_at(place)).exec()
}

/// The tasks that are done with an answer.
fn helped(task: &Task, rootless: bool) -> io::Result<String> {
    match task {
        Task::Unpack(folder) => unpacker::unpack_here(folder, rootless),
        Task::Remove(folder) => remove::tree(folder).map(|()| String::new()),
        Task::Try(folder) => facts::try_here(folder, rootless),
        Task::Run(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}
