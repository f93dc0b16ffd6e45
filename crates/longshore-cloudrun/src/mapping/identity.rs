//! What everything that is created tells of itself: whose it is, which attempt it is, and the job's own labels.
//!
//! A label's key is a lower-case letter and up to 62 lower-case letters, digits, `_` and `-`; its value up to 63 of
//! them; there are at most 64 (<https://cloud.google.com/run/docs/configuring/jobs/labels>). A job's own label that fits
//! is a label, for bills and filters; one that does not is kept in an annotation as it is. Both are read back.

use jiff::Timestamp;
use longshore_core::{
    ByteSize, ExecutionHandle, ExecutorType, HostName, JobTemplate, LabelKey, LabelValue, LaunchRequest, LaunchToken,
    Owner,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the handle's metadata.
pub(crate) const HANDLE_VERSION: u32 = 1;

/// The label that names the owner.
pub(crate) const OWNER: &str = "longshore-owner";
/// The label that names the host.
pub(crate) const HOST: &str = "longshore-host";
/// The label that names the job.
const JOB: &str = "longshore-job";
/// The label that tells the attempt's number.
const ATTEMPT: &str = "longshore-attempt";
/// The prefix of Longshore's own labels.
const RESERVED: &str = "longshore-";
/// The annotation that holds the metadata.
const METADATA: &str = "longshore.dev/metadata";
/// The annotation that holds the labels that are none of Google's.
const LABELS: &str = "longshore.dev/labels";
/// How many labels there are at most, less Longshore's own.
const MOST: usize = 64 - 4;

/// Labels and annotations, as both the job and its execution carry them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What a handle remembers, and every execution carries, so that a handle can be made again from a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// When the launch was asked for: its log begins no earlier.
    pub(crate) created_at: Timestamp,
    /// After this moment no copy of the launch is sent any more.
    pub(crate) deadline: Timestamp,
    /// How many bytes of its log are kept.
    pub(crate) log_cap: ByteSize,
}

impl Metadata {
    pub(crate) fn of(request: &LaunchRequest, log_cap: ByteSize) -> Self {
        Self {
            created_at: request.created_at,
            deadline: request.deadline,
            log_cap: request.plan.template.log_cap.unwrap_or(log_cap),
        }
    }

    pub(crate) fn of_handle(handle: &ExecutionHandle) -> longshore_core::Result<Self> {
        serde_json::from_value(handle.executor_metadata.clone()).map_err(|error| {
            longshore_core::Error::new(
                longshore_core::ErrorKind::Invalid,
                "the handle's metadata is not of this executor",
            )
            .with_context("token", handle.token)
            .with_source(error)
        })
    }
}

/// The marks of a launch.
pub(crate) fn marks(request: &LaunchRequest, metadata: &Metadata) -> Marks {
    let (fitting, rest) = split(&request.plan.template);
    let own = [
        (OWNER, request.owner.to_string()),
        (HOST, request.plan.host.to_string()),
        (JOB, request.token.job().to_string()),
        (ATTEMPT, request.token.attempt().to_string()),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value));
    let mut annotations = BTreeMap::from([(METADATA.to_owned(), to_json(metadata))]);
    if !rest.is_empty() {
        annotations.insert(LABELS.to_owned(), to_json(&rest));
    }
    Marks { labels: fitting.into_iter().chain(own).collect(), annotations }
}

type Labels<'a> = BTreeMap<&'a LabelKey, &'a LabelValue>;

/// The job's labels that are Google's too, and those that are not.
fn split(template: &JobTemplate) -> (BTreeMap<String, String>, Labels<'_>) {
    let mut fitting = BTreeMap::new();
    let mut rest = Labels::new();
    for (key, value) in &template.labels {
        if fitting.len() < MOST && fits(key.as_str(), value.as_str()) {
            fitting.insert(key.as_str().to_owned(), value.as_str().to_owned());
        } else {
            rest.insert(key, value);
        }
    }
    (fitting, rest)
}

fn fits(key: &str, value: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && !key.starts_with(RESERVED)
        && key.len() <= 63
        && value.len() <= 63
        && key.chars().chain(value.chars()).all(allowed)
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What a thing of Cloud Run tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) owner: Owner,
    pub(crate) token: LaunchToken,
    pub(crate) metadata: Metadata,
}

impl Identity {
    /// Reads the marks of a thing of this host; `None` for what is not Longshore's, or of another host.
    pub(crate) fn read(
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
        host: &HostName,
    ) -> Option<Self> {
        if labels.get(HOST)? != host.as_str() {
            return None;
        }
        Some(Self {
            owner: labels.get(OWNER)?.parse().ok()?,
            token: LaunchToken::new(labels.get(JOB)?.parse().ok()?, labels.get(ATTEMPT)?.parse().ok()?),
            metadata: serde_json::from_str(annotations.get(METADATA)?).ok()?,
        })
    }

    /// The handle of its execution.
    pub(crate) fn handle(&self, execution: &str, executor_type: &ExecutorType, host: &HostName) -> ExecutionHandle {
        let metadata = serde_json::to_value(self.metadata).unwrap_or_default();
        ExecutionHandle::new(executor_type.clone(), host.clone(), self.token, HANDLE_VERSION, execution, metadata)
    }
}

/// The job's own labels, read back.
#[cfg(test)]
fn labels_of(marks: &Marks) -> BTreeMap<String, String> {
    let kept = marks.annotations.get(LABELS).map_or("{}", String::as_str);
    let mut labels: BTreeMap<String, String> = serde_json::from_str(kept).unwrap_or_default();
    let fitting = marks.labels.iter().filter(|(key, _)| !key.starts_with(RESERVED));
    labels.extend(fitting.map(|(key, value)| (key.clone(), value.clone())));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::job::tests::request;

    #[test]
    fn every_label_comes_back_as_it_was() {
        let mut request = request();
        let labels = [
            ("team", "data"),
            ("Team", "Data"),
            ("run.googleapis.com/x", "forbidden there"),
            ("longshore-owner", "an impostor"),
            ("empty", ""),
            ("long", &"x".repeat(64)),
            ("unicode", "grün"),
            ("1st", "x"),
        ];
        let labels: Vec<(String, String)> =
            labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let many = (0..70).map(|at| (format!("key-{at:02}"), "x".to_owned()));
        for (key, value) in labels.into_iter().chain(many) {
            request.plan.template.labels.insert(key.parse().unwrap(), LabelValue::new(value).unwrap());
        }
        let metadata = Metadata::of(&request, ByteSize::from_mib(1));
        let marks = marks(&request, &metadata);
        let expected: BTreeMap<String, String> = request
            .plan
            .template
            .labels
            .iter()
            .map(|(key, value)| (key.to_string(), value.as_str().to_owned()))
            .collect();
        assert_eq!(labels_of(&marks), expected);
        assert_eq!(marks.labels.len(), 64);
        assert_eq!(marks.labels[OWNER], "kit");
        assert!(marks.labels.iter().all(|(key, value)| key.starts_with(RESERVED) || fits(key, value)));
        let identity = Identity::read(&marks.labels, &marks.annotations, &request.plan.host).unwrap();
        assert_eq!((identity.token, identity.owner, identity.metadata), (request.token, request.owner, metadata));
        assert_eq!(Identity::read(&marks.labels, &marks.annotations, &"other".parse().unwrap()), None);
    }
}
