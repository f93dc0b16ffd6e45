//! The container's control groups, as folders: what they counted, and their end. libcontainer makes them and sets the
//! limits.

use nix::mount::{MsFlags, mount};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::statfs,
    io::{Errno, retry_on_intr},
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::state::Used;

/// Where hierarchies are mounted (`cgroups(7)`).
const ROOT: &str = "/sys/fs/cgroup";

/// The folders of the process's control groups that end in the given path: those that were made for it.
pub(crate) fn own_cgroups(pid: i32, path: &Path) -> io::Result<Vec<PathBuf>> {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let relative = path.strip_prefix("/").unwrap_or(path);
    let folder = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let group = Path::new(group).strip_prefix("/").ok()?;
        let place = match controllers {
            "" if Path::new(ROOT).join("cgroup.controllers").exists() => PathBuf::from(ROOT),
            "" => Path::new(ROOT).join("unified"),
            named => Path::new(ROOT).join(named.strip_prefix("name=").unwrap_or(named)),
        };
        group.ends_with(relative).then(|| place.join(group))
    };
    Ok(table.lines().filter_map(folder).filter(|folder| folder.is_dir()).collect())
}

/// Gives libcontainer control groups that are none, in a mount namespace of the caller's own: it insists on them, and this
/// user may make no real ones. Files of the right names take what it writes, and the container stays in its user's groups.
pub(super) fn hide() -> io::Result<()> {
    if Path::new(ROOT).join("cgroup.controllers").exists() {
        // Version 2 alone: libcontainer goes on without where it may not write.
        return Ok(());
    }
    let controllers: Vec<_> = fs::read_dir(ROOT)?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    mount(Some("tmpfs"), ROOT, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?;
    for controller in controllers.into_iter().filter(|name| name != "unified") {
        let top = Path::new(ROOT).join(controller);
        let group = top.join(PLACEHOLDER);
        fs::create_dir_all(&group)?;
        for folder in [top, group] {
            fs::write(folder.join("cgroup.procs"), "")?;
            // A processor set must not be empty.
            fs::write(folder.join("cpuset.cpus"), "0")?;
            fs::write(folder.join("cpuset.mems"), "0")?;
        }
    }
    Ok(())
}

/// The same for the one hierarchy that the kernel delegates to nobody: devices, of version 1. A container in a user
/// namespace of an ordinary user reaches none but those that it is given anyway.
pub(super) fn hide_devices(group: &Path) -> io::Result<()> {
    let devices = Path::new(ROOT).join("devices");
    if !devices.join("cgroup.procs").exists() {
        return Ok(());
    }
    mount(Some("tmpfs"), &devices, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?;
    let own = devices.join(group.strip_prefix("/").unwrap_or(group));
    fs::create_dir_all(&own)?;
    ["cgroup.procs", "devices.allow", "devices.deny"].iter().try_for_each(|name| fs::write(own.join(name), ""))
}

/// The group that a container without one of its own is said to be in.
pub(super) const PLACEHOLDER: &str = "longshore";

/// What the control groups counted, and how many processes were killed for want of memory.
pub(super) fn counted(groups: &[PathBuf]) -> (Used, Option<u64>) {
    let read = |name: &str| groups.iter().find_map(|group| fs::read_to_string(group.join(name)).ok());
    let number = |name: &str| read(name)?.trim().parse().ok();
    let keyed = |name: &str, key: &str| value(&read(name)?, key);
    let used = Used {
        cpu_nanos: number("cpuacct.usage").or_else(|| Some(keyed("cpu.stat", "usage_usec")? * 1000)),
        peak_memory_bytes: number("memory.max_usage_in_bytes").or_else(|| number("memory.peak")),
    };
    (used, keyed("memory.oom_control", "oom_kill").or_else(|| keyed("memory.events", "oom_kill")))
}

/// The number after the key in a file of lines `key number`.
fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Removes control groups that have no processes any more; what is gone is fine. One that stays keeps no other.
///
/// # Errors
/// `ResourceBusy` while there still are any.
pub(crate) fn remove(groups: &[PathBuf]) -> io::Result<()> {
    groups.iter().map(|group| remove_with_nested(group)).fold(Ok(()), Result::and)
}

fn remove_with_nested(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group).into_iter().flatten() {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_with_nested(&entry.path())?;
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(()),
        other => other,
    }
}

/// Removes the groups of this path in every hierarchy, and waits so long for the processes in them to end. Kills nobody.
///
/// # Errors
/// `ResourceBusy` when somebody is in them still.
pub(crate) fn clear(path: &Path, patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    let groups = everywhere(path)?;
    loop {
        let removed = remove(&groups);
        let left = until.saturating_duration_since(Instant::now());
        if removed.is_ok() || left.is_zero() {
            return removed;
        }
        let inside: Vec<i32> = groups.iter().flat_map(|group| processes(group)).collect();
        if inside.is_empty() {
            // The last one is just leaving.
            retry_on_intr(|| poll(&mut [], Some(&MOMENT)))?;
        }
        for pid in inside {
            ended(pid, until.saturating_duration_since(Instant::now()))?;
        }
    }
}

/// How long a process that is no longer in a group's list may take to leave the group.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
/// The kinds of file systems of control groups (`statfs(2)`).
const V1: i64 = 0x0027_e0eb;
const V2: i64 = 0x6367_7270;

/// The folders of this path in every hierarchy that has it.
fn everywhere(path: &Path) -> io::Result<Vec<PathBuf>> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let root = Path::new(ROOT);
    let mut found = vec![root.join(relative)];
    if !root.join("cgroup.controllers").exists() {
        for hierarchy in fs::read_dir(root)? {
            found.push(hierarchy?.path().join(relative));
        }
    }
    // What `hide_devices` has put in the place of a hierarchy is none.
    let is_group = |group: &PathBuf| statfs(group).is_ok_and(|found| [V1, V2].contains(&found.f_type));
    found.retain(is_group);
    Ok(found)
}

