//! The folder of one execution, which is all that there is to know of it.
//!
//! | file | written by | what it says |
//! |---|---|---|
//! | `request.json` | the launch | what was asked, and whose it is |
//! | `lock` | the launch | locked (flock(2)) by the launch, and then by supervisor and program until the last has ended |
//! | `process` | the program's own process | that it runs, and who it is |
//! | `cancelled`, `timed-out` | the stop | that it was stopped, and why |
//! | `exit` | the supervisor | that it has ended, and how |
//! | `stdout`, `stderr` | the program | its log |
//! | `work/` | the program | its working directory |

use jiff::Timestamp;
use longshore_core::{
    Cause, Clock, Error, ErrorKind, Evidence, LaunchRequest, LaunchToken, Result, Signal, StopReason, Termination,
};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::supervisor::{self, Process};

/// The folder of one execution.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) token: LaunchToken,
    pub(crate) path: PathBuf,
}

/// How far an execution is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Nothing has run, and nothing is about to.
    Absent,
    /// It is being started.
    Starting,
    /// The program runs.
    Running { process: Process, since: Timestamp },
    /// The program has run.
    Ended(Termination),
    /// The program could not be started, and why.
    FailedStart(String),
}

impl Folder {
    pub(crate) fn new(root: &Path, token: LaunchToken) -> Self {
        Self { token, path: root.join(token.to_string()) }
    }

    /// Looks how far the execution is. The order of the looks matters: whoever has a record was locked until its
    /// `exit` was written.
    pub(crate) fn stage(&self) -> Result<Stage> {
        let record = self.record()?;
        let live = self.is_locked()?;
        let Some((exit, ended_at)) = self.line("exit")? else {
            return Ok(match record {
                Some((process, since)) if live => Stage::Running { process, since },
                Some((_, since)) => Stage::Ended(unsupervised().with_times(Some(since), None)),
                None if live => Stage::Starting,
                None => Stage::Absent,
            });
        };
        let Some((_, since)) = self.record()? else {
            return Ok(Stage::FailedStart(self.words()));
        };
        Ok(Stage::Ended(termination(&exit)?.with_times(Some(since), Some(ended_at))))
    }

    /// How far it is; an error when there is no such execution.
    pub(crate) fn found(&self) -> Result<Stage> {
        match self.stage()? {
            Stage::Absent | Stage::FailedStart(_) => {
                Err(Error::new(ErrorKind::NotFound, "there is no such execution").with_context("token", self.token))
            }
            stage => Ok(stage),
        }
    }

