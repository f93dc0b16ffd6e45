//! Jobs, executions, tasks and operations, from the first request to the last.

use hyper::Method;
use longshore_core::Signal;
use longshore_testkit::{suite::Test, tests};
use serde_json::{Value, json};
use std::time::Duration;

use crate::client::Bench;

pub(crate) const TESTS: &[Test] = &tests![
    a_token_starts_an_execution,
    a_token_is_used_once,
    an_operation_is_waited_for,
    retries_run_the_program_again,
    a_cancelled_execution_has_its_grace,
    a_timeout_ends_an_attempt,
    memory_beyond_the_limit_ends_an_attempt,
    a_kill_from_outside_is_told_by_its_signal,
    what_cannot_start_is_told,
    what_cannot_be_deployed_is_told_by_its_operation,
    overrides_are_for_one_execution,
    tasks_run_side_by_side_as_far_as_they_may,
    secrets_and_volumes_are_mounted,
    an_execution_that_is_deleted_is_gone,
    a_job_that_is_deleted_is_gone_with_what_ran_in_it,
];

fn condition(of: &Value, kind: &str) -> Value {
    let conditions = of["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == kind).unwrap().clone()
}

async fn a_token_starts_an_execution() {
    let bench = Bench::start().await;
    let execution = bench.run("nightly", bench.job(&["print out", "eprint err", "exit 3"])).await;
    assert_eq!(execution["job"], "nightly");
    assert_eq!((&execution["failedCount"], &execution["taskCount"]), (&json!(1), &json!(1)));
    assert!(execution.get("succeededCount").is_none(), "zeros are left out: {execution}");
    let completed = condition(&execution, "Completed");
    assert_eq!(
        (&completed["state"], &completed["executionReason"]),
        (&json!("CONDITION_FAILED"), &json!("NON_ZERO_EXIT_CODE"))
    );
    let task = bench.task("nightly", "nightly-a").await;
    assert_eq!(task["lastAttemptResult"]["exitCode"], 3);
    let log = bench.log("nightly-a", 5).await;
    let failed =
        "system_event: Task nightly-a-task0 failed with exit code: 3 and message: The container exited with an error.";
    let expected = [
        "system_event: Execution has started.",
        "stdout: out",
        "stderr: err",
        "system: Container called exit(3).",
        failed,
    ];
    assert_eq!(log, expected);
    let job = bench.get("jobs/nightly").await.ok();
    assert_eq!(job["latestCreatedExecution"]["name"], "nightly-a");
    assert_eq!(job["latestCreatedExecution"]["completionStatus"], "EXECUTION_FAILED");
    assert_eq!((&job["generation"], &job["terminalCondition"]["state"]), (&json!("1"), &json!("CONDITION_SUCCEEDED")));
}

async fn a_token_is_used_once() {
    let bench = Bench::start().await;
    let mut job = bench.job(&["print once"]);
    bench.run("once", job.clone()).await;
    job["startExecutionToken"] = json!("a");
    bench.post("jobs?jobId=once", job.clone()).await.is_refusal(409, "ALREADY_EXISTS");
    bench.call(Method::PATCH, "jobs/once", Some(job.clone())).await.is_refusal(409, "ALREADY_EXISTS");
    assert_eq!(bench.fake.starts("once"), 1);
    job["startExecutionToken"] = json!("b");
    bench.call(Method::PATCH, "jobs/once", Some(job)).await.ok();
    bench.ended("once", "once-b").await;
    assert_eq!(bench.fake.starts("once"), 2);
    assert_eq!(bench.fake.executions("once"), ["once-a", "once-b"]);
}

async fn an_operation_is_waited_for() {
    let bench = Bench::start().await;
    let mut job = bench.job(&["sleep 20h", "exit 0"]);
    job["template"]["template"]["timeout"] = json!("86400s");
    job["runExecutionToken"] = json!("a");
    let operation = bench.post("jobs?jobId=waited", job).await.ok();
    assert!(operation.get("done").is_none(), "{operation}");
    let early = bench.waited(&operation, json!({ "timeout": "5s" })).await;
    assert!(early.get("done").is_none(), "{early}");
    bench.pass(Duration::from_secs(20 * 3_600));
    let done = bench.waited(&operation, json!({})).await;
    assert_eq!((&done["done"], &done["response"]["executionCount"]), (&json!(true), &json!(1)), "{done}");
    assert_eq!(bench.get("operations?filter=done:true").await.ok()["operations"].as_array().map(Vec::len), Some(1));
    let id = operation["name"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(bench.call(Method::DELETE, &format!("operations/{id}"), None).await.ok(), json!({}));
    bench.get(&format!("operations/{id}")).await.is_refusal(404, "NOT_FOUND");
}

async fn retries_run_the_program_again() {
    let bench = Bench::start().await;
    let mut job = bench.job(&["env CLOUD_RUN_TASK_ATTEMPT", "exit 1"]);
    job["template"]["template"].as_object_mut().unwrap().remove("maxRetries");
    let execution = bench.run("again", job).await;
    assert_eq!((&execution["failedCount"], &execution["retriedCount"]), (&json!(1), &json!(1)));
    assert_eq!(bench.fake.starts("again"), 4);
    let task = bench.task("again", "again-a").await;
    assert_eq!((&task["retried"], &task["maxRetries"]), (&json!(3), &json!(3)));
    let log = bench.log("again-a", 10).await;
    let attempts: Vec<&String> = log.iter().filter(|line| line.starts_with("stdout")).collect();
    assert_eq!(attempts, ["stdout: 0", "stdout: 1", "stdout: 2", "stdout: 3"]);
}

/// Starts the script, waits until its program runs, and returns the execution's path.
async fn running(bench: &Bench, script: &[&str]) -> String {
    let mut job = bench.job(script);
    job["startExecutionToken"] = json!("a");
    bench.post("jobs?jobId=runs", job).await.ok();
    let path = "jobs/runs/executions/runs-a";
    bench.until("it runs", async || (bench.get(path).await.json()["runningCount"] == 1).then_some(())).await;
    path.to_owned()
}

async fn a_cancelled_execution_has_its_grace() {
    for (script, code, signal) in
        [(["catch TERM 7 2s", "forever"], json!(7), Value::Null), (["ignore TERM", "forever"], Value::Null, json!(9))]
    {
        let bench = Bench::start().await;
        let path = running(&bench, &script).await;
        let operation = bench.post(&format!("{path}:cancel"), json!({})).await.ok();
        assert_eq!(condition(&operation["metadata"], "Completed")["executionReason"], "CANCELLING");
        bench.call(Method::DELETE, &path, None).await.is_refusal(400, "FAILED_PRECONDITION");
        let execution = bench.ended("runs", "runs-a").await;
        assert_eq!(execution["cancelledCount"], 1);
        let completed = condition(&execution, "Completed");
        assert_eq!(
            (&completed["state"], &completed["executionReason"]),
            (&json!("CONDITION_FAILED"), &json!("CANCELLED"))
        );
        let result = bench.task("runs", "runs-a").await["lastAttemptResult"].clone();
        assert_eq!((&result["exitCode"], &result["termSignal"]), (&code, &signal));
        bench.post(&format!("{path}:cancel"), json!({})).await.is_refusal(400, "FAILED_PRECONDITION");
    }
}

async fn a_timeout_ends_an_attempt() {
    let bench = Bench::start().await;
    let mut job = bench.job(&["ignore TERM", "forever"]);
    job["template"]["template"]["timeout"] = json!("5s");
    bench.run("late", job).await;
    let result = bench.task("late", "late-a").await["lastAttemptResult"].clone();
    assert_eq!((&result["termSignal"], &result["status"]["code"]), (&json!(9), &json!(4)), "{result}");
    let log = bench.log("late-a", 4).await;
    assert!(
        log.contains(&"system: Terminating task because it has reached the maximum timeout of 5 seconds.".to_owned())
    );
}

async fn memory_beyond_the_limit_ends_an_attempt() {
    let bench = Bench::start().await;
    bench.run("hungry", bench.job(&["allocate 600m"])).await;
    let result = bench.task("hungry", "hungry-a").await["lastAttemptResult"].clone();
    assert_eq!((&result["termSignal"], &result["status"]["code"]), (&json!(9), &json!(8)), "{result}");
    let log = bench.log("hungry-a", 3).await;
    assert!(log.iter().any(|line| line.contains("Memory limit of 512 MiB exceeded with 600 MiB used")), "{log:?}");
}

async fn a_kill_from_outside_is_told_by_its_signal() {
    let bench = Bench::start().await;
    running(&bench, &["forever"]).await;
    assert!(!bench.fake.kill("other-a", Signal::KILL));
    assert!(bench.fake.kill("runs-a", Signal::KILL));
    let execution = bench.ended("runs", "runs-a").await;
    assert_eq!(execution["failedCount"], 1);
    assert_eq!(bench.task("runs", "runs-a").await["lastAttemptResult"]["termSignal"], 9);
}

async fn what_cannot_start_is_told() {
    for (program, why) in [("/no/such/program", "no such file or directory"), ("/etc", "permission denied")] {
        let bench = Bench::start().await;
        let mut job = bench.job(&["exit 0"]);
        job["template"]["template"]["containers"][0]["command"] = json!([program]);
        bench.run("broken", job).await;
        let result = bench.task("broken", "broken-a").await["lastAttemptResult"].clone();
        assert!(result["status"]["message"].as_str().unwrap().ends_with(why), "{result}");
        assert!(result.get("exitCode").is_none() && result.get("termSignal").is_none(), "{result}");
        assert_eq!(bench.fake.starts("broken"), 0);
    }
}

async fn what_cannot_be_deployed_is_told_by_its_operation() {
    let bench = Bench::start().await;
    bench.fake.add_secret("known", b"value");
    bench.fake.deny_secret("known");
    bench.fake.remove_network("nowhere");
    let secret = json!([{ "name": "S", "valueSource": { "secretKeyRef": { "secret": "known", "version": "1" } } }]);
    let network = json!({ "networkInterfaces": [{ "network": "nowhere" }] });
    let mut jobs = [
        ("missing", 5, "CONTAINER_MISSING"),
        ("denied", 7, "CONTAINER_PERMISSION_DENIED"),
        ("secret", 7, "SECRETS_ACCESS_CHECK_FAILED"),
        ("network", 5, "VPC_NETWORK_NOT_FOUND"),
    ]
    .map(|expected| (expected, bench.job(&[])));
    let task = |job: &mut Value| job["template"]["template"].take();
    jobs[0].1["template"]["template"]["containers"][0]["image"] = json!(bench.fake.missing_image());
    jobs[1].1["template"]["template"]["containers"][0]["image"] = json!(bench.fake.denied_image());
    jobs[2].1["template"]["template"]["containers"][0]["env"] = secret;
    let mut with_network = task(&mut jobs[3].1);
    with_network["vpcAccess"] = network;
    jobs[3].1["template"]["template"] = with_network;
    for ((name, code, reason), mut job) in jobs {
        job["startExecutionToken"] = json!("a");
        let operation = bench.post(&format!("jobs?jobId={name}"), job).await.ok();
        let done = bench.waited(&operation, json!({})).await;
        assert_eq!(done["error"]["code"], code, "{done}");
        let job = bench.get(&format!("jobs/{name}")).await.ok();
        assert_eq!(job["terminalCondition"]["reason"], reason, "{job}");
        assert!(bench.fake.executions(name).is_empty());
        bench.post(&format!("jobs/{name}:run"), json!({})).await.is_refusal(400, "FAILED_PRECONDITION");
    }
}

async fn overrides_are_for_one_execution() {
    let bench = Bench::start().await;
    let mut job = bench.job(&["print default"]);
    job["template"]["template"]["containers"][0]["env"] =
        json!([{ "name": "A", "value": "a" }, { "name": "B", "value": "b" }]);
    bench.post("jobs?jobId=over", job).await.ok();
    let overrides = json!({ "overrides": { "taskCount": 2, "timeout": "60s", "containerOverrides": [{
        "args": ["env A", "env B", "env CLOUD_RUN_TASK_COUNT"], "env": [{ "name": "B", "value": "changed" }],
    }] } });
    let operation = bench.post("jobs/over:run", overrides).await.ok();
    let execution = operation["metadata"]["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let ended = bench.ended("over", &execution).await;
    assert_eq!((&ended["succeededCount"], &ended["template"]["timeout"]), (&json!(2), &json!("60s")));
    let log = bench.log(&execution, 10).await;
    assert_eq!(log.iter().filter(|line| *line == "stdout: changed").count(), 2, "{log:?}");
    assert!(log.contains(&"stdout: a".to_owned()) && log.contains(&"stdout: 2".to_owned()), "{log:?}");
    let cleared = json!({ "overrides": { "containerOverrides": [{ "args": ["exit 1"], "clearArgs": true }] } });
    bench.post("jobs/over:run", cleared).await.is_refusal(400, "INVALID_ARGUMENT");
}

async fn tasks_run_side_by_side_as_far_as_they_may() {
    let bench = Bench::start().await;
    let mut job = bench.job(&["sleep 10s"]);
    job["template"]["taskCount"] = json!(4);
    job["template"]["parallelism"] = json!(2);
    let execution = bench.run("many", job).await;
    assert_eq!(execution["succeededCount"], 4);
    let tasks = bench.get("jobs/many/executions/many-a/tasks").await.ok();
    let starts: Vec<&str> =
        tasks["tasks"].as_array().unwrap().iter().map(|it| it["startTime"].as_str().unwrap()).collect();
    assert_eq!(starts[0], starts[1]);
    assert!(starts[1] < starts[2] && starts[2] == starts[3], "{starts:?}");
    assert!(tasks["tasks"][0].get("index").is_none(), "zeros are left out");
}

async fn secrets_and_volumes_are_mounted() {
    let bench = Bench::start().await;
    bench.fake.add_secret("password", b"s3cret");
    let mut job = bench.job(&[
        "env PASSWORD",
        "read /secrets/password",
        "write /scratch/a 1234",
        "read /scratch/a",
        "write /data/a x",
    ]);
    let container = &mut job["template"]["template"]["containers"][0];
    container["env"] = json!([{ "name": "PASSWORD", "valueSource": { "secretKeyRef": {
        "secret": format!("projects/{}/secrets/password", bench.fake.project()), "version": "latest",
    } } }]);
    container["volumeMounts"] = json!([
        { "name": "secret", "mountPath": "/secrets" }, { "name": "memory", "mountPath": "/scratch" },
        { "name": "bucket", "mountPath": "/data" },
    ]);
    job["template"]["template"]["volumes"] = json!([
        { "name": "secret", "secret": { "secret": "password" } },
        { "name": "memory", "emptyDir": { "medium": "MEMORY", "sizeLimit": "1Mi" } },
        { "name": "bucket", "gcs": { "bucket": "a-bucket", "readOnly": true } },
    ]);
    bench.run("mounts", job).await;
    let log = bench.log("mounts-a", 6).await;
    assert!(log.contains(&"stdout: s3cret".to_owned()) && log.contains(&"stdout: s3cret1234".to_owned()), "{log:?}");
    assert!(log.contains(&"system: Container called exit(73).".to_owned()), "{log:?}");
}

async fn an_execution_that_is_deleted_is_gone() {
    let bench = Bench::start().await;
    bench.run("short", bench.job(&["exit 0"])).await;
    let path = "jobs/short/executions/short-a";
    bench.call(Method::DELETE, path, None).await.ok();
    bench.until("the execution is gone", async || (bench.get(path).await.status == 404).then_some(())).await;
    assert_eq!(bench.get("jobs/short").await.ok()["executionCount"], 1);
    assert_eq!(bench.fake.starts("short"), 1);
}

async fn a_job_that_is_deleted_is_gone_with_what_ran_in_it() {
    let bench = Bench::start().await;
    running(&bench, &["forever"]).await;
    let operation = bench.call(Method::DELETE, "jobs/runs", None).await.ok();
    assert!(operation["metadata"]["deleteTime"].is_string(), "{operation}");
    let done = bench.waited(&operation, json!({})).await;
    assert!(done["response"]["expireTime"].is_string(), "{done}");
    bench.get("jobs/runs").await.is_refusal(404, "NOT_FOUND");
    assert_eq!(bench.get("jobs").await.ok(), json!({}));
    assert_eq!(bench.get("jobs?showDeleted=true").await.ok()["jobs"].as_array().map(Vec::len), Some(1));
    assert_eq!(bench.fake.starts("runs"), 1);
    bench.post("jobs?jobId=runs", bench.job(&["exit 0"])).await.ok();
}
