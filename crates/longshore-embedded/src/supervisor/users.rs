//! Which numbers a user's name stands for, by the image's own `/etc/passwd` and `/etc/group`.

use longshore_core::ErrorKind;

use super::fault::{Fault, Outcome};

/// A user as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The groups that `/etc/group` puts the user into.
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// The user of `USER[:GROUP]`, by name or number, as Docker reads it: a group that is given stands alone, a number
/// without an entry has the group 0.
pub(super) fn find(wanted: Option<&str>, passwd: &str, group: &str) -> Outcome<User> {
    let (name, wanted_group) = match wanted.unwrap_or_default().split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (wanted.unwrap_or_default(), None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let number: Option<u32> = name.parse().ok();
    let entry =
        entries(passwd).find(|entry| entry.first() == Some(&name) || (number.is_some() && uid_of(entry) == number));
    let field = |at: usize| entry.as_ref().and_then(|entry| entry.get(at).copied());
    let uid = entry
        .as_ref()
        .and_then(|entry| uid_of(entry))
        .or(number)
        .ok_or_else(|| unknown("user", name, "/etc/passwd"))?;
    let own_group = field(3).and_then(|gid| gid.parse().ok()).unwrap_or(0);
    let (gid, groups) = match wanted_group.filter(|group| !group.is_empty()) {
        Some(wanted) => (find_group(wanted, group)?, Vec::new()),
        None => (own_group, field(0).map(|name| groups_of(name, group)).unwrap_or_default()),
    };
    let home = field(5).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
    Ok(User { uid, gid, groups, home })
}

fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(':').collect())
}

fn uid_of(entry: &[&str]) -> Option<u32> {
    entry.get(2)?.parse().ok()
}

fn find_group(wanted: &str, group: &str) -> Outcome<u32> {
    let entry = entries(group).find(|entry| entry.first() == Some(&wanted));
    let number = entry.as_ref().and_then(|entry| entry.get(2)?.parse().ok());
    number.or_else(|| wanted.parse().ok()).ok_or_else(|| unknown("group", wanted, "/etc/group"))
}

fn groups_of(name: &str, group: &str) -> Vec<u32> {
    let has = |entry: &Vec<&str>| entry.get(3).is_some_and(|members| members.split(',').any(|member| member == name));
    let mut groups: Vec<u32> = entries(group).filter(has).filter_map(|entry| entry.get(2)?.parse().ok()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn unknown(what: &str, name: &str, file: &str) -> Fault {
    Fault::new(
        ErrorKind::Invalid,
        format!("the image has no {what} {name:?} in its {file}; use one that is there, or a number"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\n# note\ndaemon:x:1:1::/usr/sbin:\napp:x:1000:1001::/home/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\napp:x:1001:\nvideo:x:44:app,daemon\n";

    #[test]
    fn users_are_found_as_docker_finds_them() {
        let cases = [
            (None, (0, 0, vec![10], "/root")),
            (Some(""), (0, 0, vec![10], "/root")),
            (Some("app"), (1000, 1001, vec![10, 44], "/home/app")),
            (Some("1000"), (1000, 1001, vec![10, 44], "/home/app")),
            (Some("app:video"), (1000, 44, vec![], "/home/app")),
            (Some("app:7"), (1000, 7, vec![], "/home/app")),
            (Some("4711"), (4711, 0, vec![], "/")),
            (Some("4711:4712"), (4711, 4712, vec![], "/")),
            (Some(":app"), (0, 1001, vec![], "/root")),
        ];
        for (wanted, (uid, gid, groups, home)) in cases {
            let expected = User { uid, gid, groups, home: home.to_owned() };
            assert_eq!(find(wanted, PASSWD, GROUP).unwrap(), expected, "{wanted:?}");
        }
    }

    #[test]
    fn an_image_without_users_has_root() {
        assert_eq!(find(None, "", "").unwrap(), User { uid: 0, gid: 0, groups: vec![], home: "/".to_owned() });
    }

    #[test]
    fn a_name_that_is_not_there_is_told() {
        for (wanted, words) in
            [("nobody", "no user \"nobody\""), ("app:nobody", "no group \"nobody\""), ("-1", "no user")]
        {
            let fault = find(Some(wanted), PASSWD, GROUP).unwrap_err();
            assert!(fault.kind == ErrorKind::Invalid && fault.message.contains(words), "{}", fault.message);
        }
    }
}