    /// Starts the program, unless somebody else does or has: the lock is the kernel's, so that two launches of one
    /// token never start two, and it passes to the supervisor, so that there is no moment without it.
    pub(crate) fn start(&self, request: &LaunchRequest, program: &Path, clock: &dyn Clock) -> Result<()> {
        for folder in [&self.path, &self.path.join("work")] {
            fs::create_dir(folder).or_else(unless(io::ErrorKind::AlreadyExists)).map_err(unavailable)?;
        }
        File::create(self.path.join("lock")).map_err(unavailable)?;
        let lock = File::open(self.path.join("lock")).map_err(unavailable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        if self.record()?.is_some() || self.line("exit")?.is_some() {
            return Ok(());
        }
        let stored = serde_json::to_vec(request).map_err(unreadable)?;
        fs::write(self.path.join("request.json"), stored).map_err(unavailable)?;
        let spawned = request.check_deadline(clock).and_then(|()| {
            supervisor::spawn(program, &request.plan.template, &self.path, lock)
                .map_err(|error| Error::new(ErrorKind::StartFailed, "the program can't be started").with_source(error))
        });
        if spawned.is_err() {
            self.delete()?;
        }
        spawned
    }

    /// What was asked.
    pub(crate) fn request(&self) -> Result<LaunchRequest> {
        let stored = fs::read(self.path.join("request.json")).map_err(unavailable)?;
        serde_json::from_slice(&stored).map_err(unreadable)
    }

    /// Notes that the program is being stopped, and why; then signals.
    pub(crate) fn stop(&self, process: Process, reason: StopReason, kill: bool) -> Result<()> {
        let note = if reason == StopReason::TimedOut { "timed-out" } else { "cancelled" };
        File::create(self.path.join(note)).map_err(unavailable)?;
        let asked = self.request()?.plan.template.stop_signal.unwrap_or(Signal::TERM);
        process.signal(supervisor::named(if kill { Signal::KILL } else { asked })?)
    }

    /// Removes what has ended, or has never run. It relies on what the contract promises: nobody cleans up after a
    /// launch that may still be under way.
    pub(crate) fn remove(&self) -> Result<()> {
        match self.stage()? {
            Stage::Starting | Stage::Running { .. } => {
                Err(Error::new(ErrorKind::StillRunning, "the program still runs; stop it first"))
            }
            _ => self.delete(),
        }
    }

    /// The folder vanishes at once, then what was in it, so that nobody sees a half of it.
    fn delete(&self) -> Result<()> {
        let gone = self.path.with_extension("gone");
        let missing = unless(io::ErrorKind::NotFound);
        fs::remove_dir_all(&gone).or_else(&missing).map_err(unavailable)?;
        fs::rename(&self.path, &gone).or_else(&missing).map_err(unavailable)?;
        fs::remove_dir_all(&gone).or_else(&missing).map_err(unavailable)
    }

    fn record(&self) -> Result<Option<(Process, Timestamp)>> {
        let Some((stat, since)) = self.line("process")? else { return Ok(None) };
        let process = Process::parse(&stat).ok_or_else(|| unreadable(format!("`process` holds {stat:?}")))?;
        Ok(Some((process, since)))
    }

    /// A file's one line and the time of its writing; `None` while it is not there or not written to its end.
    fn line(&self, name: &str) -> Result<Option<(String, Timestamp)>> {
        let path = self.path.join(name);
        let read = fs::read_to_string(&path).and_then(|text| Ok((text, fs::metadata(&path)?.modified()?)));
        match read {
            Ok((text, written_at)) => {
                let written_at = Timestamp::try_from(written_at).map_err(unreadable)?;
                Ok(text.strip_suffix('\n').map(|line| (line.to_owned(), written_at)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Whether somebody holds the lock. Asking by a shared lock disturbs nobody else who asks.
    fn is_locked(&self) -> Result<bool> {
        let lock = match File::open(self.path.join("lock")) {
            Ok(lock) => lock,
            // No folder proves something only below a root that is there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.root_is_there().map(|()| false),
            Err(error) => return Err(unavailable(error)),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }

    fn root_is_there(&self) -> Result<()> {
        let root = self.path.parent().unwrap_or(&self.path);
        fs::read_dir(root).map(drop).map_err(unavailable)
    }

    /// What the shell and its tools complained of.
    fn words(&self) -> String {
        fs::read(self.path.join("stderr"))
            .map_or_else(|error| error.to_string(), |words| String::from_utf8_lossy(&words).trim().to_owned())
    }
}

/// What the supervisor wrote: the exit code as a shell has it, and whether the program was stopped before its end.
fn termination(exit: &str) -> Result<Termination> {
    let parts = exit.split_once(' ').and_then(|(code, stopped)| Some((code.parse::<i32>().ok()?, stopped)));
    let (code, stopped) = parts.ok_or_else(|| unreadable(format!("`exit` holds {exit:?}")))?;
    let evidence = Evidence::complete().with_fact("exit", exit);
    Ok(match stopped {
        "cancelled" => Termination::new(Cause::Cancelled, evidence).with_exit_code(Some(code)),
        "timed-out" => Termination::new(Cause::TimedOut, evidence).with_exit_code(Some(code)),
        // A shell says 128 + n for a death by signal n, and for a program's own exit with that code.
        _ if code > 128 => Termination::new(Cause::Exited { code }, evidence.left_open()),
        _ => Termination::new(Cause::Exited { code }, evidence),
    })
}

/// Nobody is left who could tell how the program ended: its supervisor was killed, or the machine was.
fn unsupervised() -> Termination {
    let words = "the program's supervisor has ended before it could tell how the program did";
    Termination::new(Cause::LostByProvider, Evidence::incomplete().with_message(Some(words.to_owned())))
}

fn unless(fine: io::ErrorKind) -> impl Fn(io::Error) -> io::Result<()> {
    move |error| if error.kind() == fine { Ok(()) } else { Err(error) }
}

/// What the file system refuses proves nothing.
pub(crate) fn unavailable(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the state folder can't be used").with_source(error)
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Unexpected, "a file of the execution can't be understood").with_source(error)
}
