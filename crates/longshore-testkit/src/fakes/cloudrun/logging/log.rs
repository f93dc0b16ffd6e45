//! All log entries, and when each of them can be listed.

use jiff::{SignedDuration, Timestamp};
use longshore_core::clock::later;
use serde_json::{Value, json};
use std::{borrow::Cow, collections::BTreeMap, ops::Bound, sync::Arc, time::Duration};

use crate::fakes::cloudrun::options::Trouble;

/// Which log of the project an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stdout,
    Stderr,
    /// What the platform says of a container.
    System,
    /// What the platform has done, for auditors.
    Event,
}

impl Kind {
    fn id(self) -> &'static str {
        match self {
            Self::Stdout => "run.googleapis.com%2Fstdout",
            Self::Stderr => "run.googleapis.com%2Fstderr",
            Self::System => "run.googleapis.com%2Fvarlog%2Fsystem",
            Self::Event => "cloudaudit.googleapis.com%2Fsystem_event",
        }
    }
}

/// What an entry holds.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Text(String),
    Json(Value),
    Proto(Value),
}

/// Where entries come from: an attempt of a task, or an execution as a whole.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) project: String,
    pub(crate) region: String,
    pub(crate) job: String,
    pub(crate) execution: String,
    /// The task's index, the attempt's number and the instance that ran it.
    pub(crate) attempt: Option<(u32, u32, String)>,
}

/// A part of an entry that was too long.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    pub(crate) uid: String,
    pub(crate) index: usize,
    pub(crate) total: usize,
}

/// An entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) received: Timestamp,
    pub(crate) insert_id: String,
    pub(crate) kind: Kind,
    pub(crate) severity: &'static str,
    pub(crate) payload: Payload,
    pub(crate) source: Arc<Source>,
    pub(crate) split: Option<Split>,
}

/// By what entries are in order, and a page ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Timestamp, String);

impl Key {
    pub(crate) fn write(&self) -> String {
        format!("{}/{}", self.0.as_nanosecond(), self.1)
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let (at, insert_id) = text.split_once('/')?;
        Some(Self(Timestamp::from_nanosecond(at.parse().ok()?).ok()?, insert_id.to_owned()))
    }
}

/// All entries, in the order of their timestamps.
#[derive(Default)]
pub(crate) struct Log {
    entries: BTreeMap<Key, Entry>,
    written: u64,
    delay: Duration,
    trouble: Trouble,
}

impl Log {
    /// How long it takes from now on until an entry can be listed, and what troubles it.
    pub(crate) fn behave(&mut self, delay: Duration, trouble: &Trouble) {
        self.delay = delay;
        self.trouble = trouble.clone();
    }

    pub(crate) fn write(
        &mut self,
        source: &Arc<Source>,
        kind: Kind,
        at: Timestamp,
        severity: &'static str,
        payload: Payload,
    ) {
        self.write_part(source, kind, at, severity, payload, None);
    }

    pub(crate) fn write_part(
        &mut self,
        source: &Arc<Source>,
        kind: Kind,
        at: Timestamp,
        severity: &'static str,
        payload: Payload,
        split: Option<Split>,
    ) {
        if self.trouble.lost_logs {
            return;
        }
        self.written += 1;
        let straggles = self.written.is_multiple_of(3);
        let extra = if straggles { self.trouble.logs_out_of_order } else { Duration::ZERO };
        let received = later(at, self.delay + self.trouble.late_logs + extra);
        let at = if self.trouble.same_log_timestamps { to_the_millisecond(at) } else { at };
        let insert_id = format!("{:016x}", self.written);
        let source = Arc::clone(source);
        let entry = Entry { at, received, insert_id: insert_id.clone(), kind, severity, payload, source, split };
        self.entries.insert(Key(at, insert_id), entry);
    }

