//! Google's own clients drive the fake: what they can't send or can't read is no Cloud Run.

use longshore_testkit::{
    fakes::{
        ScaledClock,
        cloudrun::{FakeCloudRun, Options},
    },
    suite::Test,
    tests,
};
use serde_json::Value;
use std::{
    path::PathBuf,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::process::Command;

pub(crate) const TESTS: &[Test] =
    &tests![the_clients_go_through_a_whole_life_cycle, an_answer_that_no_client_knows_is_found,];

/// The Python that has the clients, beside what cargo has built.
fn python() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().join("python-clients/bin/python")
}

/// Why the clients can't be run on this machine.
pub(crate) async fn missing() -> Result<(), String> {
    let mut imports = Command::new(python());
    imports
        .args(["-c", "import google.cloud.run_v2, google.cloud.logging_v2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match imports.status().await {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{} has no clients of Google's; scripts/python-clients installs them", python().display())),
    }
}

/// A fake whose time runs fast, and by itself.
async fn start() -> FakeCloudRun {
    FakeCloudRun::start(Arc::new(ScaledClock::times(100)), Options::default()).await.unwrap()
}

/// What became of the drive: its exit, what it printed, and what it complained of.
async fn drive(fake: &FakeCloudRun) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloudrun/python/drive.py");
    fake.add_secret("password", b"s3cret");
    let mut drive = Command::new(python());
    drive.arg(script).kill_on_drop(true).env_clear().envs([
        ("FAKE_ENDPOINT", fake.endpoint()),
        ("FAKE_LOGGING_ENDPOINT", fake.logging_endpoint()),
        ("FAKE_TOKEN", fake.issue_token(Duration::from_secs(1_000_000))),
        ("FAKE_PROJECT", fake.project().to_owned()),
        ("FAKE_REGION", fake.region().to_owned()),
        ("FAKE_IMAGE", fake.probe_image().to_owned()),
        ("FAKE_MISSING_IMAGE", fake.missing_image().to_owned()),
    ]);
    drive.output().await.unwrap()
}

async fn the_clients_go_through_a_whole_life_cycle() {
    let fake = start().await;
    let ran = drive(&fake).await;
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(report["answers_read_strictly"].as_u64().is_some_and(|read| read > 30), "{report}");
    assert!(fake.jobs().is_empty());
}

/// The clients themselves overlook it: this is what the strict reading of the drive is for.
async fn an_answer_that_no_client_knows_is_found() {
    let fake = start().await;
    fake.set_trouble(|trouble| trouble.unknown_fields = true);
    let ran = drive(&fake).await;
    let complaint = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && complaint.contains("aFieldOfTomorrow"), "{complaint}");
}
