//! Running a test program as an ordinary user.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, ExitCode},
};

/// Runs the tests as the user: when this is root, in a copy of this program that the user can reach, and in a folder of
/// the user's own.
pub(crate) fn as_user(uid: u32, gid: u32, tests: impl FnOnce() -> ExitCode) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        return tests();
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program, own) = (folder.path().join("tests"), folder.path().join("own"));
    fs::copy("/proc/self/exe", &program).unwrap();
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(uid), Some(gid)).unwrap();
    let status = Command::new(program)
        .args(env::args_os().skip(1))
        .current_dir(&own)
        .env("TMPDIR", &own)
        .env("HOME", &own)
        .uid(uid)
        .gid(gid)
        .status()
        .unwrap();
    ExitCode::from(u8::try_from(status.code().unwrap_or(101)).unwrap_or(101))
}
