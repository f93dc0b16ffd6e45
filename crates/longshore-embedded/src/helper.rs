//! Executing this program again: as a supervisor, or for a task that needs another user namespace.

use longshore_core::{Error, ErrorKind, Result};
use std::{
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, Command},
};

use crate::{
    machine::{self, Identity, Range},
    state::Process,
    supervisor::{self, GO, NAME, Report, Task},
};

/// What executes this program again.
#[derive(Debug, Clone)]
pub(crate) struct Helpers {
    configured: Option<PathBuf>,
    pub(crate) identity: Identity,
}

/// A program that was executed, and the pipes to it.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) child: Child,
    pub(crate) input: ChildStdin,
    pub(crate) report: BufReader<ChildStderr>,
}

impl Helpers {
    pub(crate) fn new(configured: Option<PathBuf>) -> Self {
        Self { configured, identity: Identity::of_this_process() }
    }

    /// The program to execute: what is configured, else this one where it is ready for it, else `longshore`.
    ///
    /// # Errors
    /// `Unsupported`, with the three ways out.
    pub(crate) fn program(&self) -> Result<PathBuf> {
        if let Some(configured) = &self.configured {
            return Ok(configured.clone());
        }
        if supervisor::is_ready() {
            return Ok(PathBuf::from("/proc/self/exe"));
        }
        machine::program("longshore").ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "nothing is there to look after containers: call longshore::embedded::supervise() first in main, install \
                 the longshore program on PATH, or name it by executor_config.supervisor",
            )
        })
    }

    /// Executes the program for the task, with what it is given as its standard output. In a user namespace of its own
    /// where this is no root, which is mapped when this returns.
    pub(crate) async fn execute(&self, task: &Task, output: Stdio) -> Result<Executed> {
        let program = self.program()?;
        let mut command = StdCommand::new(&program);
        command.arg0(NAME).args(task.arguments(self.identity.is_rootless()));
        // No variable of this program is any business of a container's, and no Ctrl-C in its terminal either.
        command.env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::piped());
        let unstarted = |error: io::Error| {
            let kind = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => ErrorKind::Unsupported,
                _ => ErrorKind::StartFailed,
            };
            let message =
                format!("the supervisor {} can't be executed: see executor_config.supervisor", program.display());
            Error::new(kind, message).with_source(error)
        };
        let mut child = Command::from(command).spawn().map_err(unstarted)?;
        let missing = || unstarted(io::ErrorKind::BrokenPipe.into());
        let input = child.stdin.take().ok_or_else(missing)?;
        let report = BufReader::new(child.stderr.take().ok_or_else(missing)?);
        let mut executed = Executed { child, input, report };
        if self.identity.is_rootless() {
            self.map(&mut executed).await?;
        }
        Ok(executed)
    }

    /// Gives the program's user namespace its users: this one as root, and the ranges that this user has.
    async fn map(&self, executed: &mut Executed) -> Result<()> {
        match executed.next_report().await? {
            Some(Ok(Report::MapMe)) => {}
            Some(Ok(Report::Failed { kind, message })) => return Err(Error::new(kind, message)),
            other => return Err(unexpected(other)),
        }
        let pid = executed.child.id().ok_or_else(|| Error::new(ErrorKind::StartFailed, "the supervisor has ended"))?;
        self.write_maps(pid).await?;
        executed.say(GO).await
    }

    async fn write_maps(&self, pid: u32) -> Result<()> {
        let Identity { uid, gid, ranges } = &self.identity;
        let Some(ranges) = ranges else {
            let written = write_single(pid, *uid, *gid);
            return written.map_err(|error| unmapped("the kernel refuses it").with_source(error));
        };
        map_by(&ranges.newuidmap, pid, *uid, ranges.users).await?;
        map_by(&ranges.newgidmap, pid, *gid, ranges.groups).await
    }
}

