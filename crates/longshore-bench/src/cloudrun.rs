//! Cloud Run: calls and bytes a job, and five hundred jobs at once within the documented quotas. Measured against the
//! testkit's fake, which keeps to those quotas and lives in a process of its own, on a clock that runs faster.

use longshore::{
    CapturedLogs, Clock, ContainerJob, ExecutionHost, ExecutorContext, JobStatus, JobTemplate, Runner,
    clock::since,
    cloudrun::{CloudRunConfig, CloudRunExecutor, Traffic},
};
use longshore_testkit::fakes::{
    ScaledClock,
    cloudrun::{FakeCloudRun, Options},
};
use serde::{Deserialize, Serialize};
use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use crate::raw::Result;

/// The argument that makes this program the fake.
pub(crate) const SERVE: &str = "--serve-cloudrun";
/// How many times faster than ours the fake's time runs. The faster, the more a busy machine looks like a slow network.
const SPEED: u32 = 4;
/// So many jobs at once.
const MANY: usize = 500;
/// The most memory that a program with so many jobs may have, in MiB.
const MOST_MEMORY: f64 = 100.0;

/// Where the fake is, and what lets somebody in.
#[derive(Debug, Serialize, Deserialize)]
struct Served {
    endpoint: String,
    logging_endpoint: String,
    project: String,
    region: String,
    image: String,
    token: String,
}

/// What so many jobs took.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    case: String,
    jobs: usize,
    calls_per_job: f64,
    log_reads_per_job: f64,
    bytes_per_job: f64,
    refused_for_the_rate: u64,
    minutes_of_the_provider: f64,
    seconds: f64,
    peak_memory_mib: f64,
    most_memory_mib: f64,
}

/// Is the fake, until whoever started it is gone.
pub(crate) async fn serve(tell: impl FnOnce(&serde_json::Value) -> Result<()>) -> Result<()> {
    let mut options = Options::default();
    options.limits.reads_per_minute = Some(3_000);
    options.limits.writes_per_minute = Some(180);
    let fake = FakeCloudRun::start(Arc::new(ScaledClock::times(SPEED)), options).await?;
    let served = Served {
        endpoint: fake.endpoint(),
        logging_endpoint: fake.logging_endpoint(),
        project: fake.project().to_owned(),
        region: fake.region().to_owned(),
        image: fake.probe_image().to_owned(),
        token: fake.issue_token(Duration::from_secs(30 * 24 * 3600)),
    };
    tell(&serde_json::to_value(&served)?)?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// An executor, and the fake that it talks to.
struct Place {
    executor: Arc<CloudRunExecutor>,
    clock: Arc<dyn Clock>,
    image: String,
    _state: tempfile::TempDir,
    _fake: Child,
}

impl Place {
    async fn start() -> Result<Self> {
        let mut fake = Command::new(std::env::current_exe()?);
        let mut fake = fake.arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = fake.stdout.take().ok_or("the fake has an output")?;
        let line = BufReader::new(output).lines().next_line().await?.ok_or("the fake says where it is")?;
        let served: Served = serde_json::from_str(&line)?;
        let state = tempfile::tempdir()?;
        let token = state.path().join("token");
        std::fs::write(&token, &served.token)?;
        let config = serde_json::json!({
            "project": served.project,
            "region": served.region,
            "endpoint": served.endpoint,
            "logging_endpoint": served.logging_endpoint,
            "request_timeout": "1h",
            "credentials": { "token": format!("file:{}", token.display()) },
        });
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::times(SPEED));
        let host = ExecutionHost::builder().name("bench".parse()?).executor_type("cloudrun".parse()?).build();
        let context = ExecutorContext::new(state.path()).with_clock(Arc::clone(&clock));
        let executor = Arc::new(CloudRunExecutor::new(&host, CloudRunConfig::from_value(&config)?, &context)?);
        Ok(Self { executor, clock, image: served.image, _state: state, _fake: fake })
    }

    async fn run(&self, script: &[&str]) -> Result<()> {
        let template = JobTemplate::builder()
            .name("bench".parse()?)
            .image(self.image.parse::<longshore::ImageSource>()?)
            .args(script.iter().copied())
            .build();
        let job = ContainerJob::new(template, self.clock.now());
        let logs = CapturedLogs::default();
        let runner = Runner::new(self.executor.clone()).with_clock(Arc::clone(&self.clock));
        let outcome = runner.run(&job, &logs).await?;
        if outcome.status != JobStatus::Completed || logs.stdout().is_empty() {
            return Err(format!("a measured job ended as {}", outcome.status).into());
        }
        Ok(())
    }

    fn traffic(&self) -> (Traffic, Traffic) {
        self.executor.traffic()
    }
}

/// So many jobs at once, each taken to completion with its logs followed.
async fn at_once(case: &str, jobs: usize, script: &[&str]) -> Result<Cost> {
    let place = Place::start().await?;
    let (began, shown) = (Instant::now(), place.clock.now());
    futures::future::try_join_all((0..jobs).map(|_| place.run(script))).await?;
    let (run, logging) = place.traffic();
    let per_job = |count: u64| precise(count) / precise(jobs as u64);
    Ok(Cost {
        case: case.to_owned(),
        jobs,
        calls_per_job: per_job(run.requests),
        log_reads_per_job: per_job(logging.requests),
        bytes_per_job: per_job(run.sent + run.received + logging.sent + logging.received),
        refused_for_the_rate: run.limited + logging.limited,
        minutes_of_the_provider: since(place.clock.now(), shown).as_secs_f64() / 60.0,
        seconds: began.elapsed().as_secs_f64(),
        peak_memory_mib: peak_memory()?,
        most_memory_mib: MOST_MEMORY,
    })
}

/// One job, ten, and as many as the quotas are made for.
pub(crate) async fn costs() -> Result<Vec<Cost>> {
    let one = at_once("cloudrun: one job", 1, &["print hello", "sleep 20s"]).await?;
    let ten = at_once("cloudrun: ten jobs at once", 10, &["print hello", "sleep 20s"]).await?;
    let script = ["print hello", "sleep 300s", "lines 20 80"];
    let many = at_once("cloudrun: five hundred jobs at once", MANY, &script).await?;
    if many.peak_memory_mib > MOST_MEMORY {
        return Err(format!("five hundred jobs took {:.0} MiB, more than {MOST_MEMORY}", many.peak_memory_mib).into());
    }
    Ok(vec![one, ten, many])
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {:.1} calls, {:.2} log reads and {:.0} bytes a job; {} refused for the rate; {:.1} minutes there, {:.0} s here; peak memory {:.0} MiB (at most {:.0})",
            self.case,
            self.calls_per_job,
            self.log_reads_per_job,
            self.bytes_per_job,
            self.refused_for_the_rate,
            self.minutes_of_the_provider,
            self.seconds,
            self.peak_memory_mib,
            self.most_memory_mib
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a measurement are far below 2^52")]
fn precise(count: u64) -> f64 {
    count as f64
}

/// The most memory that this process has had, in MiB.
fn peak_memory() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("the kernel counts memory")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(precise(kibibytes) / 1024.0)
}
