use super::*;
use serde_json::{Value, json};

/// As `projects.locations.jobs.executions.get` answers
/// (<https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs.executions>): zero counts are left out.
fn execution(changes: &Value) -> Execution {
    let mut execution = json!({
        "name": "projects/123/locations/europe-west1/jobs/ls-x-1/executions/ls-x-1-run",
        "uid": "a1b2c3d4-0000-4000-8000-000000000001",
        "generation": "1",
        "createTime": "2024-03-14T09:26:40.000000Z",
        "startTime": "2024-03-14T09:26:45.123456Z",
        "job": "ls-x-1",
        "taskCount": 1,
        "parallelism": 1,
        "logUri": "https://console.cloud.google.com/logs/viewer",
        "conditions": [],
    });
    execution.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(execution).unwrap()
}

fn ended(counts: &Value, condition: &Value) -> Execution {
    let mut changes = json!({ "completionTime": "2024-03-14T09:27:00Z", "conditions": [condition] });
    changes.as_object_mut().unwrap().extend(counts.as_object().unwrap().clone());
    execution(&changes)
}

fn completed(state: &str, more: &Value) -> Value {
    let mut condition = json!({ "type": "Completed", "state": state, "lastTransitionTime": "2024-03-14T09:27:01Z" });
    condition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    condition
}

/// As `projects.locations.jobs.executions.tasks.list` answers.
fn task(result: &Value) -> Task {
    serde_json::from_value(json!({
        "name": "projects/123/locations/europe-west1/jobs/ls-x-1/executions/ls-x-1-run/tasks/ls-x-1-run-task0",
        "completionTime": "2024-03-14T09:27:00Z",
        "lastAttemptResult": result,
    }))
    .unwrap()
}

fn failed(result: &Value) -> Termination {
    let message =
        json!({ "message": "Task ls-x-1-run-task0 failed with message: ...", "executionReason": "NON_ZERO_EXIT_CODE" });
    let execution = ended(&json!({ "failedCount": 1 }), &completed("CONDITION_FAILED", &message));
    termination(&execution, Some(&task(result)), None)
}

#[test]
fn what_lives_is_told_by_its_start() {
    let status = |changes| live_status(&execution(&changes));
    let at = "2024-03-14T09:26:45.123456Z".parse().ok();
    assert_eq!(status(json!({ "startTime": null })), Some(ExecutionStatus::Pending));
    assert_eq!(
        status(json!({ "startTime": null, "runningCount": 1 })),
        Some(ExecutionStatus::Running { started_at: None })
    );
    assert_eq!(status(json!({ "runningCount": 1 })), Some(ExecutionStatus::Running { started_at: at }));
    assert_eq!(status(json!({ "deleteTime": "2024-03-14T09:27:00Z" })), Some(ExecutionStatus::NotFound));
    assert_eq!(status(json!({ "completionTime": "2024-03-14T09:27:00Z", "succeededCount": 1 })), None);
    assert_eq!(status(json!({ "conditions": [completed("CONDITION_FAILED", &json!({}))] })), None);
    assert!(status(json!({ "conditions": [completed("CONDITION_RECONCILING", &json!({}))] })).is_some());
}

#[test]
fn success_needs_no_look_at_the_task() {
    let execution = ended(&json!({ "succeededCount": 1 }), &completed("CONDITION_SUCCEEDED", &json!({})));
    assert!(!needs_its_task(&execution));
    let end = termination(&execution, None, None);
    assert_eq!((end.cause, end.exit_code, end.evidence.complete), (Cause::Exited { code: 0 }, Some(0), true));
    assert_eq!(end.run_time().map(|time| time.as_millis()), Some(14_876));
}

#[test]
fn each_end_of_a_task_has_its_cause() {
    let signal = |name: &str| Cause::Signalled { signal: name.parse().unwrap() };
    let words = |text: &str| json!({ "status": { "code": 2, "message": text } });
    // The words are those of <https://cloud.google.com/run/docs/troubleshooting> and of public reports.
    let table = [
        (
            json!({ "exitCode": 1, "status": { "code": 2, "message": "The container exited with an error." } }),
            Cause::Exited { code: 1 },
            Some(1),
            true,
        ),
        (json!({ "exitCode": 127 }), Cause::Exited { code: 127 }, Some(127), true),
        (json!({ "exitCode": 137 }), Cause::Exited { code: 137 }, Some(137), false),
        (
            json!({ "termSignal": 9, "status": { "code": 2, "message": "Container terminated on signal 9." } }),
            signal("KILL"),
            None,
            true,
        ),
        (json!({ "termSignal": 11 }), signal("SEGV"), None, true),
        (
            json!({ "termSignal": 9, "status": { "code": 8, "message": "Memory limit of 512 MiB exceeded with 528 MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits" } }),
            Cause::OutOfMemory,
            None,
            true,
        ),
        (
            json!({ "exitCode": 137, "status": { "code": 8, "message": "Out-of-memory event detected in container" } }),
            Cause::OutOfMemory,
            Some(137),
            true,
        ),
        (
            words("Terminating task because it has reached the maximum timeout of 600 seconds."),
            Cause::TimedOut,
            None,
            true,
        ),
        (words("The execution failed: Image 'europe-docker.pkg.dev/p/r/i:1' not found."), Cause::ImagePull, None, true),
        (
            words("Application failed to start: \"/no/such/program\": no such file or directory"),
            Cause::Invalid,
            None,
            true,
        ),
        (words("No available instance: insufficient capacity in the region"), Cause::Capacity, None, true),
        (words("Quota exceeded for GPUs per project per region"), Cause::Quota, None, true),
        (json!({}), Cause::Unknown, None, false),
    ];
    for (result, cause, code, complete) in table {
        let end = failed(&result);
        assert_eq!((end.cause, end.exit_code, end.evidence.complete), (cause, code, complete), "{result}: {end:?}");
        assert_eq!(end.evidence.facts["failedCount"], "1");
        assert!(end.evidence.provider_message.is_some());
    }
}

