//! The same work through Longshore.

use async_trait::async_trait;
use longshore::{
    ByteSize, Clock, ContainerExecutor, ContainerJob, ExecutionHost, ExecutorContext, JobStatus, JobTemplate,
    LogCompleteness, LogDelivery, Network, RunEvent, RunObserver, Runner, SecurityProfile, SystemClock,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::raw::{RawJob, Result};

/// The executor under measurement, with its state in the folder, in which images may lie too.
pub(crate) fn executor(kind: &str, state: &Path) -> Result<Arc<dyn ContainerExecutor>> {
    let mut allow = longshore::Allow::default();
    allow.platform_profile = true;
    allow.image_folders.insert(state.to_owned());
    let host = ExecutionHost::builder().name("bench".parse()?).executor_type(kind.parse()?).allow(allow).build();
    Ok(longshore::registry().build(&host, &ExecutorContext::new(state))?)
}

/// Runs the job to completion and returns how many bytes it wrote.
pub(crate) async fn run(
    executor: &Arc<dyn ContainerExecutor>,
    job: &RawJob,
    security: SecurityProfile,
    cap: ByteSize,
) -> Result<u64> {
    let template = JobTemplate::builder()
        .name("bench".parse()?)
        .image(job.image.parse::<longshore::ImageSource>()?)
        .command(job.command.clone())
        .network(Network::None)
        .security(security)
        .log_cap(cap)
        .build();
    let count = Count::default();
    let outcome = Runner::new(executor.clone()).run(&ContainerJob::new(template, SystemClock.now()), &count).await?;
    let whole = matches!(outcome.logs, LogDelivery::Delivered(LogCompleteness::Complete));
    if outcome.status != JobStatus::Completed || !whole {
        return Err(format!("a measured job ended as {} with logs {:?}", outcome.status, outcome.logs).into());
    }
    Ok(count.0.load(Ordering::Relaxed))
}

/// Counts the bytes of a log and keeps none.
#[derive(Default)]
struct Count(AtomicU64);

#[async_trait]
impl RunObserver for Count {
    async fn observe(&self, event: RunEvent<'_>) -> longshore::Result<()> {
        if let RunEvent::Logs(records) = event {
            let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
            self.0.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}