    /// The entries that can be listed by now, are no older than `from` and behind the place, in the order of their
    /// timestamps or against it.
    pub(crate) fn visible(
        &self,
        now: Timestamp,
        from: Timestamp,
        behind: Option<&Key>,
        descending: bool,
    ) -> Box<dyn Iterator<Item = &Entry> + '_> {
        let oldest = Key(from, String::new());
        let behind = behind.cloned();
        let entries: Box<dyn Iterator<Item = (&Key, &Entry)>> = if descending {
            let newest = behind.map_or(Bound::Unbounded, |behind| Bound::Excluded(behind.max(oldest.clone())));
            Box::new(self.entries.range((Bound::Included(oldest), newest)).rev())
        } else {
            let from = behind.filter(|behind| *behind >= oldest).map_or(Bound::Included(oldest), Bound::Excluded);
            Box::new(self.entries.range((from, Bound::Unbounded)))
        };
        Box::new(entries.map(|(_, entry)| entry).filter(move |entry| entry.received <= now))
    }

    /// What makes different entries different even to those who have never seen them.
    pub(crate) fn next_uid(&self) -> String {
        format!("split-{:x}", self.written)
    }
}

impl Entry {
    pub(crate) fn key(&self) -> Key {
        Key(self.at, self.insert_id.clone())
    }

    /// How many bytes it has, about.
    pub(crate) fn size(&self) -> usize {
        let payload = match &self.payload {
            Payload::Text(text) => text.len(),
            Payload::Json(value) | Payload::Proto(value) => value.to_string().len(),
        };
        payload + 512
    }

    pub(crate) fn log_name(&self) -> String {
        format!("projects/{}/logs/{}", self.source.project, self.kind.id())
    }

    /// The label's value.
    pub(crate) fn label(&self, key: &str) -> Option<Cow<'_, str>> {
        let attempt = self.source.attempt.as_ref();
        match key {
            "run.googleapis.com/execution_name" => Some(self.source.execution.as_str().into()),
            "run.googleapis.com/task_index" => attempt.map(|(index, ..)| index.to_string().into()),
            "run.googleapis.com/task_attempt" => attempt.map(|(_, attempt, _)| attempt.to_string().into()),
            "instanceId" => attempt.map(|(.., instance)| instance.as_str().into()),
            _ => None,
        }
    }

    pub(crate) fn resource_label(&self, key: &str) -> Option<&str> {
        match key {
            "job_name" => Some(&self.source.job),
            "location" => Some(&self.source.region),
            "project_id" => Some(&self.source.project),
            _ => None,
        }
    }

    pub(crate) fn json(&self) -> Value {
        let keys = [
            "instanceId",
            "run.googleapis.com/execution_name",
            "run.googleapis.com/task_attempt",
            "run.googleapis.com/task_index",
        ];
        let labels =
            keys.into_iter().filter_map(|key| Some((key.to_owned(), Value::from(self.label(key)?.into_owned()))));
        let mut entry = json!({
            "insertId": self.insert_id,
            "resource": { "type": "cloud_run_job", "labels": {
                "job_name": self.source.job, "location": self.source.region, "project_id": self.source.project,
            } },
            "timestamp": self.at.to_string(),
            "labels": labels.collect::<serde_json::Map<_, _>>(),
            "logName": self.log_name(),
            "receiveTimestamp": self.received.to_string(),
        });
        // What has the default value is left out.
        if self.severity != "DEFAULT" {
            entry["severity"] = self.severity.into();
        }
        let (field, payload) = match &self.payload {
            Payload::Text(text) => ("textPayload", text.as_str().into()),
            Payload::Json(value) => ("jsonPayload", value.clone()),
            Payload::Proto(value) => ("protoPayload", value.clone()),
        };
        entry[field] = payload;
        if let Some(split) = &self.split {
            entry["split"] = json!({ "uid": split.uid, "totalSplits": split.total });
            if split.index > 0 {
                entry["split"]["index"] = split.index.into();
            }
        }
        entry
    }
}

fn to_the_millisecond(at: Timestamp) -> Timestamp {
    let beyond = at.as_nanosecond().rem_euclid(1_000_000);
    let beyond = i64::try_from(beyond).map_or(SignedDuration::ZERO, SignedDuration::from_nanos);
    at.checked_sub(beyond).unwrap_or(at)
}
