//! What a program printed, where that is one JSON value.

use longshore_core::{ContainerName, LogCompleteness, LogRecord, LogStream};
use serde_json::Value;

/// The longest standard output that is looked at.
const LONGEST: usize = 1 << 20;

/// Collects the main container's stdout, as long as it is short enough to be a result.
#[derive(Debug)]
pub(super) struct Output(Option<Vec<u8>>);

impl Output {
    pub(super) const fn new() -> Self {
        Self(Some(Vec::new()))
    }

    pub(super) fn add(&mut self, record: &LogRecord) {
        if record.stream != LogStream::Stdout || record.container != ContainerName::main() {
            return;
        }
        match &mut self.0 {
            Some(collected) if collected.len() + record.bytes.len() <= LONGEST => {
                collected.extend_from_slice(&record.bytes);
            }
            _ => self.0 = None,
        }
    }

    /// The value, where nothing of it can be missing.
    pub(super) fn parse(self, completeness: &LogCompleteness) -> Option<Value> {
        if *completeness != LogCompleteness::Complete {
            return None;
        }
        serde_json::from_slice(&self.0?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn output(records: &[(LogStream, &[u8])]) -> Option<Value> {
        let mut output = Output::new();
        for (stream, bytes) in records {
            output.add(&LogRecord::new(*stream, None, bytes.to_vec().into()));
        }
        output.parse(&LogCompleteness::Complete)
    }

    #[test]
    fn one_value_in_any_pieces_is_the_output() {
        use LogStream::{Stderr, Stdout};
        assert_eq!(output(&[(Stdout, b"{\"a\":"), (Stderr, b"warning"), (Stdout, b" 1}\n")]), Some(json!({"a": 1})));
        assert_eq!(output(&[(Stdout, b"\n42\n")]), Some(json!(42)));
        assert_eq!(output(&[(Stdout, b"null")]), Some(Value::Null));
        for text in [b"".as_slice(), b"1 2", b"{\"a\":1}\n{\"a\":2}\n", b"done", b"\"\xff\"", b"{\"a\":"] {
            assert_eq!(output(&[(Stdout, text)]), None, "{text:?}");
        }
        let mut nested = b"[".repeat(200);
        nested.extend(b"]".repeat(200));
        assert_eq!(output(&[(Stdout, &nested)]), None);
    }

    #[test]
    fn up_to_one_mib_is_looked_at() {
        let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2)).into_bytes();
        assert!(output(&[(LogStream::Stdout, &text(LONGEST))]).is_some());
        assert_eq!(output(&[(LogStream::Stdout, &text(LONGEST + 1))]), None);
        assert_eq!(
            output(&[(LogStream::Stdout, &b" ".repeat(LONGEST)), (LogStream::Stdout, b" "), (LogStream::Stdout, b"1")]),
            None
        );
    }

    #[test]
    fn nothing_is_made_of_a_log_that_may_lack_bytes_or_of_a_sidecar() {
        let mut record = LogRecord::new(LogStream::Stdout, None, b"1".to_vec().into());
        let parse = |record: &LogRecord, completeness: &LogCompleteness| {
            let mut output = Output::new();
            output.add(record);
            output.parse(completeness)
        };
        assert_eq!(parse(&record, &LogCompleteness::Complete), Some(json!(1)));
        assert_eq!(parse(&record, &LogCompleteness::Lossy { reason: "rotated".to_owned() }), None);
        record.container = ContainerName::new("proxy").unwrap();
        assert_eq!(parse(&record, &LogCompleteness::Complete), None);
    }
}
