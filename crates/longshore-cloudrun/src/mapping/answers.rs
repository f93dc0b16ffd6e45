//! The parts of the APIs' answers that are read. What is absent is zero or nothing, as proto3's JSON has it; what is
//! unknown is not looked at. <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs>

use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A job: the definition, and how its creation went.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) delete_time: Option<Timestamp>,
    pub(crate) reconciling: bool,
    pub(crate) terminal_condition: Option<Condition>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) latest_created_execution: Option<ExecutionReference>,
}

/// The last execution of a job, by its short name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExecutionReference {
    pub(crate) name: String,
}

/// One run of a job.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Execution {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) create_time: Option<Timestamp>,
    pub(crate) start_time: Option<Timestamp>,
    pub(crate) completion_time: Option<Timestamp>,
    pub(crate) delete_time: Option<Timestamp>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) running_count: u32,
    pub(crate) succeeded_count: u32,
    pub(crate) failed_count: u32,
    pub(crate) cancelled_count: u32,
}

impl Execution {
    /// The members that are read, for the APIs' `fields` parameter: an execution repeats its whole template otherwise.
    pub(crate) const FIELDS: &str = "name,labels,annotations,createTime,startTime,completionTime,deleteTime,conditions,runningCount,succeededCount,failedCount,cancelledCount";

    /// The last part of its name.
    pub(crate) fn short_name(&self) -> &str {
        short(&self.name)
    }
}

/// One task of an execution: here always the only one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Task {
    pub(crate) completion_time: Option<Timestamp>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) last_attempt_result: Option<AttemptResult>,
}

/// How an attempt of a task ended.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AttemptResult {
    pub(crate) status: Option<RpcStatus>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) term_signal: Option<i32>,
}

/// Google's words for what happened.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct RpcStatus {
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// What Google says of one aspect of a job, an execution or a task.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) message: String,
    pub(crate) reason: Option<String>,
    pub(crate) execution_reason: Option<String>,
    pub(crate) last_transition_time: Option<Timestamp>,
}

impl Condition {
    pub(crate) fn has_failed(&self) -> bool {
        self.state == "CONDITION_FAILED"
    }

    pub(crate) fn has_succeeded(&self) -> bool {
        self.state == "CONDITION_SUCCEEDED"
    }
}

/// The last part of a name.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
