//! From submit to completed and stored, as many a second as come.

use longshore::{JobStatus, store::JobStore};
use std::{sync::Arc, time::Instant};

use super::{
    Extent, Figure,
    stage::{self, Stage},
};
use crate::raw::Result;

/// Jobs a second on a SQLite file of its own for each round.
pub(crate) async fn on_sqlite(extent: Extent) -> Result<Figure> {
    let mut rounds = Vec::new();
    for _ in 0..extent.rounds {
        let folder = tempfile::tempdir()?;
        rounds.push(once(stage::sqlite(folder.path()).await?, extent.jobs).await?);
    }
    Ok(Figure::of_rounds("durable jobs a second, SQLite with full sync", "1/s", &rounds, "at least 5000"))
}

/// Runs so many jobs through a store; how many a second. It begins with the first submit, and ends when all of them are
/// completed and cleaned up.
pub(crate) async fn once(store: Arc<dyn JobStore>, jobs: usize) -> Result<f64> {
    let before = stage::count(&*store, JobStatus::Completed).await?;
    let mut stage = Stage::on_mock(store, None)?;
    stage.idle().await?;
    let began = Instant::now();
    stage.submit(jobs, "exit 0").await?;
    let ended = stage.completed(before + u64::try_from(jobs)?).await?;
    let seconds = ended.duration_since(began).as_secs_f64();
    stage.end().await?;
    Ok(f64::from(u32::try_from(jobs)?) / seconds)
}
