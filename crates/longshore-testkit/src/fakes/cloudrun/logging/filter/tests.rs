//! Filters that programs really send.

use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

use super::*;
use crate::fakes::cloudrun::logging::{Entry, Kind, Payload, Source};

fn entry(payload: Payload) -> Entry {
    let source = Source {
        project: "p".into(),
        region: "r".into(),
        job: "j".into(),
        execution: "j-a".into(),
        attempt: Some((0, 0, "i".into())),
    };
    Entry {
        at: "2026-01-02T03:04:05.5Z".parse().unwrap(),
        received: Timestamp::UNIX_EPOCH,
        insert_id: "0a".into(),
        kind: Kind::Stdout,
        severity: "ERROR",
        payload,
        source: Arc::new(source),
        split: None,
    }
}

fn fits(filter: &str) -> bool {
    parse(filter).unwrap().fits(&entry(Payload::Text("Hello (world)".into())))
}

#[test]
fn what_programs_ask_for() {
    let of_execution = "resource.type=\"cloud_run_job\" AND resource.labels.job_name=\"j\" AND \
                        labels.\"run.googleapis.com/execution_name\"=\"j-a\"";
    assert!(fits(of_execution));
    assert!(fits(&format!("{of_execution} timestamp>=\"2026-01-02T03:04:05.5Z\"")));
    assert!(!fits(&format!("{of_execution} timestamp>\"2026-01-02T03:04:05.5Z\"")));
    assert!(!fits(&of_execution.replace("j-a", "j-b")));
    assert!(fits("labels.\"run.googleapis.com/execution_name\"=(\"other\" OR \"j-a\")"));
    assert!(fits("logName=\"projects/p/logs/run.googleapis.com%2Fstdout\""));
    assert!(fits("log_id(\"run.googleapis.com/stdout\")"));
    assert!(fits("logName:(\"stdout\" OR \"stderr\")"));
    assert!(fits(""));
}

#[test]
fn the_rest_of_the_language() {
    assert!(fits("severity>=WARNING AND textPayload:hello"));
    assert!(!fits("severity>ERROR"));
    assert!(fits("NOT severity=INFO -textPayload:nothing"));
    assert!(fits("severity=INFO OR severity=ERROR textPayload=\"hello (WORLD)\""));
    assert!(fits("(severity=INFO AND insertId=x) OR insertId=\"0a\""));
    let json = entry(Payload::Json(json!({ "a": { "b": 7 } })));
    assert!(parse("jsonPayload.a.b=7").unwrap().fits(&json));
    assert!(!parse("textPayload:*").unwrap().fits(&json));
}

#[test]
fn what_is_no_filter_is_refused() {
    for wrong in [
        "resource.typo=\"x\"",
        "logName",
        "logName=",
        "logName=\"open",
        "(severity=INFO",
        "severity=INFO)",
        "AND severity=INFO",
        "textPayload=~\"x\"",
        "log_id(x)",
        &"a".repeat(20_001),
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
