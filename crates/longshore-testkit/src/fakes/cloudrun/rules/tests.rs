//! What is refused, and that what is not refused is not.

use serde_json::json;

use super::*;

fn a_job() -> Value {
    json!({ "template": { "template": {
        "maxRetries": 0,
        "containers": [{
            "image": "europe-docker.pkg.dev/p/r/i:1",
            "env": [
                { "name": "A", "value": "a" },
                { "name": "B", "valueSource": { "secretKeyRef": { "secret": "s", "version": "latest" } } },
            ],
            "resources": { "limits": { "cpu": "1", "memory": "512Mi" } },
            "volumeMounts": [{ "name": "scratch", "mountPath": "/scratch" }, { "name": "data", "mountPath": "/data" }],
        }],
        "volumes": [
            { "name": "scratch", "emptyDir": { "medium": "MEMORY", "sizeLimit": "64Mi" } },
            { "name": "data", "gcs": { "bucket": "b", "readOnly": true } },
        ],
        "vpcAccess": { "networkInterfaces": [{ "network": "default" }] },
        "serviceAccount": "robot@longshore-test.iam.gserviceaccount.com",
        "timeout": "600s",
    } } })
}

/// What becomes of the job with the value at the place; a place begins at the job, the task or its container.
fn verdict(place: &str, value: Value) -> Result<(), Refusal> {
    let mut whole = a_job();
    let (of, field) = place.rsplit_once('/').unwrap();
    let of = match of {
        "job" => &mut whole,
        "execution" => &mut whole["template"],
        "task" => &mut whole["template"]["template"],
        _ => &mut whole["template"]["template"]["containers"][0],
    };
    of[field] = value;
    job("a-job", whole.as_object().unwrap())
}

#[test]
fn a_job_that_uses_much_is_well() {
    job("a-job", a_job().as_object().unwrap()).unwrap();
    verdict("job/startExecutionToken", json!("a".repeat(57))).unwrap();
    verdict("job/labels", json!({ "owner_id": "a-1" })).unwrap();
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let wrong = [
        ("job/startExecutionToken", json!("a".repeat(58))),
        ("job/startExecutionToken", json!("A")),
        ("job/launchStage", json!("PRELAUNCH")),
        ("job/labels", json!({ "run.googleapis.com/x": "a" })),
        ("job/labels", json!({ "Upper": "a" })),
        ("job/annotations", json!({ "x.run.googleapis.com/x": "a" })),
        ("execution/labels", json!({ "a": "a".repeat(64) })),
        ("execution/taskCount", json!(0)),
        ("execution/parallelism", json!(2)),
        ("task/maxRetries", json!(11)),
        ("task/timeout", json!("604801s")),
        ("task/timeout", json!("0.5s")),
        ("task/executionEnvironment", json!("EXECUTION_ENVIRONMENT_GEN1")),
        ("task/serviceAccount", json!("robot")),
        ("task/vpcAccess", json!({ "connector": "mine" })),
        ("task/vpcAccess", json!({ "networkInterfaces": [{}] })),
        ("task/volumes", json!([])),
        ("task/containers", json!([])),
        ("container/image", json!("ghcr.io/a/b")),
        ("container/env", json!([{ "name": "CLOUD_RUN_JOB", "value": "x" }])),
        ("container/env", json!([{ "name": "A" }, { "name": "A" }])),
        ("container/env", json!([{ "name": "A", "value": "x".repeat(32_769) }])),
        ("container/env", json!([{ "name": "A", "valueSource": { "secretKeyRef": { "secret": "s" } } }])),
        ("container/resources", json!({ "limits": { "cpu": "3" } })),
        ("container/volumeMounts", json!([{ "name": "scratch", "mountPath": "here" }])),
    ];
    for (place, value) in wrong {
        assert!(verdict(place, value.clone()).is_err(), "{place}: {value}");
    }
}

#[test]
fn names_of_jobs() {
    for name in ["a", "a-1", &"a".repeat(49)] {
        job_name(name).unwrap();
    }
    for name in ["", "A", "1a", "a-", "a_b", &"a".repeat(50)] {
        assert!(job_name(name).is_err(), "{name}");
    }
}
