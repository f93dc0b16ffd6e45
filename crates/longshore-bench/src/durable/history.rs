//! A store with a long history beside an empty one.

use longshore::{
    Clock, JobId, SystemClock,
    store::{JobArchive, JobStore},
};
use std::sync::Arc;

use super::{Extent, rate, stage};
use crate::{
    cases::{Finding, Samples},
    raw::Result,
};

/// How many jobs are taken in at one time.
const BATCH: usize = 1_000;

/// Jobs a second over so many finished ones, against those in an empty store.
pub(crate) async fn measure(extent: Extent) -> Result<Finding> {
    let full = tempfile::tempdir()?;
    let store = stage::sqlite(full.path()).await?;
    rate::once(Arc::clone(&store), 1).await?;
    fill(&*store, extent.history).await?;
    let mut samples = Samples::default();
    for pair in 0..extent.rounds {
        let one = async |is_full: bool| -> Result<f64> {
            if is_full {
                return rate::once(Arc::clone(&store), extent.jobs).await;
            }
            let empty = tempfile::tempdir()?;
            rate::once(stage::sqlite(empty.path()).await?, extent.jobs).await
        };
        let first = one(pair % 2 == 0).await?;
        let second = one(pair % 2 == 1).await?;
        samples.add(pair, first, second);
    }
    let case = format!("durable jobs a second over {} finished jobs, SQLite", extent.history);
    Ok(samples.finding(&case, ("full store", "empty store"), "1/s", "at least 0.9"))
}

/// Takes in the store's only job under so many other ids.
async fn fill(store: &dyn JobStore, count: usize) -> Result<()> {
    let sample = store.archive(None, 1).await?.pop().ok_or("the store has no job")?;
    let id = sample.job.submission.job.id.to_string();
    // As it stands in tokens.
    let short = id.replace('-', "");
    let text = serde_json::to_string(&sample)?;
    for done in (0..count).step_by(BATCH) {
        let copy = |_| -> Result<JobArchive> {
            let new = JobId::new(SystemClock.now()).to_string();
            Ok(serde_json::from_str(&text.replace(&id, &new).replace(&short, &new.replace('-', "")))?)
        };
        store.import((0..BATCH.min(count - done)).map(copy).collect::<Result<_>>()?).await?;
    }
    Ok(())
}