/// This user alone, as root (`user_namespaces(7)`).
fn write_single(pid: u32, uid: u32, gid: u32) -> io::Result<()> {
    let write = |name: &str, text: String| std::fs::write(format!("/proc/{pid}/{name}"), text);
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))
}

async fn map_by(program: &Path, pid: u32, own: u32, range: Range) -> Result<()> {
    let numbers = [pid, 0, own, 1, 1, range.first, range.count].map(|number| number.to_string());
    let output = Command::new(program).args(numbers).stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| unmapped(&format!("{} can't be run", program.display())).with_source(error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(unmapped(String::from_utf8_lossy(&output.stderr).trim()))
}

fn unmapped(why: &str) -> Error {
    Error::new(ErrorKind::StartFailed, format!("this user's namespace can't be given its users: {why}"))
}

pub(crate) fn unexpected(said: Option<std::result::Result<Report, String>>) -> Error {
    let words = match said {
        None => "it ended without a word".to_owned(),
        Some(Ok(report)) => format!("it said {report:?}"),
        Some(Err(words)) => words,
    };
    let message = format!("the supervisor did not do as it was told: {words}; is it the Longshore of this program?");
    Error::new(ErrorKind::StartFailed, message)
}

impl Executed {
    pub(crate) async fn say(&mut self, word: &str) -> Result<()> {
        let gone = |error: io::Error| Error::new(ErrorKind::StartFailed, "the supervisor has gone").with_source(error);
        self.input.write_all(format!("{word}\n").as_bytes()).await.map_err(gone)?;
        self.input.flush().await.map_err(gone)
    }

    /// What is said in the end. A program that was killed may have left processes behind that keep the pipe open.
    pub(crate) async fn last_report(&mut self) -> Result<Option<std::result::Result<Report, String>>> {
        let process = self.child.id().and_then(|pid| Process::living(pid.cast_signed()).ok());
        let mut line = Vec::new();
        tokio::select! {
            biased;
            heard = self.report.read_until(b'\n', &mut line) => return understood(heard, &line),
            _ = self.child.wait() => {}
        }
        if let Some(process) = process {
            process.kill_group();
        }
        let heard = self.report.read_until(b'\n', &mut line).await;
        understood(heard, &line)
    }

    /// The next thing that is said; as text when it is no report; `None` at the end.
    pub(crate) async fn next_report(&mut self) -> Result<Option<std::result::Result<Report, String>>> {
        let mut line = Vec::new();
        let heard = self.report.read_until(b'\n', &mut line).await;
        understood(heard, &line)
    }
}

fn understood(heard: io::Result<usize>, line: &[u8]) -> Result<Option<std::result::Result<Report, String>>> {
    heard.map_err(|error| Error::new(ErrorKind::StartFailed, "the supervisor can't be heard").with_source(error))?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(line).map_err(|_| String::from_utf8_lossy(line).trim().to_owned())))
}

impl Helpers {
    /// Has a task done to its end, with a file as its input; returns what it answers.
    ///
    /// Not cancel-safe for what the task writes; the task ends by itself when its input does.
    pub(crate) async fn perform(&self, task: &Task, input: Option<File>) -> Result<String> {
        let Executed { child, input: mut pipe, mut report } = self.execute(task, Stdio::piped()).await?;
        let feed = async {
            if let Some(file) = input {
                // When the task ends early, its own words say why.
                let _ = tokio::io::copy(&mut tokio::fs::File::from_std(file), &mut pipe).await;
            }
            drop(pipe);
        };
        let mut words = String::new();
        let (output, (), _) = tokio::join!(child.wait_with_output(), feed, report.read_to_string(&mut words));
        let output =
            output.map_err(|error| Error::new(ErrorKind::Unexpected, "a helper can't be heard").with_source(error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = format!("{} says: {}", self.program()?.display(), words.trim());
        Err(Error::new(ErrorKind::Unexpected, message))
    }
}
