//! The program on Cloud Run, as a configuration describes it: against the fake, over its two servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::{Clock, SystemClock};
use longshore_testkit::fakes::cloudrun::{FakeCloudRun, Options};
use std::{path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::process::Command;

/// A configuration of one host on the fake, with a token in a file.
fn configuration(fake: &FakeCloudRun, folder: &Path) -> String {
    let token = folder.join("token");
    std::fs::write(&token, fake.token()).unwrap();
    format!(
        r#"
[hosts.cloud]
executor = "cloudrun"
default = true
region = "{region}"

[hosts.cloud.executor_config]
project = "{project}"
endpoint = "{endpoint}"
logging_endpoint = "{logging}"
log_settle = "1s"
credentials = {{ token = "file:{token}" }}
"#,
        region = fake.region(),
        project = fake.project(),
        endpoint = fake.endpoint(),
        logging = fake.logging_endpoint(),
        token = token.display(),
    )
}

async fn longshore(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_longshore-under-test"))
        .args(arguments)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder)
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_job_runs_to_its_end_and_leaves_nothing() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let fake = FakeCloudRun::start(clock, Options::default()).await.unwrap();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("longshore.toml"), configuration(&fake, folder.path())).unwrap();

    let job = ["run", "--executor", "cloud", fake.probe_image(), "print out", "eprint err", "exit 3"];
    let (code, stdout, stderr) = longshore(folder.path(), &job).await;
    assert_eq!((code, stdout.as_str()), (Some(3), "out\n"), "{stderr}");
    assert!(stderr.contains("err\n"), "{stderr}");
    assert_eq!(fake.jobs(), Vec::<String>::new());

    let (code, stdout, stderr) = longshore(folder.path(), &["hosts", "check"]).await;
    assert!(code == Some(0) && stdout.contains("permission to launch"), "{stdout}{stderr}");

    fake.deny("run.jobs.create");
    let (code, told, _) = longshore(folder.path(), &["hosts", "check"]).await;
    assert!(code != Some(0) && told.contains("run.jobs.create"), "{told}");
    let (code, _, refused) = longshore(folder.path(), &job).await;
    assert!(code != Some(0) && refused.contains("run.jobs.create"), "{refused}");
    for shown in [&stdout, &stderr, &told, &refused] {
        assert!(!shown.contains(&fake.token()), "{shown}");
    }
}
