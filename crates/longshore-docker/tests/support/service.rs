//! A service of a test's own, ended by its process id when the test ends.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    future::Future,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a service may take to answer.
const READY: Duration = Duration::from_secs(60);
/// How often to ask it meanwhile.
const ASK: Duration = Duration::from_millis(50);

/// True when a program of this name is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    let looked = Command::new("which").arg(program).stdout(Stdio::null()).stderr(Stdio::null()).status();
    looked.is_ok_and(|status| status.success())
}

/// True when this is root, which private engines need.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A process that ends with its owner.
pub(crate) struct Service(Child);

impl Service {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).process_group(0).spawn().unwrap())
    }

    /// Sends a signal by the process id, and waits for the end.
    pub(crate) fn end(&mut self, signal: &str) {
        let pid = self.0.id().to_string();
        if self.0.try_wait().unwrap().is_none() {
            Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        }
        self.0.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end("TERM");
    }
}

/// Asks until the service answers; fails with the end of its log when it does not in time.
pub(crate) async fn await_answer<F: Future<Output = bool>>(log: &Path, answers: impl Fn() -> F) {
    let began = Instant::now();
    while !answers().await {
        if began.elapsed() > READY {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("the service does not answer: {}", log.lines().rev().take(5).collect::<Vec<_>>().join("\n"));
        }
        tokio::time::sleep(ASK).await;
    }
}

/// Unmounts what a service has left mounted in its folder.
pub(crate) fn unmount_below(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let paths = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let below: Vec<&str> = paths.filter(|path| Path::new(path).starts_with(folder)).collect();
    for mount in below.into_iter().rev() {
        let _ = Command::new("umount").arg("-l").arg(mount).stderr(Stdio::null()).status();
    }
}
