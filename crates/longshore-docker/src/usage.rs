//! Usage, sampled while a container runs: after its end the engine's figures are all zero.

use bollard::models::ContainerStatsResponse;
use longshore_core::{Clock, ErrorKind};
use std::time::Duration;

use crate::{
    client::Engine,
    notes::{NotesFile, Sample},
};

/// When to take the first sample; a job that ends before it has none.
const FIRST: Duration = Duration::from_millis(500);
/// The time between samples.
const EVERY: Duration = Duration::from_secs(5);

/// Samples until the container is gone or this is dropped; a stopped container's zeros are not noted.
pub(crate) async fn sample(engine: &Engine, container: &str, notes: &NotesFile, clock: &dyn Clock) {
    let mut pause = FIRST;
    loop {
        clock.sleep(pause).await;
        pause = EVERY;
        match engine.sample(container).await {
            Ok(Some(stats)) => {
                if let Some(sample) = read(&stats) {
                    let _ = notes.change(|notes| notes.sample = Some(merged(notes.sample, sample)));
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => return,
            Ok(None) | Err(_) => {}
        }
    }
}

/// `None` for the zeros of a container that does not run.
fn read(stats: &ContainerStatsResponse) -> Option<Sample> {
    let cpu_nanos = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    let memory = stats.memory_stats.as_ref();
    let peak_memory = memory.and_then(|memory| memory.max_usage.or(memory.usage)).unwrap_or_default();
    let networks = || stats.networks.iter().flat_map(|networks| networks.values());
    (cpu_nanos > 0).then(|| Sample {
        cpu_nanos,
        peak_memory,
        received: networks().filter_map(|network| network.rx_bytes).sum(),
        sent: networks().filter_map(|network| network.tx_bytes).sum(),
    })
}

fn merged(before: Option<Sample>, now: Sample) -> Sample {
    let before = before.unwrap_or_default();
    Sample { peak_memory: now.peak_memory.max(before.peak_memory), ..now }
}
