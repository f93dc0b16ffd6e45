//! A state folder of a test's own, and what a test looks at and breaks in it.

use longshore_core::{
    CheckedJob, Clock, ContainerExecutor, ContainerJob, ExecutionHandle, ImageFormat, JobTemplate, LaunchRequest,
    LaunchToken, LogCompleteness, LogQuery, Progress, SystemClock, Termination,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

use crate::support;

pub(crate) const OWNER: &str = "fault-tests";

/// The first argument of a program that launches once and ends.
const CALL: &str = "launch-once";
/// How long a condition may take to come. It only ends what hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Why these tests can't run here, if so.
pub(crate) fn missing() -> Result<(), String> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err("control groups and small disks of the tests' own need root; run as root".to_owned())
}

/// A state folder, a folder with the image and scripts, and an executor that has been discovered.
pub(crate) struct Bench {
    pub(crate) state: TempDir,
    pub(crate) allowed: TempDir,
    pub(crate) executor: Arc<dyn ContainerExecutor>,
    image: String,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::on(TempDir::new().unwrap()).await
    }

    pub(crate) async fn on(state: TempDir) -> Self {
        let allowed = TempDir::new().unwrap();
        let image = support::images::image(allowed.path(), ImageFormat::DockerArchive);
        let executor = support::executor(state.path(), allowed.path(), json!({})).unwrap();
        executor.discover().await.unwrap();
        Self { state, allowed, executor, image }
    }

    /// One more executor of the same state folder.
    pub(crate) fn another(&self, config: Value) -> Arc<dyn ContainerExecutor> {
        support::executor(self.state.path(), self.allowed.path(), config).unwrap()
    }

    /// The probe with a script.
    pub(crate) fn template(&self, script: &[&str]) -> JobTemplate {
        let mut template = support::probe(&self.image);
        template.args = script.iter().map(|&instruction| instruction.to_owned()).collect();
        template
    }

    /// The first attempt at a new job, prepared.
    pub(crate) async fn request(&self, script: &[&str]) -> LaunchRequest {
        self.request_of(self.template(script), OWNER).await
    }

    pub(crate) async fn request_of(&self, template: JobTemplate, owner: &str) -> LaunchRequest {
        let job = ContainerJob::new(template, SystemClock.now());
        let plan = self.executor.plan(&CheckedJob::new(&job, self.executor.as_ref()).unwrap()).unwrap();
        let request =
            LaunchRequest::new(&job, 1, plan, owner.parse().unwrap(), SystemClock.now(), Duration::from_secs(120));
        self.executor.prepare(&request, Progress::ignored()).await.unwrap();
        request
    }

    pub(crate) async fn launch(&self, script: &[&str]) -> ExecutionHandle {
        self.executor.launch_job(&self.request(script).await).await.unwrap()
    }

    /// A program of the test's own. It is copied by another process, so that nobody holds it open for writing.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let (source, target) = (self.allowed.path().join(format!("{name}.txt")), self.allowed.path().join(name));
        fs::write(&source, text).unwrap();
        let copied = Command::new("install").args(["-m", "755"]).args([&source, &target]).status().unwrap();
        assert!(copied.success());
        target
    }

    /// A program of its own that launches the request, by the supervisor of the configuration.
    pub(crate) fn launcher(&self, request: &LaunchRequest, config: &Value) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .arg(CALL)
            .args([self.state.path(), self.allowed.path()])
            .args([config.to_string(), serde_json::to_string(request).unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn executions(&self) -> PathBuf {
        self.state.path().join("embedded/executions")
    }

    pub(crate) fn folder(&self, token: LaunchToken) -> PathBuf {
        self.executions().join(token.to_string())
    }

    pub(crate) fn started(&self, token: LaunchToken) -> Value {
        serde_json::from_slice(&fs::read(self.folder(token).join("started.json")).unwrap()).unwrap()
    }

    /// A process of the execution.
    pub(crate) fn process(&self, token: LaunchToken, which: &str) -> i32 {
        self.started(token)[which]["pid"].as_i64().unwrap().try_into().unwrap()
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self, handle: &ExecutionHandle) -> Termination {
        let ended =
            longshore_core::wait(self.executor.as_ref(), handle, &OWNER.parse().unwrap(), &SystemClock).await.unwrap();
        ended.termination().cloned().unwrap()
    }

    /// The log to its end, and how complete it is.
    pub(crate) async fn log(&self, handle: &ExecutionHandle) -> (Vec<u8>, LogCompleteness) {
        let (mut query, mut text) = (LogQuery::from_start(), Vec::new());
        loop {
            query.wait = LIMIT;
            let page = self.executor.get_logs(handle, &query).await.unwrap();
            page.records.iter().for_each(|record| text.extend_from_slice(&record.bytes));
            if let Some(completeness) = page.ended {
                return (text, completeness);
            }
            query = LogQuery::after(page.next);
        }
    }

    /// The job ends by itself with this output, and nothing of it is left after its cleanup.
    pub(crate) async fn ends_with(&self, handle: &ExecutionHandle, output: &str) {
        let ended = self.ended(handle).await;
        assert_eq!(ended.exit_code, Some(0), "{ended:?}");
        let (text, completeness) = self.log(handle).await;
        assert_eq!((String::from_utf8_lossy(&text).as_ref(), completeness), (output, LogCompleteness::Complete));
        self.executor.cleanup(handle).await.unwrap();
        self.assert_nothing_left(handle.token);
    }

    pub(crate) fn assert_nothing_left(&self, token: LaunchToken) {
        let names: Vec<_> = fs::read_dir(self.executions()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.is_empty(), "left in the folder: {names:?}");
        assert_eq!(cgroups(token), Vec::<PathBuf>::new(), "control groups are left");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let below = self.executions().to_string_lossy().into_owned();
        assert!(!mounts.lines().any(|line| line.contains(&below)), "something is left mounted: {mounts}");
    }
}

/// What a test that has failed leaves running ends with it.
impl Drop for Bench {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.executions()).into_iter().flatten().flatten() {
            let record = fs::read(entry.path().join("started.json")).unwrap_or_default();
            let started: Value = serde_json::from_slice(&record).unwrap_or_default();
            let pid = started["supervisor"]["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            if let Some(pid) = pid.filter(|_| !entry.path().join("exit.json").exists()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// The control groups of the execution.
pub(crate) fn cgroups(token: LaunchToken) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = |top: PathBuf| top.join("longshore").join(token.to_string());
    let hierarchies = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    std::iter::once(root.to_owned()).chain(hierarchies).map(below).filter(|group| group.is_dir()).collect()
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < LIMIT, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the file is there, and reads the number in it.
pub(crate) async fn number_in(path: &Path) -> i32 {
    let number = || fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))?.trim().parse().ok();
    until(&format!("{} holds a number", path.display()), || number().is_some()).await;
    number().unwrap()
}

pub(crate) fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Whether the process is there and no zombie.
pub(crate) fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !matches!(rest.trim_start().chars().next(), Some('Z' | 'X')))
}

/// The arguments of a program that launches once, if this is one.
pub(crate) fn called() -> Option<Vec<String>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    (arguments.first()? == CALL).then_some(arguments)
}

pub(crate) fn launch_once(arguments: &[String]) -> ExitCode {
    let [_, state, allowed, config, request] = arguments else { return ExitCode::from(2) };
    let config = serde_json::from_str(config).unwrap();
    let request: LaunchRequest = serde_json::from_str(request).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let launched = runtime.block_on(async {
        support::executor(Path::new(state), Path::new(allowed), config)?.launch_job(&request).await
    });
    let words = match &launched {
        Ok(handle) => handle.external_execution_id.to_string(),
        Err(error) => error.to_string(),
    };
    if launched.is_ok() {
        std::io::stdout().write_all(words.as_bytes()).unwrap();
        return ExitCode::SUCCESS;
    }
    std::io::stderr().write_all(format!("the launcher says: {words}\n").as_bytes()).unwrap();
    ExitCode::FAILURE
}