fn processes(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// Waits so long for the process to end; whether it has.
fn ended(pid: i32, patience: Duration) -> io::Result<bool> {
    let Some(number) = Pid::from_raw(pid) else { return Ok(true) };
    match pidfd_open(number, PidfdFlags::empty()) {
        Ok(process) => has_ended(&process, patience),
        Err(Errno::SRCH) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Waits so long for the process to end; whether it has. Of the first process of a container, so have all others.
pub(crate) fn has_ended(process: &OwnedFd, patience: Duration) -> io::Result<bool> {
    let limit = Timespec::try_from(patience).map_err(io::Error::other)?;
    // In a program that has children of its own, their ends interrupt.
    Ok(retry_on_intr(|| poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)))? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let groups = [folder.path().to_owned()];
        assert_eq!(counted(&groups), (Used::default(), None));
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("cpu.stat", "usage_usec 12\nuser_usec 4\n");
        write("memory.peak", "4096\n");
        write("memory.events", "low 0\noom 2\noom_kill 3\noom_group_kill 0\n");
        let used = |cpu, memory| Used { cpu_nanos: Some(cpu), peak_memory_bytes: Some(memory) };
        assert_eq!(counted(&groups), (used(12_000, 4096), Some(3)));
        write("cpuacct.usage", "77\n");
        write("memory.max_usage_in_bytes", "8192\n");
        write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
        assert_eq!(counted(&groups), (used(77, 8192), Some(1)));
    }

    #[test]
    fn groups_that_are_gone_are_fine() {
        let folder = tempfile::tempdir().unwrap();
        remove(&[folder.path().join("gone")]).unwrap();
        fs::create_dir_all(folder.path().join("busy")).unwrap();
        fs::write(folder.path().join("busy/file"), "").unwrap();
        assert!(remove(&[folder.path().join("busy")]).is_err());
    }
}
