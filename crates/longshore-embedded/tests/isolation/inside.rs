//! A job on this machine's containers, and what it may do to them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::{
    CheckedJob, Clock, ContainerExecutor, ContainerJob, ExecutionHandle, ImageFormat, JobTemplate, LaunchRequest,
    Progress, Result, SecretBinding, SystemClock, Tmpfs,
};
use longshore_testkit::{suite::Test, tests};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;

use crate::support;

pub(crate) const TESTS: &[Test] = &tests![
    an_ordinary_user_can_write_to_the_outputs_by_name,
    the_filter_of_system_calls_is_in_force,
    real_time_signals_stop_and_kill_as_others_do,
    a_file_system_in_memory_does_not_hide_the_secrets,
    another_user_of_the_machine_can_not_look_into_the_state_folder,
];

pub(crate) const AS_ROOT: &[Test] = &tests![the_container_can_not_raise_its_own_limits];

/// Why this is not root's machine, if it is not.
pub(crate) fn root() -> Result<(), String> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err("only root has this to lose".to_owned()) }
}

/// An executor with a state folder, and a folder that jobs may reach.
pub(crate) struct Bench {
    pub(crate) state: TempDir,
    pub(crate) allowed: TempDir,
    pub(crate) executor: Arc<dyn ContainerExecutor>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(json!({})).await
    }

    /// With further settings of the host.
    pub(crate) async fn with(config: Value) -> Self {
        let (state, allowed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let executor = support::executor(state.path(), allowed.path(), config).unwrap();
        executor.discover().await.unwrap();
        Self { state, allowed, executor }
    }

    /// The probe, told what to do.
    pub(crate) fn job(&self, script: &[&str]) -> JobTemplate {
        let mut template = support::probe(&support::images::image(self.allowed.path(), ImageFormat::DockerArchive));
        template.args = script.iter().map(|&text| text.to_owned()).collect();
        template
    }

    /// Runs the job to its end: its exit code and its output.
    pub(crate) async fn run(&self, template: JobTemplate) -> Result<(Option<i32>, String)> {
        let job = ContainerJob::new(template, SystemClock.now());
        let (outcome, logs) = longshore_core::run(Arc::clone(&self.executor), &job).await?;
        let code = outcome.termination().and_then(|end| end.exit_code);
        Ok((code, String::from_utf8_lossy(&logs.stdout()).into_owned()))
    }

    /// Launches the job.
    pub(crate) async fn launch(&self, template: JobTemplate) -> ExecutionHandle {
        let now = SystemClock.now();
        let job = ContainerJob::new(template, now);
        let plan = self.executor.plan(&CheckedJob::new(&job, self.executor.as_ref()).unwrap()).unwrap();
        let request = LaunchRequest::new(&job, 1, plan, "isolation".parse().unwrap(), now, Duration::from_secs(60));
        self.executor.prepare(&request, Progress::ignored()).await.unwrap();
        self.executor.launch_job(&request).await.unwrap()
    }

    /// Ends the execution and removes it.
    pub(crate) async fn end(&self, handle: &ExecutionHandle) {
        let kill = longshore_core::StopRequest::new(longshore_core::StopReason::Cancelled, Duration::ZERO);
        self.executor.stop_job(handle, &kill).await.unwrap();
        self.executor.cleanup(handle).await.unwrap();
    }

    pub(crate) fn folder(&self, handle: &ExecutionHandle) -> PathBuf {
        self.state.path().join("embedded/executions").join(handle.token.to_string())
    }

    /// The number of a process of the execution.
    pub(crate) fn process(&self, handle: &ExecutionHandle, which: &str) -> u64 {
        let record = fs::read(self.folder(handle).join("started.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        record[which]["pid"].as_u64().unwrap()
    }
}

async fn an_ordinary_user_can_write_to_the_outputs_by_name() {
    let bench = Bench::new().await;
    let mut job = bench.job(&["write /dev/stdout out", "write /dev/stderr err"]);
    if rustix::process::geteuid().is_root() {
        job.user = Some("1000:1000".to_owned());
    }
    assert_eq!(bench.run(job).await.unwrap(), (Some(0), "out\n".to_owned()));
}

/// The kernel's own word (`proc_pid_status(5)`): 2 is a filter. The capabilities are those of the default profile.
async fn the_filter_of_system_calls_is_in_force() {
    let bench = Bench::new().await;
    let (code, status) = bench.run(bench.job(&["read /proc/self/status"])).await.unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    assert_eq!((code, field("Seccomp"), field("NoNewPrivs")), (Some(0), "2".to_owned(), "1".to_owned()));
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(field(set), "00000000000004fb", "{set}");
    }
    assert_eq!((field("CapInh"), field("CapAmb")), ("0".repeat(16), "0".repeat(16)));
}

async fn real_time_signals_stop_and_kill_as_others_do() {
    let bench = Bench::new().await;
    assert_eq!(bench.run(bench.job(&["raise 37"])).await.unwrap().0, Some(128 + 37));
    let mut job = bench.job(&["catch 37 5 0ms", "print ready", "forever"]);
    job.stop_signal = Some("37".parse().unwrap());
    let handle = bench.launch(job).await;
    let ready = longshore_core::LogQuery::from_start().waiting(Duration::from_secs(60));
    assert_eq!(bench.executor.get_logs(&handle, &ready).await.unwrap().records.len(), 1);
    let stop = longshore_core::StopRequest::new(longshore_core::StopReason::Cancelled, Duration::from_secs(60));
    let end = bench.executor.stop_job(&handle, &stop).await.unwrap();
    assert_eq!((end.cause, end.exit_code), (longshore_core::Cause::Cancelled, Some(5)));
    bench.executor.cleanup(&handle).await.unwrap();
}

async fn a_file_system_in_memory_does_not_hide_the_secrets() {
    let bench = Bench::new().await;
    let secret = bench.allowed.path().join("secret");
    fs::write(&secret, "hush").unwrap();
    let mut job = bench.job(&["read /run/secrets/key"]);
    let reference = format!("file:{}", secret.display()).parse().unwrap();
    job.secrets.push(SecretBinding::file("key".parse().unwrap(), reference));
    job.tmpfs.push(Tmpfs::new("/run", None));
    assert_eq!(bench.run(job).await.unwrap(), (Some(0), "hush".to_owned()));
}

async fn another_user_of_the_machine_can_not_look_into_the_state_folder() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new().await;
    let handle = bench.launch(bench.job(&["sleep 60s"])).await;
    for folder in [bench.state.path().join("embedded"), bench.folder(&handle)] {
        let mode = fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
    }
    bench.end(&handle).await;
}

async fn the_container_can_not_raise_its_own_limits() {
    let bench = Bench::new().await;
    let files = ["memory/memory.limit_in_bytes", "pids/pids.max", "freezer/freezer.state", "memory.max", "pids.max"];
    let there = files.map(|file| format!("/sys/fs/cgroup/{file}"));
    let mut tried = 0;
    for file in there {
        let (code, _) = bench.run(bench.job(&[&format!("read {file}")])).await.unwrap();
        if code != Some(0) {
            continue;
        }
        tried += 1;
        let (code, _) = bench.run(bench.job(&[&format!("write {file} -1")])).await.unwrap();
        assert_ne!(code, Some(0), "{file} was written from inside");
    }
    assert!(tried > 0, "a container sees its control groups");
}
