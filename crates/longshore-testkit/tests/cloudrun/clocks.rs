//! The fake lives by the clock that it is given, and by no other.

use jiff::Timestamp;
use longshore_core::clock::later;
use longshore_testkit::{fakes::cloudrun::Options, suite::Test, tests};
use serde_json::json;
use std::time::Duration;

use crate::client::Bench;

pub(crate) const TESTS: &[Test] = &tests![time_is_followed_to_the_moment, five_hundred_jobs_run_at_once];

async fn time_is_followed_to_the_moment() {
    let bench = Bench::start().await;
    let pace = Options::default().pace;
    let mut job = bench.job(&["sleep 1h", "exit 0"]);
    job["template"]["template"]["timeout"] = json!("7200s");
    job["startExecutionToken"] = json!("a");
    bench.post("jobs?jobId=slow", job).await.ok();
    let started = pace.deploy + pace.create_execution + pace.start;
    bench.pass(started);
    let running = bench.get("jobs/slow/executions/slow-a").await.ok();
    let at = |after: Duration| later(Timestamp::UNIX_EPOCH, after).to_string();
    assert_eq!(running["startTime"], at(started));
    bench.pass(Duration::from_secs(3_600) + pace.settle - Duration::from_millis(1));
    assert_eq!(bench.get("jobs/slow/executions/slow-a").await.ok()["runningCount"], 1);
    bench.pass(Duration::from_millis(1));
    let ended = bench.get("jobs/slow/executions/slow-a").await.ok();
    let expected = at(started + Duration::from_secs(3_600) + pace.settle);
    assert_eq!((&ended["succeededCount"], &ended["completionTime"]), (&json!(1), &json!(expected)));
}

async fn five_hundred_jobs_run_at_once() {
    let bench = Bench::start().await;
    for number in 0..500 {
        let mut job = bench.job(&[&format!("print {number}"), "sleep 60s", "exit 0"]);
        job["startExecutionToken"] = json!("a");
        bench.post(&format!("jobs?jobId=job-{number}"), job).await.ok();
    }
    let path = "jobs/-/executions?pageSize=1000&prettyPrint=false&fields=executions(runningCount,succeededCount)";
    let count = async |field: &str| {
        let page = bench.get(path).await.ok();
        page["executions"].as_array().unwrap().iter().filter(|execution| execution[field] == 1).count()
    };
    bench.pass(Duration::from_secs(30));
    assert_eq!(count("runningCount").await, 500);
    bench.pass(Duration::from_secs(60));
    assert_eq!(count("succeededCount").await, 500);
    assert!((0..500).all(|number| bench.fake.starts(&format!("job-{number}")) == 1));
}
