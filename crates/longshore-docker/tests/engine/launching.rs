//! Launching step by step, for tests that look in between.

use longshore_core::{
    CheckedJob, Clock, ContainerExecutor, ContainerJob, ExecutionHandle, JobTemplate, LaunchRequest, Progress,
    SystemClock,
};
use std::time::Duration;

use crate::support;

pub(crate) const OWNER: &str = "engine-tests";

/// The probe with a script.
pub(crate) fn template(script: &[&str]) -> JobTemplate {
    let mut template = support::probe();
    template.args = script.iter().map(|&instruction| instruction.to_owned()).collect();
    template
}

/// The first attempt at a new job; the executor has been discovered.
pub(crate) fn request(executor: &dyn ContainerExecutor, template: JobTemplate) -> LaunchRequest {
    let job = ContainerJob::new(template, SystemClock.now());
    let plan = executor.plan(&CheckedJob::new(&job, executor).unwrap()).unwrap();
    LaunchRequest::new(&job, 1, plan, OWNER.parse().unwrap(), SystemClock.now(), Duration::from_secs(120))
}

pub(crate) async fn launch(executor: &dyn ContainerExecutor, script: &[&str]) -> ExecutionHandle {
    let request = request(executor, template(script));
    executor.prepare(&request, Progress::ignored()).await.unwrap();
    executor.launch_job(&request).await.unwrap()
}
