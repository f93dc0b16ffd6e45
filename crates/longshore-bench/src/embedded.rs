//! The embedded executor: the same image and command as the engine's, and bare runc on the same root.

use longshore::{
    ByteSize, CheckedJob, Clock, ContainerExecutor, ContainerJob, ExecutionHandle, JobTemplate, LaunchRequest, Network,
    Progress, SecurityProfile, StopReason, StopRequest, SystemClock,
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

use crate::{
    cases::{Bench, Finding, LINE, LINES, Samples, mebibytes, milliseconds},
    ours,
    raw::{Failure, RawJob, Result},
};

/// How many containers each lane of a burst runs.
const EACH: usize = 8;

/// The embedded executor, with the probe's image in its cache.
pub(crate) struct Embedded {
    state: TempDir,
    image: String,
    executor: Arc<dyn ContainerExecutor>,
    pairs: usize,
}

impl Embedded {
    pub(crate) fn new(pairs: usize) -> Result<Self> {
        let state = tempfile::tempdir()?;
        let archive = state.path().join("probe.tar");
        fs::write(&archive, longshore_probe::image_archive("longshore-probe:bench"))?;
        let image = format!("docker-archive:{}", archive.display());
        Ok(Self { image, executor: ours::executor("embedded", state.path())?, pairs, state })
    }

    fn job(&self, instructions: &[&str]) -> RawJob {
        RawJob { image: self.image.clone(), command: instructions.iter().map(|&text| text.to_owned()).collect() }
    }

    /// From launch to cleaned up, against the Docker executor.
    pub(crate) async fn launch(&self, bench: &Bench) -> Result<Finding> {
        let (own, engine) = (self.job(&["print hello"]), bench.job(&["print hello"]));
        let mut samples = Samples::default();
        for pair in 0..self.pairs {
            let one = async |ours: bool| -> Result<f64> {
                let began = Instant::now();
                if ours {
                    run(&self.executor, &own).await?
                } else {
                    run(&bench.executor, &engine).await?
                };
                Ok(milliseconds(began.elapsed()))
            };
            let first = one(pair % 2 == 0).await?;
            let second = one(pair % 2 == 1).await?;
            samples.add(pair, first, second);
        }
        Ok(samples.finding("launch to cleaned up", ("embedded", "docker"), "ms", "at most 0.25"))
    }

    /// Containers a second, so many at a time, against the Docker executor.
    pub(crate) async fn width(&self, bench: &Bench, width: usize) -> Result<Finding> {
        let (own, engine) = (self.job(&["print hello"]), bench.job(&["print hello"]));
        let mut samples = Samples::default();
        for pair in 0..self.rounds() {
            let one = async |ours: bool| {
                let (executor, job) = if ours { (&self.executor, &own) } else { (&bench.executor, &engine) };
                burst(width, async || run(executor, job).await.map(drop)).await
            };
            let first = one(pair % 2 == 0).await?;
            let second = one(pair % 2 == 1).await?;
            samples.add(pair, first, second);
        }
        let case = format!("containers a second, {width} at a time");
        Ok(samples.finding(&case, ("embedded", "docker"), "1/s", "at least 5"))
    }

    /// Containers a second, so many at a time, against `runc run` on the same root.
    pub(crate) async fn against_runc(&self, width: usize) -> Result<Finding> {
        let own = self.job(&["print hello"]);
        run(&self.executor, &own).await?;
        let bundles: Vec<PathBuf> = (0..width).map(|lane| self.bundle(lane)).collect::<Result<_>>()?;
        let mut samples = Samples::default();
        for pair in 0..self.rounds() {
            let one = async |ours: bool| {
                let bundles = std::sync::Mutex::new(bundles.iter());
                burst_with(
                    width,
                    || bundles.lock().ok().and_then(|mut bundles| bundles.next()),
                    async |bundle: &PathBuf| {
                        if ours { run(&self.executor, &own).await.map(drop) } else { runc(bundle).await }
                    },
                )
                .await
            };
            let first = one(pair % 2 == 0).await?;
            let second = one(pair % 2 == 1).await?;
            samples.add(pair, first, second);
        }
        let case = format!("containers a second, {width} at a time");
        Ok(samples.finding(&case, ("embedded", "runc run"), "1/s", "at least 0.8"))
    }

    /// A quick log, followed to its end, against the Docker executor.
    pub(crate) async fn logs(&self, bench: &Bench) -> Result<Finding> {
        let lines = format!("lines {LINES} {LINE}");
        let (own, engine) = (self.job(&[lines.as_str()]), bench.job(&[lines.as_str()]));
        let mut samples = Samples::default();
        for pair in 0..self.rounds() {
            let one = async |ours: bool| -> Result<f64> {
                let (executor, job) = if ours { (&self.executor, &own) } else { (&bench.executor, &engine) };
                let began = Instant::now();
                let bytes = ours::run(executor, job, SecurityProfile::Default, ByteSize::from_mib(512)).await?;
                if bytes != LINES * LINE {
                    return Err(format!("{bytes} bytes came of {}", LINES * LINE).into());
                }
                Ok(mebibytes(bytes) / began.elapsed().as_secs_f64())
            };
            let first = one(pair % 2 == 0).await?;
            let second = one(pair % 2 == 1).await?;
            samples.add(pair, first, second);
        }
        Ok(samples.finding("log throughput", ("embedded", "docker"), "MiB/s", "at least 1"))
    }

    /// The most private memory of a supervisor that looks after a container, in KiB, while there are several.
    pub(crate) async fn supervisor_memory(&self, supervisors: usize) -> Result<u64> {
        let mut most = 0;
        let mut handles = Vec::new();
        for _ in 0..supervisors {
            handles.push(self.sleeper().await?);
        }
        for handle in &handles {
            most = most.max(private_memory(&self.executions().join(handle.token.to_string()))?);
        }
        for handle in &handles {
            self.executor.stop_job(handle, &StopRequest::new(StopReason::Cancelled, Duration::ZERO)).await?;
            self.executor.cleanup(handle).await?;
        }
        Ok(most)
    }

    fn executions(&self) -> PathBuf {
        self.state.path().join("embedded/executions")
    }

    async fn sleeper(&self) -> Result<ExecutionHandle> {
        let template = JobTemplate::builder()
            .name("bench".parse()?)
            .image(self.image.parse::<longshore::ImageSource>()?)
            .command(["print begun", "sleep 60s"])
            .network(Network::None)
            .build();
        let now = SystemClock.now();
        let job = ContainerJob::new(template, now);
        self.executor.discover().await?;
        let plan = self.executor.plan(&CheckedJob::new(&job, self.executor.as_ref())?)?;
        let request = LaunchRequest::new(&job, 1, plan, "bench".parse()?, now, Duration::from_secs(60));
        self.executor.prepare(&request, Progress::ignored()).await?;
        Ok(self.executor.launch_job(&request).await?)
    }

    const fn rounds(&self) -> usize {
        let rounds = self.pairs.div_ceil(4);
        if rounds < 3 { 3 } else { rounds }
    }

    /// A bundle of the same root and program, as `runc spec` describes it.
    fn bundle(&self, lane: usize) -> Result<PathBuf> {
        let bundle = self.state.path().join(format!("bundle-{lane}"));
        fs::create_dir_all(&bundle)?;
        let spec = std::process::Command::new("runc").arg("spec").current_dir(&bundle).stdin(Stdio::null()).output()?;
        let config = bundle.join("config.json");
        if !spec.status.success() && !config.exists() {
            return Err(format!("runc spec: {}", String::from_utf8_lossy(&spec.stderr)).into());
        }
        let mut spec: serde_json::Value = serde_json::from_slice(&fs::read(&config)?)?;
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["/probe", "print hello"]);
        spec["root"] = json!({ "path": layer(&self.state.path().join("embedded/images"))?, "readonly": true });
        fs::write(&config, serde_json::to_vec(&spec)?)?;
        Ok(bundle)
    }
}

