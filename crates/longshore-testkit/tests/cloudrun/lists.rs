//! Lists: their pages, their order, and what troubles them.

use hyper::Method;
use longshore_testkit::{suite::Test, tests};
use serde_json::{Value, json};
use std::time::Duration;

use crate::client::Bench;

pub(crate) const TESTS: &[Test] = &tests![
    pages_go_on_where_the_last_one_ended,
    a_page_token_is_good_for_its_own_list,
    pages_that_are_counted_skip_one_when_another_goes,
    what_was_made_is_missing_for_a_while,
    all_executions_are_in_one_list,
    only_the_fields_that_are_asked_for_are_sent,
    members_that_nobody_knows_are_sent,
];

async fn with_jobs(names: &[&str]) -> Bench {
    let bench = Bench::start().await;
    for name in names {
        bench.post(&format!("jobs?jobId={name}"), bench.job(&["exit 0"])).await.ok();
        bench.pass(Duration::from_secs(1));
    }
    bench
}

fn names(page: &Value) -> Vec<String> {
    let jobs = page["jobs"].as_array().cloned().unwrap_or_default();
    jobs.iter().map(|job| job["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

async fn pages_go_on_where_the_last_one_ended() {
    let bench = with_jobs(&["a", "b", "c", "d"]).await;
    let first = bench.get("jobs?pageSize=2").await.ok();
    assert_eq!(names(&first), ["d", "c"]);
    assert!(bench.fake.remove_job("d"));
    let second =
        bench.get(&format!("jobs?pageSize=2&pageToken={}", first["nextPageToken"].as_str().unwrap())).await.ok();
    assert_eq!(names(&second), ["b", "a"]);
    assert!(second.get("nextPageToken").is_none(), "{second}");
    bench.fake.set_trouble(|trouble| trouble.page_limit = Some(1));
    assert_eq!(names(&bench.get("jobs?pageSize=500").await.ok()), ["c"]);
}

async fn a_page_token_is_good_for_its_own_list() {
    let bench = with_jobs(&["a", "b"]).await;
    let first = bench.get("jobs?pageSize=1").await.ok();
    let token = first["nextPageToken"].as_str().unwrap();
    bench.get(&format!("operations?pageSize=1&pageToken={token}")).await.is_refusal(400, "INVALID_ARGUMENT");
    bench.get("jobs?pageToken=nonsense").await.is_refusal(400, "INVALID_ARGUMENT");
    bench.get("jobs?pageSize=-1").await.is_refusal(400, "INVALID_ARGUMENT");
}

async fn pages_that_are_counted_skip_one_when_another_goes() {
    let bench = with_jobs(&["a", "b", "c", "d"]).await;
    bench.fake.set_trouble(|trouble| trouble.shifting_pages = true);
    let first = bench.get("jobs?pageSize=2").await.ok();
    assert_eq!(names(&first), ["d", "c"]);
    assert!(bench.fake.remove_job("d"));
    let second =
        bench.get(&format!("jobs?pageSize=2&pageToken={}", first["nextPageToken"].as_str().unwrap())).await.ok();
    assert_eq!(names(&second), ["a"], "b moved up to the page that was already read");
}

async fn what_was_made_is_missing_for_a_while() {
    let bench = Bench::start().await;
    let lag = Duration::from_secs(20);
    bench.fake.set_trouble(|trouble| (trouble.list_lag, trouble.get_lag) = (lag, lag));
    bench.post("jobs?jobId=a", bench.job(&["exit 0"])).await.ok();
    assert_eq!(bench.get("jobs").await.ok(), json!({}));
    bench.get("jobs/a").await.is_refusal(404, "NOT_FOUND");
    bench.post("jobs?jobId=a", bench.job(&[])).await.is_refusal(409, "ALREADY_EXISTS");
    bench.pass(lag);
    bench.get("jobs/a").await.ok();
    assert_eq!(names(&bench.get("jobs").await.ok()), ["a"]);
}

async fn all_executions_are_in_one_list() {
    let bench = Bench::start().await;
    bench.run("one", bench.job(&["exit 0"])).await;
    bench.run("two", bench.job(&["exit 1"])).await;
    let all = bench.get("jobs/-/executions").await.ok();
    let jobs: Vec<&Value> = all["executions"].as_array().unwrap().iter().map(|it| &it["job"]).collect();
    assert_eq!(jobs, ["two", "one"]);
    let tasks = bench.get("jobs/-/executions/-/tasks").await.ok();
    assert_eq!(tasks["tasks"].as_array().map(Vec::len), Some(2));
    bench.get("jobs/none/executions").await.is_refusal(404, "NOT_FOUND");
    bench.get("jobs/one/executions/none/tasks").await.is_refusal(404, "NOT_FOUND");
}

async fn only_the_fields_that_are_asked_for_are_sent() {
    let bench = with_jobs(&["a"]).await;
    let page = bench.get("jobs?fields=jobs(uid,terminalCondition/state),nextPageToken").await.ok();
    let job = page["jobs"][0].as_object().unwrap();
    assert_eq!(job.keys().collect::<Vec<_>>(), ["terminalCondition", "uid"], "{job:?}");
    let before = bench.fake.traffic();
    let whole = bench.call(Method::GET, "jobs", None).await;
    let after = bench.fake.traffic();
    assert_eq!((after.calls - before.calls, after.sent - before.sent), (1, whole.text.len() as u64));
}

async fn members_that_nobody_knows_are_sent() {
    let bench = with_jobs(&["a"]).await;
    bench.fake.set_trouble(|trouble| trouble.unknown_fields = true);
    let job = bench.get("jobs/a").await.ok();
    assert_eq!(job["aFieldOfTomorrow"]["isUnknown"], true);
    assert_eq!(job["terminalCondition"]["aFieldOfTomorrow"]["isUnknown"], true);
}
