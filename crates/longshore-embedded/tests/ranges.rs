//! The conformance kit as an ordinary user with ranges of users to give to containers (`subuid(5)`).

#[path = "support/harness.rs"]
mod harness;
#[path = "support/ordinary.rs"]
mod ordinary;
mod support;

use harness::EmbeddedHarness;
use longshore_testkit::kit::{self, SetupError};
use std::{fs, process::ExitCode};

/// Whose ranges are used when root runs the tests.
const TESTER: &str = "longshore-tester";

fn main() -> ExitCode {
    longshore_embedded::supervise();
    match tester() {
        Some((uid, gid)) => ordinary::as_user(uid, gid, tests),
        None => tests(),
    }
}

fn tests() -> ExitCode {
    kit::main("ranges", async || {
        if has_ranges() {
            return EmbeddedHarness::new();
        }
        Err(SetupError::unavailable(format!(
            "this user has no ranges in /etc/subuid; as root, `apt-get install uidmap && useradd --create-home {TESTER}` \
             makes one that has"
        )))
    })
}

/// The user and group numbers of the tester, if there is one.
fn tester() -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let entry = passwd.lines().find(|line| line.starts_with(&format!("{TESTER}:")))?;
    let mut numbers = entry.split(':').skip(2).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether this process's user has ranges, by number or by the tester's name.
fn has_ranges() -> bool {
    let uid = rustix::process::geteuid().as_raw();
    let name = if tester().is_some_and(|(tester, _)| tester == uid) { TESTER.to_owned() } else { uid.to_string() };
    let table = fs::read_to_string("/etc/subuid").unwrap_or_default();
    uid != 0 && table.lines().any(|line| line.starts_with(&format!("{name}:")))
}