/// The unpacked layer that holds the probe.
fn layer(images: &Path) -> Result<PathBuf> {
    let mut folders = vec![images.to_owned()];
    while let Some(folder) = folders.pop() {
        if folder.join("probe").is_file() {
            return Ok(folder);
        }
        folders
            .extend(fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()));
    }
    Err("no unpacked layer holds the probe".into())
}

async fn run(executor: &Arc<dyn ContainerExecutor>, job: &RawJob) -> Result<u64> {
    ours::run(executor, job, SecurityProfile::Default, ByteSize::from_mib(64)).await
}

async fn runc(bundle: &Path) -> Result<()> {
    let id = bundle.file_name().and_then(|name| name.to_str()).ok_or("a bundle has a name")?;
    let status = tokio::process::Command::new("runc")
        .args(["run", &format!("longshore-{id}-{}", std::process::id())])
        .current_dir(bundle)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await?;
    if status.success() { Ok(()) } else { Err(format!("runc run ended with {status}").into()) }
}

/// How many a second, in so many lanes.
async fn burst(width: usize, one: impl AsyncFn() -> Result<()>) -> Result<f64> {
    burst_with(width, || Some(()), async |()| one().await).await
}

async fn burst_with<T: Copy>(
    width: usize,
    mut lane: impl FnMut() -> Option<T>,
    one: impl AsyncFn(T) -> Result<()>,
) -> Result<f64> {
    let began = Instant::now();
    let one = &one;
    let lanes = (0..width).filter_map(|_| lane()).map(|lane| async move {
        for _ in 0..EACH {
            one(lane).await?;
        }
        Ok::<(), Failure>(())
    });
    futures::future::try_join_all(lanes).await?;
    let count = u32::try_from(width * EACH)?;
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// What the supervisor of the execution has in memory that no other process shares, in KiB.
fn private_memory(execution: &Path) -> Result<u64> {
    let started: serde_json::Value = serde_json::from_slice(&fs::read(execution.join("started.json"))?)?;
    let pid = started["supervisor"]["pid"].as_u64().ok_or("the supervisor has a number")?;
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |name: &str| -> u64 {
        let line = smaps.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
    };
    Ok(field("Private_Clean:") + field("Private_Dirty:"))
}
