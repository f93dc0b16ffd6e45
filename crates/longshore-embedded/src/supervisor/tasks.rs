//! What this program can be executed for, other than for itself.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{PROTOCOL, run, spaces};
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

impl Task {
    /// The arguments for the task.
    pub(crate) fn arguments(&self, rootless: bool) -> Vec<OsString> {
        let place = if rootless { "user" } else { "root" };
        let (word, path): (&str, Option<&Path>) = match self {
            Self::Run => ("run", None),
            Self::Unpack(path) => ("unpack", Some(path)),
            Self::Remove(path) => ("remove", Some(path)),
            Self::Try(path) => ("try", Some(path)),
        };
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
    let Some((task, rootless)) = understood(arguments) else {
        let _ = writeln!(io::stderr(), "longshore-supervisor {PROTOCOL} does not understand {arguments:?}");
        return 2;
    };
    if task == Task::Run {
        return run::run(rootless);
    }
    match helped(&task, rootless) {
        Ok(answer) => {
            let _ = io::stdout().write_all(answer.as_bytes());
            0
        }
        Err(error) => {
            let _ = write!(io::stderr(), "{error}");
            1
        }
    }
}

fn understood(arguments: &[OsString]) -> Option<(Task, bool)> {
    let (protocol, rest) = arguments.split_first()?;
    let (place, rest) = rest.split_first()?;
    let (word, rest) = rest.split_first()?;
    let rootless = match place.to_str()? {
        "user" => true,
        "root" => false,
        _ => return None,
    };
    let task = Task::parse(word, rest.first())?;
    (protocol.to_str()? == PROTOCOL.to_string()).then_some((task, rootless))
}

/// The tasks that are done with an answer. Their standard input begins when their user namespace is mapped.
fn helped(task: &Task, rootless: bool) -> io::Result<String> {
    if rootless {
        spaces::enter_user_namespace(&mut io::stderr(), &mut io::stdin())?;
    }
    match task {
        Task::Unpack(folder) => unpacker::unpack_here(folder, rootless),
        Task::Remove(folder) => remove::tree(folder).map(|()| String::new()),
        Task::Try(folder) => facts::try_here(folder, rootless),
        Task::Run => Err(io::ErrorKind::Unsupported.into()),
    }
}
