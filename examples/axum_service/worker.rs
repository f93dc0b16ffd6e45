//! What runs the jobs.

use futures::{StreamExt, channel::mpsc::Receiver};
use longshore::Runner;
use std::sync::Arc;

use crate::record::Record;

/// Runs the jobs that wait in the queue.
#[derive(Debug)]
pub struct Worker {
    runner: Runner,
    at_once: usize,
    queue: Receiver<Arc<Record>>,
}

impl Worker {
    pub(crate) const fn new(runner: Runner, at_once: usize, queue: Receiver<Arc<Record>>) -> Self {
        Self { runner, at_once, queue }
    }

    /// Runs jobs as they come, so many at one time, and returns once the service is shut down and no job is left.
    ///
    /// Not cancel-safe: jobs that run when it is dropped are left running.
    pub async fn run(self) {
        let Self { runner, at_once, queue } = self;
        queue.for_each_concurrent(at_once, |record| run_one(&runner, record)).await;
    }
}

async fn run_one(runner: &Runner, record: Arc<Record>) {
    if record.begins() {
        let runner = runner.clone().stopped_by(record.stop.clone());
        record.ends(runner.run(&record.job, record.as_ref()).await);
    }
}
