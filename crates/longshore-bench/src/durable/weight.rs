//! What a dispatcher weighs: CPU while nothing happens, and memory with much to do.

use longshore::{Clock, JobStatus, SystemClock};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    Figure,
    stage::{self, Stage},
};
use crate::raw::Result;

/// How many jobs run, and how many wait.
const RUNNING: u32 = 1_000;
const QUEUED: usize = 100_000;

/// The part of one CPU that this program takes while nothing happens: with nothing to do, and with jobs that run.
pub(crate) async fn idle(time: Duration) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::on_mock(stage::sqlite(folder.path()).await?, Some(100))?;
    stage.idle().await?;
    let empty = load(time).await?;
    stage.submit(100, "forever").await?;
    stage.count(JobStatus::Running, 100).await?;
    let running = load(time).await?;
    stage.end().await?;
    let figure = |case, value| Figure::one(case, "% of one CPU", "load", value, "below 1");
    Ok(vec![figure("idle, nothing to do", empty), figure("idle, 100 jobs that run", running)])
}

async fn load(time: Duration) -> Result<f64> {
    let (before, began) = (consumed()?, Instant::now());
    SystemClock.sleep(time).await;
    Ok(100.0 * (consumed()? - before).as_secs_f64() / began.elapsed().as_secs_f64())
}

/// The CPU time of this process so far.
fn consumed() -> Result<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
}

/// The memory of a dispatcher of its own with many jobs.
pub(crate) async fn resident() -> Result<Figure> {
    let this = std::env::current_exe()?;
    let weighed = tokio::process::Command::new(this).arg("--weigh").stderr(Stdio::inherit()).output().await?;
    let mebibytes: f64 = String::from_utf8(weighed.stdout)?.trim().parse()?;
    let case = format!("resident, SQLite, {QUEUED} queued and {RUNNING} running");
    Ok(Figure::one(case, "MiB", "most", mebibytes, "at most 150"))
}

/// Takes in many jobs, lets as many run as may, and tells the most memory that this process has had, in MiB.
pub(crate) async fn weigh() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::on_mock(stage::sqlite(folder.path()).await?, Some(RUNNING))?;
    stage.submit(QUEUED + usize::try_from(RUNNING)?, "forever").await?;
    stage.count(JobStatus::Running, RUNNING.into()).await?;
    let most = crate::cases::resident()?;
    stage.end().await?;
    Ok(most)
}
