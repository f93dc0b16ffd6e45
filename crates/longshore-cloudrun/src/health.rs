//! Looking at what a launch needs: reachability, credentials, permissions, each told apart.

use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, Finding, Health, HostFacts, Platform, Result};
use serde_json::json;
use std::sync::Arc;

use crate::{
    client::{Api, LogQuestion},
    mapping::{job::Frozen, resources},
};

/// The job that is never created.
const TRIAL: &str = "longshore-health";
/// Google's own sample of a job (<https://cloud.google.com/run/docs/quickstarts/jobs/create-execute>).
const SAMPLE: &str = "us-docker.pkg.dev/cloudrun/container/job:latest";

/// Asks for a list of jobs, which shows that the API answers, knows the credentials and lets them look.
pub(crate) async fn discover(api: &Api, now: Timestamp) -> Result<Arc<HostFacts>> {
    api.can_list().await?;
    let platforms: Vec<Platform> = "linux/amd64".parse().into_iter().collect();
    let most = resources::Size { cpu: resources::MOST_CPU, mebibytes: resources::MOST_MEMORY >> 20 }.units();
    let facts = HostFacts::builder()
        .discovered_at(now)
        .engine("Google Cloud Run Admin API v2")
        .platforms(platforms)
        .maybe_cpu(most.map(|(cpu, _)| cpu))
        .maybe_memory(most.map(|(_, memory)| memory))
        .details([("project".to_owned(), api.project.clone()), ("region".to_owned(), api.region.clone())].into())
        .build();
    Ok(Arc::new(facts))
}

/// What a discovery, a trial of a launch and a look at the log find.
pub(crate) async fn look(api: &Api, frozen: &Frozen, now: Timestamp) -> Result<Health> {
    let place = format!("{} answers for project {} in {}", api.address(), api.project, api.region);
    let mut findings = vec![
        Finding::new("reachability", true, place),
        Finding::new("credentials", true, "they are accepted"),
        Finding::new("permission to look", true, "jobs can be listed"),
    ];
    let launch = api.validate_job(TRIAL, &trial(frozen)).await;
    findings.push(found("permission to launch", "a job could be created", launch)?);
    let question = LogQuestion { filter: api.log_filter(&[TRIAL], now, now), page_token: None, page_size: 1 };
    let log = api.log_page(&question).await.map(drop);
    findings.push(found("permission to read logs", "Cloud Logging answers", log)?);
    Ok(Health::new(findings))
}

/// A refusal is a finding; no answer is none.
fn found(subject: &str, good: &str, answer: Result<()>) -> Result<Finding> {
    match answer {
        Ok(()) => Ok(Finding::new(subject, true, good)),
        Err(error) if error.is_lost_contact() || error.kind() == ErrorKind::Unauthenticated => Err(error),
        Err(error) => Ok(Finding::new(subject, false, Error::chain(&error))),
    }
}

fn trial(frozen: &Frozen) -> serde_json::Value {
    let mut task = json!({ "containers": [{ "image": SAMPLE }], "maxRetries": 0 });
    if let Some(account) = &frozen.service_account {
        task["serviceAccount"] = account.clone().into();
    }
    json!({ "template": { "template": task } })
}
