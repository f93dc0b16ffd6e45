//! The shell that sees a program to its end, whatever becomes of us, and signals to the program.

use longshore_core::{Error, ErrorKind, JobTemplate, Result, Signal};
use rustix::{
    io::Errno,
    process::{Pid, geteuid, kill_process_group},
};
use std::{fs, fs::File, io, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

const SHELL: &str = "/bin/sh";
const SETSID: &str = "/usr/bin/setsid";
const SETPRIV: &str = "/usr/bin/setpriv";
/// What must be installed.
pub(crate) const TOOLS: [&str; 3] = [SHELL, SETSID, SETPRIV];

/// The supervisor. Its text is fixed, and what comes from a job reaches it as positional parameters only. It uses
/// nothing but what is built into the shell, so that no PATH of a job can lead it astray.
///
/// It alone writes how the program ended, once, so that all who ask are told the same: whether it was stopped is
/// decided by whether the stop was noted before this line was written. What the program leaves in its process group
/// is killed, so that nothing writes to a log that has ended.
const SUPERVISE: &str = r#"
"$@" >stdout 2>stderr
code=$?
read -r group _ <process && kill -s KILL -- "-$group"
for stopped in cancelled timed-out none; do [ -e "$stopped" ] && break; done
printf '%s %s\n' "$code" "$stopped" >exit
"#;

/// Runs as the future program itself, in a session and process group of its own: records who it is (pid and time of
/// start, in proc(5)'s words), then becomes the program. Whatever has no record has not run.
const RECORD: &str = r#"read -r stat <"/proc/$$/stat" && printf '%s\n' "$stat" >process && cd work && exec "$@""#;

/// What root's programs lose, as in the default profile of container engines. Others have no capabilities anyway.
const DROPPED: &str = "--bounding-set=-audit_write,-mknod,-net_raw,-setfcap,-setpcap,-sys_chroot";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts the program under a supervisor of its own. Both have the lock as their standard input: it reads as empty,
/// and is let go by the kernel when the last of them has ended. Must be called inside a tokio runtime, which reaps.
pub(crate) fn spawn(program: &Path, template: &JobTemplate, folder: &Path, lock: File) -> io::Result<()> {
    let mut command = tokio::process::Command::new(SETSID);
    command.args([SHELL, "-c", SUPERVISE, "supervise", SETSID, SETPRIV, "--no-new-privs"]);
    command.args(geteuid().is_root().then_some(DROPPED));
    command.args([SHELL, "-c", RECORD, "record"]).arg(program);
    command.args(template.command.iter().flatten()).args(&template.args);
    let variables = template.env.iter().map(|variable| (variable.name.as_str(), &variable.value));
    command.env_clear().env("PATH", PATH).envs(variables);
    command.current_dir(folder).stdin(lock).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}

/// Refuses a program that is not there or can't be executed.
pub(crate) fn check(program: &Path) -> Result<()> {
    let shown = program.display();
    let (kind, why) = match fs::metadata(program) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => return Ok(()),
        Ok(_) => (ErrorKind::CommandNotExecutable, format!("{shown} is not an executable file")),
        Err(error) => (ErrorKind::CommandNotFound, format!("{shown} can't be found ({error})")),
    };
    Err(Error::new(kind, format!("{why}; correct the host's executor_config.programs")).with_operation("launch_job"))
}

/// The kernel's number for a signal by which programs can be stopped.
pub(crate) fn named(signal: Signal) -> Result<rustix::process::Signal> {
    let unsupported = || format!("stop_signal = {signal} has no name; use one from 1 to 31");
    rustix::process::Signal::from_named_raw(signal.number().into())
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, unsupported()).with_operation("plan"))
}

/// A process, told apart from a later one of the same number by the time of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pid: Pid,
    /// In clock ticks since the machine's start.
    started: u64,
}

impl Process {
    /// Reads a line of `/proc/PID/stat`, whose second field, the name in parentheses, may hold anything.
    pub(crate) fn parse(stat: &str) -> Option<Self> {
        let (pid, _) = stat.split_once(' ')?;
        let (_, from_third_on) = stat.rsplit_once(") ")?;
        let started = from_third_on.split(' ').nth(22 - 3)?.parse().ok()?;
        Some(Self { pid: Pid::from_raw(pid.parse().ok()?)?, started })
    }

    /// Signals the process group that it leads; when it has ended, nobody.
    pub(crate) fn signal(self, signal: rustix::process::Signal) -> Result<()> {
        let now = fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero()));
        if now.ok().and_then(|stat| Self::parse(&stat)) != Some(self) {
            return Ok(());
        }
        match kill_process_group(self.pid, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => {
                Err(Error::new(ErrorKind::PermissionDenied, "the program can't be signalled").with_source(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    #[test]
    fn a_process_is_known_by_its_number_and_start_whatever_its_name() {
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        let process = Process::parse(&own).unwrap();
        assert_eq!(process.pid.as_raw_nonzero().get().unsigned_abs(), std::process::id());
        let renamed = own.replacen('(', "(a) b (1 2) ", 1);
        assert_eq!(Process::parse(&renamed), Some(process));
        assert_eq!(Process::parse("12 (cut off"), None);
    }

    #[test]
    fn nobody_is_signalled_in_place_of_a_process_that_has_ended() {
        let mut child = std::process::Command::new("/bin/sleep").arg("600").process_group(0).spawn().unwrap();
        let process = Process::parse(&fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap()).unwrap();
        let former = Process { started: process.started - 1, ..process };
        former.signal(rustix::process::Signal::KILL).unwrap();
        process.signal(rustix::process::Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(15), "only the second signal was for it");
    }
}
