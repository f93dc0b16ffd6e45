//! What is measured: A and B in turn, so that whatever else the machine does falls on both.

use longshore::{ByteSize, ContainerExecutor, SecurityProfile};
use serde::Serialize;
use std::{
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    ours,
    raw::{Failure, Raw, RawJob, Result},
    stats::{self, Ratio},
};

/// One finished measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) case: String,
    pub(crate) a: String,
    pub(crate) b: String,
    pub(crate) unit: &'static str,
    pub(crate) median_a: f64,
    pub(crate) median_b: f64,
    #[serde(flatten)]
    pub(crate) ratio: Ratio,
    /// What the ratio should be: at most, or at least.
    pub(crate) target: String,
    pub(crate) pairs: usize,
}

/// Everything that a case needs.
pub(crate) struct Bench {
    pub(crate) socket: PathBuf,
    pub(crate) image: String,
    pub(crate) executor: Arc<dyn ContainerExecutor>,
    pub(crate) pairs: usize,
}

pub(crate) const LINES: u64 = 400_000;
pub(crate) const LINE: u64 = 100;

impl Bench {
    pub(crate) fn job(&self, instructions: &[&str]) -> RawJob {
        RawJob { image: self.image.clone(), command: instructions.iter().map(|&text| text.to_owned()).collect() }
    }

    async fn longshore(&self, job: &RawJob, security: SecurityProfile) -> Result<f64> {
        let began = Instant::now();
        ours::run(&self.executor, job, security, ByteSize::from_mib(64)).await?;
        Ok(milliseconds(began.elapsed()))
    }

    /// From launch to cleaned up, against the bare API sequence.
    pub(crate) async fn launch(&self) -> Result<Finding> {
        let job = self.job(&["print hello"]);
        let mut raw = Raw::connect(&self.socket).await?;
        let mut samples = Samples::default();
        for pair in 0..self.pairs {
            let one = async |ours: bool, raw: &mut Raw| -> Result<f64> {
                if ours {
                    return self.longshore(&job, SecurityProfile::Default).await;
                }
                let began = Instant::now();
                raw.run(&job).await?;
                Ok(milliseconds(began.elapsed()))
            };
            let first = one(pair % 2 == 0, &mut raw).await?;
            let second = one(pair % 2 == 1, &mut raw).await?;
            samples.add(pair, first, second);
        }
        Ok(samples.finding("launch to cleaned up", ("longshore", "raw API"), "ms", "at most 1.05"))
    }

    /// From launch to cleaned up, against `docker run --rm`.
    pub(crate) async fn docker_run(&self) -> Result<Finding> {
        let job = self.job(&["print hello"]);
        let mut samples = Samples::default();
        for pair in 0..self.pairs {
            let one = async |ours: bool| {
                if ours { self.longshore(&job, SecurityProfile::Default).await } else { docker_run(&job).await }
            };
            let first = one(pair % 2 == 0).await?;
            let second = one(pair % 2 == 1).await?;
            samples.add(pair, first, second);
        }
        Ok(samples.finding("launch to cleaned up", ("longshore", "docker run --rm"), "ms", "at most 1.00"))
    }

    /// The default security profile against the engine's own.
    pub(crate) async fn security(&self) -> Result<Finding> {
        let job = self.job(&["print hello"]);
        let mut samples = Samples::default();
        for pair in 0..self.pairs {
            let profile = |ours: bool| if ours { SecurityProfile::Default } else { SecurityProfile::Platform };
            let first = self.longshore(&job, profile(pair % 2 == 0)).await?;
            let second = self.longshore(&job, profile(pair % 2 == 1)).await?;
            samples.add(pair, first, second);
        }
        Ok(samples.finding("security profile", ("default", "platform"), "ms", "at most 1.05"))
    }

    /// Containers a second, so many at a time.
    pub(crate) async fn width(&self, width: usize) -> Result<Finding> {
        let job = self.job(&["print hello"]);
        let rounds = self.pairs.div_ceil(4).max(3);
        let mut samples = Samples::default();
        for pair in 0..rounds {
            let first = self.burst(&job, width, pair % 2 == 0).await?;
            let second = self.burst(&job, width, pair % 2 == 1).await?;
            samples.add(pair, first, second);
        }
        let case = format!("containers a second, {width} at a time");
        Ok(samples.finding(&case, ("longshore", "raw API"), "1/s", "at least 0.95"))
    }

