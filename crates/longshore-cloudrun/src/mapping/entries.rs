//! Entries of Cloud Logging as pieces of a program's log.
//! <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry>

use bytes::Bytes;
use jiff::Timestamp;
use longshore_core::LogStream;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// The label by which an entry names its execution.
const EXECUTION: &str = "run.googleapis.com/execution_name";

/// The members of an entry that are read, for the API's `fields` parameter.
pub(crate) const FIELDS: &str =
    "entries(insertId,timestamp,logName,labels,split,textPayload,jsonPayload),nextPageToken";

/// A page of entries as the API answers it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Answer {
    pub(crate) entries: Vec<RawEntry>,
    pub(crate) next_page_token: Option<String>,
}

/// The parts of an entry that are read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawEntry {
    insert_id: String,
    timestamp: Option<Timestamp>,
    log_name: String,
    labels: BTreeMap<String, String>,
    split: Option<Split>,
    text_payload: Option<String>,
    json_payload: Option<Value>,
}

/// Tells that one line was cut into several entries.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Split {
    index: u32,
    total_splits: u32,
}

/// The place of an entry in its log: the API orders by time, and within a time by id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) at: Timestamp,
    pub(crate) id: Id,
}

/// An entry's id within its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    /// Before every entry of the time.
    First,
    /// This entry.
    Of(String),
    /// After every entry of the time.
    Last,
}

impl Position {
    /// Before every entry of this time.
    pub(crate) const fn before(at: Timestamp) -> Self {
        Self { at, id: Id::First }
    }

    /// After every entry of this time.
    pub(crate) const fn after(at: Timestamp) -> Self {
        Self { at, id: Id::Last }
    }
}

/// A piece of a program's output.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) stream: LogStream,
    pub(crate) bytes: Bytes,
}

impl fmt::Debug for Answer {
    /// Without the entries: a job may write its secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Entry {
    /// Without the bytes: a job may write its secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, stream, bytes } = self;
        f.debug_struct("Entry")
            .field("position", position)
            .field("stream", stream)
            .field("bytes", &bytes.len())
            .finish()
    }
}

impl RawEntry {
    /// The execution's short name and what it wrote; `None` for what no program of ours wrote.
    pub(crate) fn read(self) -> Option<(String, Entry)> {
        let stream = stream(&self.log_name)?;
        let bytes = self.bytes()?;
        let Self { timestamp, insert_id, mut labels, .. } = self;
        let position = Position { at: timestamp?, id: Id::Of(insert_id) };
        Some((labels.remove(EXECUTION)?, Entry { position, stream, bytes }))
    }

    /// The line with the break that its entry lacks, unless the line goes on in the next entry.
    fn bytes(&self) -> Option<Bytes> {
        let mut text = match (&self.text_payload, &self.json_payload) {
            (Some(text), _) => text.clone(),
            // A line that was JSON comes as what it said, not as it was written.
            (None, Some(json)) => json.to_string(),
            (None, None) => String::new(),
        };
        let goes_on = self.split.as_ref().is_some_and(|split| split.index + 1 < split.total_splits);
        if !goes_on && !text.ends_with('\n') {
            text.push('\n');
        }
        (!text.is_empty()).then(|| Bytes::from(text))
    }
}

/// The stream by the last part of the log's name, in which the slash is encoded.
fn stream(log_name: &str) -> Option<LogStream> {
    match log_name.rsplit('/').next()? {
        "run.googleapis.com%2Fstdout" => Some(LogStream::Stdout),
        "run.googleapis.com%2Fstderr" => Some(LogStream::Stderr),
        _ => None,
    }
}

