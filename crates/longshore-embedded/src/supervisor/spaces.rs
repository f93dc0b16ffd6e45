//! The namespaces of the supervisor's own.

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};
use rustix::fs::{MemfdFlags, SealFlags, StatVfsMountFlags, fcntl_add_seals, memfd_create, statvfs};
use std::{
    fs::File,
    io::{self, BufRead, Read, Write},
    os::fd::AsRawFd,
    path::Path,
};

use super::order::{GO, Report};

/// Enters a user namespace of its own, in which it is root once somebody outside has written its maps.
///
/// Says that it waits for them on the report, and reads the answer.
pub(super) fn enter_user_namespace(report: &mut impl Write, answer: &mut impl Read) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    say(report, &Report::MapMe)?;
    if line(answer)? != GO {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the user namespace was not mapped"));
    }
    // Where the kernel forbids it in this namespace, the groups are of no use in it either.
    let _ = setgroups(&[]);
    setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))?;
    setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))?;
    Ok(())
}

/// Enters a mount namespace of its own: what is mounted in it nobody else sees, and it goes with the last process in it.
pub(super) fn enter_mount_namespace() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?)
}

/// Shows the source in the place of the target, and lets nobody write to it there.
pub(super) fn bind_read_only(source: &Path, target: &Path) -> io::Result<()> {
    mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    // What the file system was mounted with, a user namespace may not take back.
    let kept = statvfs(target)?.f_flag;
    let flags = [
        (StatVfsMountFlags::NOSUID, MsFlags::MS_NOSUID),
        (StatVfsMountFlags::NODEV, MsFlags::MS_NODEV),
        (StatVfsMountFlags::NOEXEC, MsFlags::MS_NOEXEC),
        (StatVfsMountFlags::NOATIME, MsFlags::MS_NOATIME),
        (StatVfsMountFlags::NODIRATIME, MsFlags::MS_NODIRATIME),
        (StatVfsMountFlags::RELATIME, MsFlags::MS_RELATIME),
    ];
    let kept = flags.into_iter().filter(|(found, _)| kept.contains(*found)).map(|(_, flag)| flag);
    let flags = kept.fold(MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY, |all, flag| all | flag);
    Ok(mount(None::<&str>, target, None::<&str>, flags, None::<&str>)?)
}

/// A copy of the file in memory that nobody can change.
pub(super) fn sealed_copy(path: &Path) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = File::from(memfd_create("longshore-supervisor", flags)?);
    io::copy(&mut File::open(path)?, &mut copy)?;
    fcntl_add_seals(&copy, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    // Executing it through its descriptor needs no other that can write.
    let read_only = File::open(format!("/proc/self/fd/{}", copy.as_raw_fd()))?;
    Ok(read_only)
}

/// Says something, on a line of its own.
pub(super) fn say(report: &mut impl Write, what: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    report.write_all(&line)
}

/// Reads a line, and not a byte more.
pub(super) fn line(from: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    io::BufReader::with_capacity(1, from).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Whether the user and the group exist in the user namespace that this process is in.
pub(super) fn has_user(uid: u32, gid: u32) -> io::Result<bool> {
    Ok(has_id(&std::fs::read_to_string("/proc/self/uid_map")?, uid)
        && has_id(&std::fs::read_to_string("/proc/self/gid_map")?, gid))
}

/// Whether the map (`user_namespaces(7)`) has the number.
fn has_id(map: &str, id: u32) -> bool {
    let range = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (first, _, length) = (numbers.next()?.ok()?, numbers.next()?, numbers.next()?.ok()?);
        Some(first..first + length)
    };
    map.lines().filter_map(range).any(|range| range.contains(&id.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_the_numbers_of_its_ranges() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert!(has_id(map, 0) && has_id(map, 1) && has_id(map, 65_536));
        assert!(!has_id(map, 65_537) && !has_id("", 0));
        assert!(has_id("0 0 4294967295", 4_000_000_000));
    }

    #[test]
    fn a_line_is_read_and_nothing_after_it() {
        let mut text = "go\nrest".as_bytes();
        assert_eq!(line(&mut text).unwrap(), GO);
        assert_eq!(text, b"rest");
        assert!(line(&mut text).is_err());
    }
}
