//! What becomes of a program's bytes: entries, a line each.

use jiff::Timestamp;
use longshore_core::clock::later;
use longshore_probe::Stream;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

use super::log::{Kind, Log, Payload, Source, Split};
use crate::fakes::process::Output;

/// The most bytes of a line that one entry holds; a longer one is split.
const LONGEST: usize = 128 << 10;
/// How far apart the entries of a piece of output are.
const STEP: Duration = Duration::from_nanos(100);

const SEVERITIES: [&str; 9] =
    ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"];

/// Puts the output of a container into entries: bytes that are not UTF-8 are replaced, a line that is a JSON object
/// becomes one (`cloud.google.com/run/docs/logging#using-json`), and whether the last line had an end is lost.
pub(crate) struct Lines {
    source: Arc<Source>,
    open: [Vec<u8>; 2],
    last: Timestamp,
}

impl Lines {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source, open: [Vec::new(), Vec::new()], last: Timestamp::MIN }
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub(crate) fn write(&mut self, output: &Output, log: &mut Log) {
        let mut rest = output.bytes.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.open[output.stream as usize].extend(&rest[..end]);
            rest = &rest[end + 1..];
            self.finish(output.stream, output.at, log);
        }
        self.open[output.stream as usize].extend(rest);
    }

    /// The program has ended: what it wrote behind its last line break is a line too.
    pub(crate) fn end(&mut self, at: Timestamp, log: &mut Log) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.open[stream as usize].is_empty() {
                self.finish(stream, at, log);
            }
        }
    }

    /// When an entry is made of something that happens now: never before the one before it.
    pub(crate) fn next_moment(&mut self, at: Timestamp) -> Timestamp {
        self.last = at.max(later(self.last, STEP));
        self.last
    }

    fn finish(&mut self, stream: Stream, at: Timestamp, log: &mut Log) {
        let bytes = std::mem::take(&mut self.open[stream as usize]);
        let line = String::from_utf8_lossy(&bytes);
        let kind = if stream == Stream::Stdout { Kind::Stdout } else { Kind::Stderr };
        if line.len() > LONGEST {
            return self.split(kind, at, &line, log);
        }
        let (severity, payload) = payload(&line);
        let at = self.next_moment(at);
        log.write(&self.source, kind, at, severity, payload);
    }

    fn split(&mut self, kind: Kind, at: Timestamp, line: &str, log: &mut Log) {
        let parts = parts(line);
        let (uid, total) = (log.next_uid(), parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let at = self.next_moment(at);
            let split = Split { uid: uid.clone(), index, total };
            log.write_part(&self.source, kind, at, "DEFAULT", Payload::Text(part.to_owned()), Some(split));
        }
    }
}

/// The line in parts that are not too long, cut between characters.
fn parts(mut line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while !line.is_empty() {
        let end = line.floor_char_boundary(LONGEST);
        let (part, rest) = line.split_at(end);
        parts.push(part);
        line = rest;
    }
    parts
}

/// What an entry makes of a line: a JSON object is taken apart, its severity out of it; with a message alone in it, it
/// is text again.
fn payload(line: &str) -> (&'static str, Payload) {
    let object = if line.starts_with('{') { serde_json::from_str::<Value>(line).ok() } else { None };
    let Some(Value::Object(mut fields)) = object else {
        return ("DEFAULT", Payload::Text(line.to_owned()));
    };
    let named = fields.get("severity").and_then(Value::as_str).map(str::to_ascii_uppercase);
    let severity = named.and_then(|named| SEVERITIES.into_iter().find(|known| *known == named));
    if severity.is_some() {
        fields.remove("severity");
    }
    let payload = match (fields.len(), fields.get("message").and_then(Value::as_str)) {
        (1, Some(message)) => Payload::Text(message.to_owned()),
        _ => Payload::Json(Value::Object(fields)),
    };
    (severity.unwrap_or("DEFAULT"), payload)
}
