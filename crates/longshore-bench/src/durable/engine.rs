//! Docker under the dispatcher: from submit to cleaned up, and from an exit to its stored outcome.

use futures::StreamExt;
use longshore::{
    Clock, JobId, JobStatus, SystemClock, Timestamp,
    store::{JobRecord, Submission},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

use super::{
    Figure,
    stage::{self, Stage},
};
use crate::{
    cases::{Bench, Finding, Samples, milliseconds},
    raw::{Raw, Result},
};

/// How many containers run while they exit one at a time.
const RUNNING: u32 = 100;

async fn on_docker(socket: &Path, folder: &TempDir) -> Result<Stage> {
    let mut host = stage::host("docker", None)?;
    host.executor_config = serde_json::json!({ "host": format!("unix://{}", socket.display()) });
    Stage::start(stage::sqlite(folder.path()).await?, host)
}

async fn submit(stage: &Stage, bench: &Bench, script: &[&str]) -> Result<JobId> {
    let submitted = stage
        .store
        .submit(vec![Submission::builder(stage::job(&bench.image, script)?).build()], SystemClock.now())
        .await?;
    Ok(submitted.into_iter().next().ok_or("no answer")??.id())
}

/// From submit to cleaned up, against the bare API sequence.
pub(crate) async fn end_to_end(bench: &Bench) -> Result<Finding> {
    let folder = tempfile::tempdir()?;
    let mut stage = on_docker(&bench.socket, &folder).await?;
    stage.idle().await?;
    let mut raw = Raw::connect(&bench.socket).await?;
    let job = bench.job(&["print hello"]);
    let (mut samples, mut done) = (Samples::default(), 0);
    for pair in 0..bench.pairs {
        let mut one = async |ours: bool| -> Result<f64> {
            let began = Instant::now();
            if ours {
                submit(&stage, bench, &["print hello"]).await?;
                done += 1;
                stage.completed(done).await?;
            } else {
                raw.run(&job).await?;
            }
            Ok(milliseconds(began.elapsed()))
        };
        let first = one(pair % 2 == 0).await?;
        let second = one(pair % 2 == 1).await?;
        samples.add(pair, first, second);
    }
    stage.end().await?;
    Ok(samples.finding("submit to cleaned up, durable", ("longshore", "raw API"), "ms", "at most 1.08"))
}

/// From the engine's word of an exit to the moment at which its outcome can be read, while many others run.
pub(crate) async fn exit_to_stored(bench: &Bench) -> Result<Figure> {
    let folder = tempfile::tempdir()?;
    let mut stage = on_docker(&bench.socket, &folder).await?;
    let mut jobs = Vec::new();
    for _ in 0..RUNNING {
        jobs.push(submit(&stage, bench, &["catch TERM 0", "forever"]).await?);
    }
    stage.count(JobStatus::Running, RUNNING.into()).await?;
    let mut raw = Raw::connect(&bench.socket).await?;
    let mut times = Vec::new();
    for id in jobs {
        let attempts = stage.store.attempts(id).await?;
        let handle = attempts.first().and_then(|attempt| attempt.handle.as_ref()).ok_or("no handle")?;
        let container = handle.external_execution_id.to_string();
        let (died, stored) = futures::try_join!(raw.kill(&container), ended(&stage, id))?;
        times.push(milliseconds(stored.duration_since(died).try_into().unwrap_or(Duration::ZERO)));
    }
    stage.completed(RUNNING.into()).await?;
    stage.end().await?;
    Ok(Figure::of_times("Docker exit to stored, 100 running", times, "p99 at most 50 ms"))
}

/// When it can be read that the job has ended.
async fn ended(stage: &Stage, id: JobId) -> Result<Timestamp> {
    let mut news = stage.store.news().await?;
    while news.next().await.is_some() {
        let JobRecord { status, .. } = stage.store.job(id).await?;
        if status.is_terminal() {
            return Ok(SystemClock.now());
        }
    }
    Err("the store tells no news any more".into())
}