/// What asks for the output of these executions between two times, both included.
pub(crate) fn filter(project: &str, region: &str, executions: &[&str], from: Timestamp, to: Timestamp) -> String {
    let logs = ["stdout", "stderr"].map(|log| format!("\"projects/{project}/logs/run.googleapis.com%2F{log}\""));
    let names: Vec<String> = executions.iter().map(|name| format!("\"{name}\"")).collect();
    let names = if let [name] = names.as_slice() { name.clone() } else { format!("({})", names.join(" OR ")) };
    format!(
        "resource.type=\"cloud_run_job\" AND resource.labels.location=\"{region}\" AND logName=({}) AND labels.\"{EXECUTION}\"={names} AND timestamp>=\"{from}\" AND timestamp<=\"{to}\"",
        logs.join(" OR ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(entry: Value) -> Option<(String, LogStream, String)> {
        let entry: RawEntry = serde_json::from_value(entry).unwrap();
        let (execution, entry) = entry.read()?;
        Some((execution, entry.stream, String::from_utf8(entry.bytes.to_vec()).unwrap()))
    }

    /// As Cloud Logging answers for a job (<https://cloud.google.com/run/docs/logging#jobs>).
    fn entry(log: &str, payload: Value) -> Value {
        let mut entry = json!({
            "insertId": "65f2c1a3000c9a7b3d5e",
            "resource": { "type": "cloud_run_job", "labels": { "project_id": "p", "job_name": "ls-x-1", "location": "europe-west1" } },
            "timestamp": "2024-03-14T09:26:43.825979Z",
            "labels": {
                "instanceId": "00c61b117c",
                "run.googleapis.com/execution_name": "ls-x-1-run",
                "run.googleapis.com/task_attempt": "0",
                "run.googleapis.com/task_index": "0"
            },
            "logName": format!("projects/p/logs/run.googleapis.com%2F{log}"),
            "receiveTimestamp": "2024-03-14T09:26:43.826823Z"
        });
        entry.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
        entry
    }

    #[test]
    fn a_line_gets_its_break_back_and_goes_to_its_stream() {
        let line = |log, payload| read(entry(log, payload)).map(|(_, stream, text)| (stream, text));
        let out = |text: &str| Some((LogStream::Stdout, text.to_owned()));
        assert_eq!(line("stdout", json!({ "textPayload": "hello" })), out("hello\n"));
        assert_eq!(line("stdout", json!({ "textPayload": "hello\n" })), out("hello\n"));
        assert_eq!(line("stdout", json!({ "textPayload": "" })), out("\n"));
        assert_eq!(line("stdout", json!({})), out("\n"));
        assert_eq!(line("stdout", json!({ "jsonPayload": { "a": 1 } })), out("{\"a\":1}\n"));
        let split = |index| json!({ "textPayload": "x", "split": { "uid": "u", "index": index, "totalSplits": 2 } });
        assert_eq!(line("stdout", split(0)), out("x"));
        assert_eq!(line("stdout", split(1)), out("x\n"));
        assert_eq!(line("stderr", json!({ "textPayload": "oh" })), Some((LogStream::Stderr, "oh\n".to_owned())));
        for log in ["varlog%2Fsystem", "requests"] {
            assert_eq!(line(log, json!({ "textPayload": "Container called exit(0)." })), None);
        }
        assert_eq!(read(entry("stdout", json!({ "textPayload": "x" }))).unwrap().0, "ls-x-1-run");
    }

    #[test]
    fn the_order_is_by_time_and_then_by_id() {
        let position = |at: i64, id| Position { at: Timestamp::from_second(at).unwrap(), id };
        let of = |id: &str| Id::Of(id.to_owned());
        let ordered = [
            position(1, Id::First),
            position(1, of("a")),
            position(1, of("b")),
            position(1, Id::Last),
            position(2, Id::First),
        ];
        assert!(ordered.is_sorted() && ordered.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn one_question_names_many_executions() {
        let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(1).unwrap());
        let filter = |names: &[&str]| super::filter("p", "r", names, from, to);
        assert_eq!(
            filter(&["a"]),
            "resource.type=\"cloud_run_job\" AND resource.labels.location=\"r\" AND logName=(\"projects/p/logs/run.googleapis.com%2Fstdout\" OR \"projects/p/logs/run.googleapis.com%2Fstderr\") AND labels.\"run.googleapis.com/execution_name\"=\"a\" AND timestamp>=\"1970-01-01T00:00:00Z\" AND timestamp<=\"1970-01-01T00:00:01Z\""
        );
        assert!(filter(&["a", "b"]).contains("=(\"a\" OR \"b\") AND"));
    }
}
