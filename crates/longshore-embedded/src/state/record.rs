//! The records: what each says, and how it gets to disk.

use jiff::Timestamp;
use longshore_core::{ByteSize, HostName, JobId, LaunchToken, Owner, Principal, StopReason};
use rustix::{
    fs::{RenameFlags, renameat_with},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// `launch.json`: what was asked, by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launched {
    pub(crate) version: u32,
    pub(crate) token: LaunchToken,
    pub(crate) job: JobId,
    pub(crate) owner: Owner,
    pub(crate) host: HostName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<Principal>,
    pub(crate) created_at: Timestamp,
    /// The job's image, as it was asked for.
    pub(crate) image: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) log_cap: ByteSize,
    /// The control group's path below each hierarchy's root; absent where there is none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup: Option<PathBuf>,
}

/// `started.json`: which processes, since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) version: u32,
    pub(crate) boot_id: String,
    pub(crate) supervisor: Process,
    /// The container's first process, whose end ends all others.
    pub(crate) init: Process,
    /// What keeps its network going.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<Process>,
    pub(crate) started_at: Timestamp,
    /// The container's own control groups, as folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cgroups: Vec<PathBuf>,
}

/// A process that can't be mistaken for a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// In ticks since the boot.
    pub(crate) start: u64,
}

impl Process {
    /// The process of this number that lives now.
    pub(crate) fn living(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start: super::process_start(pid)? })
    }

    /// Whether the process lives; one that nobody has waited for does not.
    pub(crate) fn is_living(self) -> bool {
        super::process_start(self.pid).is_ok_and(|start| start == self.start) && !super::is_zombie(self.pid)
    }

    /// Ends what is left of the group that the process leads or has led. A number stays a group's, and is given to no new
    /// process, for as long as the group has a member (`kernel/pid.c`).
    pub(crate) fn kill_group(self) {
        let other = super::process_start(self.pid).is_ok_and(|start| start != self.start);
        if let Some(group) = Pid::from_raw(self.pid).filter(|_| !other) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Sends the signal to the process, unless another has its number now. What is returned tells when it has ended.
    ///
    /// # Errors
    /// `NotFound` when it does not live any more.
    pub(crate) fn signal(self, signal: Signal) -> io::Result<OwnedFd> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let number = Pid::from_raw(self.pid).ok_or_else(gone)?;
        let process = match pidfd_open(number, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Err(gone()),
            opened => opened?,
        };
        if super::process_start(self.pid).ok() != Some(self.start) {
            return Err(gone());
        }
        match pidfd_send_signal(&process, signal) {
            Err(Errno::SRCH) => Err(gone()),
            sent => Ok(sent.map(|()| process)?),
        }
    }
}

/// `exit.json`: how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) version: u32,
    pub(crate) exit: Exit,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    /// The stop that was asked for while it still ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop: Option<StopReason>,
    /// How many of its processes the kernel killed for want of memory; absent where nobody counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oom_kills: Option<u64>,
    pub(crate) used: Used,
    pub(crate) log: LogEnd,
}

/// How the first process ended, as `waitpid(2)` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    Code(i32),
    Signal(u8),
}

/// What the control groups counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_nanos: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory_bytes: Option<u64>,
}

/// What the log holds, so that a shorter one is known to have lost something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEnd {
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr_bytes: u64,
    /// More was written than the cap holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) truncated: bool,
    /// Why bytes below the cap are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<String>,
}

/// `stop.REASON.MILLISECONDS.ID`: somebody wants it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StopWish {
    pub(crate) reason: StopReason,
    pub(crate) grace: Duration,
}

impl StopWish {
    /// The wish as a part of a file's name.
    pub(crate) fn to_name(self) -> String {
        let reason = serde_json::to_value(self.reason).unwrap_or_default();
        let grace = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        format!("{}.{grace}", reason.as_str().unwrap_or_default())
    }

    /// The wish that a part of a file's name tells.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let reason = serde_json::from_value(parts.next()?.into()).ok()?;
        Some(Self { reason, grace: Duration::from_millis(parts.next()?.parse().ok()?) })
    }
}

/// Reads a record; `None` where there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} can't be read: {error}", path.display()))
    })
}

/// Writes a record that must not be there yet. Readers see it whole or not at all.
pub(crate) fn write_new<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    let temporary = temporary(path);
    fill(private().create(true).truncate(true).open(&temporary)?, record)?;
    Ok(renameat_with(rustix::fs::CWD, &temporary, rustix::fs::CWD, path, RenameFlags::NOREPLACE)?)
}

/// The same, on disk when this returns: a power cut later does not take it back.
pub(crate) fn write_new_synced<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    let temporary = temporary(path);
    let mut file = private().create(true).truncate(true).open(&temporary)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    renameat_with(rustix::fs::CWD, &temporary, rustix::fs::CWD, path, RenameFlags::NOREPLACE)?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Fills a file that was made beforehand with room for the record, syncs it, and puts it in its place: so the record of
/// an end finds room on a disk that is full.
pub(crate) fn write_over<T: Serialize>(reserved: &Path, path: &Path, record: &T) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(record)?;
    let file = private().create(true).truncate(false).open(reserved)?;
    let room = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    bytes.resize(bytes.len().max(room), b'\n');
    (&file).write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(reserved, path)?;
    sync_parent(path)
}

fn fill<T: Serialize>(mut file: File, record: &T) -> io::Result<()> {
    file.write_all(&serde_json::to_vec(record)?)
}

fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600);
    options
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(nanos: u64) -> Used {
        Used { cpu_nanos: Some(nanos), peak_memory_bytes: None }
    }

    #[test]
    fn a_wish_fits_into_a_name() {
        let wish = StopWish { reason: StopReason::TimedOut, grace: Duration::from_millis(1500) };
        assert_eq!(StopWish::from_name(&format!("{}.id", wish.to_name())), Some(wish));
        let far = StopWish { reason: StopReason::Cancelled, grace: Duration::MAX };
        assert!(StopWish::from_name(&far.to_name()).unwrap().grace > Duration::from_secs(1 << 32));
        assert_eq!(StopWish::from_name("whatever.1.id"), None);
    }

    #[test]
    fn a_record_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stop");
        assert_eq!(read::<Used>(&path).unwrap(), None);
        write_new(&path, &used(1)).unwrap();
        assert_eq!(write_new(&path, &used(2)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap(), Some(used(1)));
    }

    #[test]
    fn a_record_fits_into_the_room_that_was_kept_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let (reserved, path) = (folder.path().join("new"), folder.path().join("exit"));
        for room in [4096, 3, 0] {
            fs::write(&reserved, vec![b'\n'; room]).unwrap();
            write_over(&reserved, &path, &used(3)).unwrap();
            assert_eq!(read(&path).unwrap(), Some(used(3)), "{room}");
            assert!(fs::metadata(&path).unwrap().len() >= room as u64);
        }
    }

    #[test]
    fn half_a_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exit.json");
        fs::write(&path, r#"{"version":1,"#).unwrap();
        assert!(read::<Ended>(&path).unwrap_err().to_string().contains("exit.json can't be read"));
    }
}
