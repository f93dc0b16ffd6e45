//! Who runs this program, and what is installed here. The one place that reads the environment.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Who runs this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The ranges of users and groups that this user may give to containers, and the programs that do it.
    pub(crate) ranges: Option<Ranges>,
}

/// Users and groups that an ordinary user may give to containers (`subuid(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranges {
    pub(crate) newuidmap: PathBuf,
    pub(crate) newgidmap: PathBuf,
    pub(crate) users: Range,
    pub(crate) groups: Range,
}

/// So many numbers from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Identity {
    /// This process's user.
    pub(crate) fn of_this_process() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let ranges = if uid == 0 { None } else { ranges(uid) };
        Self { uid, gid, ranges }
    }

    pub(crate) const fn is_rootless(&self) -> bool {
        self.uid != 0
    }

    /// How many users there are in a container.
    pub(crate) fn users(&self) -> u32 {
        match (&self.ranges, self.is_rootless()) {
            (_, false) => u32::MAX,
            (Some(ranges), true) => ranges.users.count.saturating_add(1),
            (None, true) => 1,
        }
    }
}

fn ranges(uid: u32) -> Option<Ranges> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let name = user_name(&read("/etc/passwd"), uid);
    Some(Ranges {
        newuidmap: program("newuidmap")?,
        newgidmap: program("newgidmap")?,
        users: range(&read("/etc/subuid"), uid, name.as_deref())?,
        groups: range(&read("/etc/subgid"), uid, name.as_deref())?,
    })
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    let number = uid.to_string();
    passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find_map(|fields| match fields[..] {
        [name, _, found, ..] if found == number => Some(name.to_owned()),
        _ => None,
    })
}

/// The first range of the user, by name or number.
fn range(table: &str, uid: u32, name: Option<&str>) -> Option<Range> {
    let number = uid.to_string();
    table.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (count > 0 && (Some(owner) == name || owner == number)).then_some(Range { first, count })
    })
}

/// Where programs are that only root usually has on its path.
const SYSTEM: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// The program of this name on `PATH`, or where the system keeps its own.
#[expect(clippy::disallowed_methods, reason = "PATH is where programs are found, by convention")]
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').filter(|folder| folder.starts_with('/')).chain(SYSTEM);
    folders.map(|folder| Path::new(folder).join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_or_number() {
        let table = "# comment\nother:1:2\nann:100000:65536\n1001:300000:65536\nann:900000:1\nempty:5:0\n";
        let found = |uid, name| range(table, uid, name).map(|range| (range.first, range.count));
        assert_eq!(found(1000, Some("ann")), Some((100_000, 65_536)));
        assert_eq!(found(1001, None), Some((300_000, 65_536)));
        assert_eq!((found(1002, Some("empty")), found(1002, None)), (None, None));
    }

    #[test]
    fn users_have_names() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(passwd, 10), None);
    }

    #[test]
    fn programs_are_found_and_others_not() {
        assert!(program("sh").is_some());
        assert_eq!(program("no-such-program-anywhere"), None);
    }
}