#[test]
fn a_typed_reason_tells_where_nothing_else_does() {
    for (reason, cause) in [
        ("CONTAINER_MISSING", Cause::ImagePull),
        ("CONTAINER_PERMISSION_DENIED", Cause::ImagePull),
        ("SECRETS_ACCESS_CHECK_FAILED", Cause::Invalid),
        ("VPC_NETWORK_NOT_FOUND", Cause::Invalid),
        ("INTERNAL", Cause::Unknown),
    ] {
        let execution =
            ended(&json!({ "failedCount": 1 }), &completed("CONDITION_FAILED", &json!({ "reason": reason })));
        assert_eq!(termination(&execution, None, None).cause, cause, "{reason}");
    }
    for (reason, cause) in [
        ("DELAYED_EXECUTION_EXCEEDING_DURATION_LIMIT", Cause::Capacity),
        ("JOB_STATUS_SERVICE_POLLING_ERROR", Cause::LostByProvider),
        ("DELETED", Cause::LostByProvider),
        ("NON_ZERO_EXIT_CODE", Cause::Unknown),
        ("A_REASON_OF_TOMORROW", Cause::Unknown),
    ] {
        let condition = completed("CONDITION_FAILED", &json!({ "executionReason": reason }));
        let end = termination(&ended(&json!({ "failedCount": 1 }), &condition), None, None);
        assert_eq!((end.cause, end.evidence.facts["executionReason"].as_str()), (cause, reason));
    }
}

#[test]
fn a_cancellation_is_the_reason_that_was_noted_and_no_note_makes_one() {
    let condition =
        completed("CONDITION_FAILED", &json!({ "executionReason": "CANCELLED", "message": "Execution cancelled." }));
    let cancelled = ended(&json!({ "cancelledCount": 1 }), &condition);
    let cause = |stop| termination(&cancelled, Some(&task(&json!({ "exitCode": 7 }))), stop);
    assert_eq!(cause(None).cause, Cause::Cancelled);
    assert_eq!(cause(Some(StopReason::TimedOut)).cause, Cause::TimedOut);
    assert_eq!(cause(None).exit_code, Some(7));
    let own = ended(&json!({ "succeededCount": 1 }), &completed("CONDITION_SUCCEEDED", &json!({})));
    assert_eq!(termination(&own, None, Some(StopReason::Cancelled)).cause, Cause::Exited { code: 0 });
}

#[test]
fn a_creation_is_decided_by_its_execution_or_its_failure() {
    let creation = |job: Value| creation(&serde_json::from_value(job).unwrap());
    let ready = |more: &Value| {
        let mut condition = json!({ "type": "Ready", "state": "CONDITION_FAILED" });
        condition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        condition
    };
    assert_eq!(creation(json!({ "reconciling": true })), Creation::Waiting);
    assert_eq!(creation(json!({})), Creation::Waiting);
    assert_eq!(creation(json!({ "deleteTime": "2024-03-14T09:27:00Z" })), Creation::Deleted);
    // The short name is what the service answers; the reference documents the full one.
    for name in ["ls-x-1-run", "projects/p/locations/r/jobs/ls-x-1/executions/ls-x-1-run"] {
        let job = json!({ "reconciling": true, "latestCreatedExecution": { "name": name } });
        assert_eq!(creation(job), Creation::Started("ls-x-1-run".to_owned()));
    }
    for (more, kind) in [
        (
            json!({ "reason": "SECRETS_ACCESS_CHECK_FAILED", "message": "Permission denied on secret: projects/1/secrets/s/versions/latest" }),
            ErrorKind::SecretUnavailable,
        ),
        (
            json!({ "message": "Secret projects/1/secrets/s/versions/latest was not found" }),
            ErrorKind::SecretUnavailable,
        ),
        (json!({ "reason": "CONTAINER_MISSING", "message": "Image 'x' not found." }), ErrorKind::ImageUnavailable),
        (json!({ "message": "Image 'europe-docker.pkg.dev/p/r/i:1' not found." }), ErrorKind::ImageUnavailable),
        (json!({ "reason": "VPC_NETWORK_NOT_FOUND" }), ErrorKind::Invalid),
        (json!({ "reason": "INTERNAL" }), ErrorKind::StartFailed),
    ] {
        let job = json!({ "terminalCondition": ready(&more) });
        assert!(matches!(creation(job), Creation::Failed(refused) if refused.kind == kind), "{more}");
        let undecided = json!({ "reconciling": true, "terminalCondition": ready(&more) });
        assert_eq!(creation(undecided), Creation::Waiting);
    }
}
