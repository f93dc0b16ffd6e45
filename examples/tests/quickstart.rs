//! The quick start does what the README says, as root and as an ordinary user, with no engine anywhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Command, Output},
};

/// A user that no table knows.
const NOBODY_KNOWN: u32 = 47_111;

/// Where Cargo puts the examples of the tests that it builds.
fn program() -> PathBuf {
    let own = env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples/quickstart")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// What the table says of each job.
fn table(output: &Output) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text.lines().filter(|line| line.starts_with('│'));
    rows.map(|row| row.trim_matches('│').split('┆').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn as_whoever_runs_the_tests_every_job_ends_as_it_should() {
    let output = Command::new(program()).env_remove("DOCKER_HOST").output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let statuses: Vec<String> = table(&output).into_iter().skip(1).map(|row| row[2].clone()).collect();
    let last = if is_root() { "failed" } else { "not granted" };
    assert_eq!(statuses, ["completed", "failed", "timed_out", last], "{}", shown(&output));
    assert!(!is_root() || table(&output)[4][3] == "out of memory", "{}", shown(&output));
}

#[test]
fn as_an_ordinary_user_want_of_memory_is_not_granted() {
    if !is_root() {
        // The other test is one already.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program_there, own) = (folder.path().join("quickstart"), folder.path().join("own"));
    fs::copy(program(), &program_there).unwrap();
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(NOBODY_KNOWN), Some(NOBODY_KNOWN)).unwrap();
    let mut command = Command::new(program_there);
    command.env("TMPDIR", &own).current_dir(&own).uid(NOBODY_KNOWN).gid(NOBODY_KNOWN);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let statuses: Vec<String> = table(&output).into_iter().skip(1).map(|row| row[2].clone()).collect();
    assert_eq!(statuses, ["completed", "failed", "timed_out", "not granted"], "{}", shown(&output));
}
