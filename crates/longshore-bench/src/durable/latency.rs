//! How soon a job that meets an idle dispatcher is launched.

use super::{
    Figure,
    stage::{self, Stage},
};
use crate::{cases::milliseconds, raw::Result};

const JOBS: u64 = 500;

/// From the submit, before it is stored, to the answer of the launch call, one job after the other.
pub(crate) async fn queue_to_launch() -> Result<Figure> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::on_mock(stage::sqlite(folder.path()).await?, None)?;
    stage.idle().await?;
    for done in 0..JOBS {
        stage.submit(1, "exit 0").await?;
        stage.completed(done + 1).await?;
    }
    let mut times = Vec::new();
    for record in stage.store.archive(None, usize::try_from(JOBS)?).await? {
        let launched_at = record.attempts.first().and_then(|attempt| attempt.launched_at).ok_or("never launched")?;
        times.push(milliseconds(launched_at.duration_since(record.job.submitted_at).try_into()?));
    }
    stage.end().await?;
    Ok(Figure::of_times("queue to launch, SQLite, idle", times, "p99 at most 10 ms"))
}