    async fn burst(&self, job: &RawJob, width: usize, ours: bool) -> Result<f64> {
        const EACH: usize = 4;
        let began = Instant::now();
        let lanes = (0..width).map(|_| async move {
            let mut raw = Raw::connect(&self.socket).await?;
            for _ in 0..EACH {
                if ours {
                    self.longshore(job, SecurityProfile::Default).await?;
                } else {
                    raw.run(job).await?;
                }
            }
            Ok::<(), Failure>(())
        });
        futures::future::try_join_all(lanes).await?;
        let count = u32::try_from(width * EACH)?;
        Ok(f64::from(count) / began.elapsed().as_secs_f64())
    }

    /// A quick log, followed to its end.
    pub(crate) async fn logs(&self) -> Result<Finding> {
        let lines = format!("lines {LINES} {LINE}");
        let job = self.job(&[lines.as_str()]);
        let mut raw = Raw::connect(&self.socket).await?;
        let mut samples = Samples::default();
        for pair in 0..self.pairs.div_ceil(4).max(3) {
            let one = async |ours: bool, raw: &mut Raw| -> Result<f64> {
                let began = Instant::now();
                if ours {
                    let bytes =
                        ours::run(&self.executor, &job, SecurityProfile::Default, ByteSize::from_mib(512)).await?;
                    if bytes != LINES * LINE {
                        return Err(format!("{bytes} bytes came of {}", LINES * LINE).into());
                    }
                } else {
                    raw.follow(&job).await?;
                }
                Ok(mebibytes(LINES * LINE) / began.elapsed().as_secs_f64())
            };
            let first = one(pair % 2 == 0, &mut raw).await?;
            let second = one(pair % 2 == 1, &mut raw).await?;
            samples.add(pair, first, second);
        }
        Ok(samples.finding("log throughput", ("longshore", "raw follow"), "MiB/s", "at least 0.9"))
    }

    /// How much memory this program takes while a line of 1 GiB goes by, in MiB, beyond what it had.
    pub(crate) async fn memory(&self) -> Result<f64> {
        const LINE_BREAK_AND_LAST_LINE: u64 = 5;
        let job = self.job(&["bytes 1073741824", "print", "print end"]);
        let before = resident()?;
        let bytes = ours::run(&self.executor, &job, SecurityProfile::Default, ByteSize::from_mib(1025)).await?;
        let written = (1 << 30) + LINE_BREAK_AND_LAST_LINE;
        if bytes != written {
            return Err(format!("{bytes} bytes came of {written}").into());
        }
        Ok(resident()? - before)
    }
}

/// What was measured of A and of B.
#[derive(Default)]
pub(crate) struct Samples {
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Samples {
    /// In even pairs A was first, in odd ones B.
    pub(crate) fn add(&mut self, pair: usize, first: f64, second: f64) {
        let (a, b) = if pair.is_multiple_of(2) { (first, second) } else { (second, first) };
        self.a.push(a);
        self.b.push(b);
    }

    /// What they come to.
    pub(crate) fn finding(mut self, case: &str, names: (&str, &str), unit: &'static str, target: &str) -> Finding {
        Finding {
            case: case.to_owned(),
            a: names.0.to_owned(),
            b: names.1.to_owned(),
            unit,
            ratio: stats::ratio(&self.a, &self.b),
            median_a: stats::median(&mut self.a),
            median_b: stats::median(&mut self.b),
            target: target.to_owned(),
            pairs: self.a.len(),
        }
    }
}

async fn docker_run(job: &RawJob) -> Result<f64> {
    let began = Instant::now();
    let status = tokio::process::Command::new("docker")
        .args([
            "run",
            "--rm",
            "--network",
            "none",
            "--log-driver",
            "local",
            "--log-opt",
            "compress=false",
            "--log-opt",
            "max-file=1",
        ])
        .arg(&job.image)
        .args(&job.command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await?;
    if status.success() {
        Ok(milliseconds(began.elapsed()))
    } else {
        Err(format!("docker run ended with {status}").into())
    }
}

/// The most memory that this process has had at one time, in MiB.
pub(crate) fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1024.0)
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
