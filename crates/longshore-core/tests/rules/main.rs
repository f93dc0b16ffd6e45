//! Conditions: what they mean, what is wrong with them, and that nothing makes them panic.

#![cfg(feature = "rules")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod faults;
mod fuzz;
mod interpreter;
mod meaning;

use longshore_core::{
    ContainerJob, EnvVar, GpuRequest, HostName, JobTemplate, LabelValue, PreferredExecutor, Principal, Resources,
    Timestamp,
    rules::{Condition, HostLoad, JobContext, Scope},
};
use std::time::Duration;

pub(crate) fn hosts() -> Vec<HostName> {
    vec!["big".parse().unwrap(), "my-host".parse().unwrap()]
}

/// A Wednesday.
pub(crate) fn now() -> Timestamp {
    "2026-07-15T14:30:00Z".parse().unwrap()
}

/// A job that says something of everything.
pub(crate) fn job() -> ContainerJob {
    let resources = Resources::builder()
        .memory("8193m".parse().unwrap())
        .cpu("1.5".parse().unwrap())
        .gpu(GpuRequest::builder().count(2.try_into().unwrap()).model("l4").build())
        .build();
    let mut template = JobTemplate::builder()
        .name("batch-nightly".parse().unwrap())
        .image("registry.example.com/team/tool:1.2".parse().unwrap())
        .resources(resources)
        .env(vec![EnvVar::new("MODE", "secret").unwrap(), EnvVar::new("LEVEL", "2").unwrap()])
        .platform("linux/arm64".parse().unwrap())
        .build();
    template.run_timeout = Some(Duration::from_millis(90_500));
    template.labels.insert("team".parse().unwrap(), LabelValue::new("blue").unwrap());
    template.labels.insert("a/b".parse().unwrap(), LabelValue::new("").unwrap());
    let mut job = ContainerJob::new(template, now());
    job.created_by =
        Some(Principal::builder().name("ann").groups(vec!["staff".to_owned(), "premium".to_owned()]).build());
    job.preferred_executor = Some(PreferredExecutor::builder().host("big".parse().unwrap()).build());
    job
}

/// Whether the condition holds for a job.
pub(crate) fn holds(condition: &Condition, job: &ContainerJob, cost: Result<f64, String>) -> Result<bool, String> {
    let context = JobContext::new(job, &job.template, now());
    let host = |name: &HostName| match name.as_str() {
        "big" => Some(HostLoad::new(3, Some(4))),
        _ => Some(HostLoad::new(7, None)),
    };
    condition.holds(&Scope { job: &context, host: &host, cost: &|| cost.clone() })
}
