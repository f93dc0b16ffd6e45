//! `scripts/engine` tells whether there is an engine, and what to do where there is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_testkit::{
    suite::{self, Needs, Test},
    tests,
};
use std::{
    path::Path,
    process::{Command, ExitCode, Output},
};

fn main() -> ExitCode {
    let engine: Needs = || Box::pin(async { engine_answers() });
    let asker: Needs = || Box::pin(async { somebody_can_ask() });
    suite::main(&[("engine", engine, WITH_ENGINE), ("engine", asker, WITHOUT_ENGINE)])
}

const WITH_ENGINE: &[Test] = &tests![an_engine_that_answers_is_named_with_its_version];
const WITHOUT_ENGINE: &[Test] =
    &tests![an_engine_that_does_not_answer_is_named_with_the_way_out, what_it_does_not_know_is_answered_with_its_usage];

fn script(words: &[&str], docker_host: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/engine"));
    command.args(words);
    if let Some(address) = docker_host {
        command.env("DOCKER_HOST", address);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Asked without the script, which is what is to be tested.
fn engine_answers() -> Result<(), String> {
    somebody_can_ask()?;
    let address = address();
    let path = address.strip_prefix("unix://").ok_or_else(|| format!("{address} is no unix socket"))?;
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("no engine answers at {address} ({error}); `scripts/engine start` starts one")),
    }
}

fn somebody_can_ask() -> Result<(), String> {
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if is_there("docker") || is_there("curl") {
        return Ok(());
    }
    Err("there is neither docker nor curl here; install one of them".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "DOCKER_HOST is where the engine is, by convention")]
fn address() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned())
}

async fn an_engine_that_answers_is_named_with_its_version() {
    let (code, stdout, stderr) = script(&["status"], None);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let shown = stdout.strip_prefix("engine: Docker Engine ");
    let version = shown.and_then(|rest| rest.strip_suffix(&format!(" answers at {}\n", address()))).unwrap_or_default();
    assert!(version.starts_with(|first: char| first.is_ascii_digit()) && version.contains('.'), "{stdout}");
}

async fn an_engine_that_does_not_answer_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix://{}/nobody.sock", folder.path().display());
    let socket = address.strip_prefix("unix://").unwrap();
    let data = folder.path().to_str().unwrap();
    for (words, docker_host) in [
        (vec!["status"], Some(address.as_str())),
        (vec!["status", "--socket", socket], None),
        (vec!["status", "--data", data, "--socket", socket], None),
    ] {
        let (code, stdout, stderr) = script(&words, docker_host);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{words:?}");
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(lines[0].ends_with("scripts/engine start` starts one"), "{words:?}: {stderr}");
        let expected = format!("engine: no engine answers at {address}; DOCKER_HOST can name another");
        assert_eq!(lines[1..], [expected.as_str()], "{words:?}");
    }
}

async fn what_it_does_not_know_is_answered_with_its_usage() {
    for (words, expected) in [
        (&["frobnicate"] as &[&str], "scripts/engine status"),
        (&[], "scripts/engine status"),
        (&["status", "--nope"], "there is no option --nope"),
        (&["status", "--socket", "relative"], "--socket needs an absolute path"),
        (&["start", "--socket", "/somewhere"], "a socket of its own needs --data too"),
    ] {
        let (code, stdout, stderr) = script(words, None);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{words:?}");
        assert!(stderr.contains(expected), "{words:?}: {stderr}");
    }
}
