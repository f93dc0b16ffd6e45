//! What programs write, and how it is listed.

use longshore_testkit::{suite::Test, tests};
use serde_json::{Value, json};
use std::time::Duration;

use crate::client::{Bench, line};

pub(crate) const TESTS: &[Test] = &tests![
    a_line_is_an_entry,
    a_long_line_is_split,
    entries_come_in_pages,
    late_entries_come_after_the_end,
    entries_come_out_of_order,
    entries_come_twice,
    empty_pages_promise_more,
    a_token_expires_between_two_pages,
    entries_of_a_moment_have_one_timestamp,
    many_executions_are_in_one_query,
    lost_logs_are_lost,
];

fn of(execution: &str) -> Value {
    let filter = format!(
        "resource.type=\"cloud_run_job\" AND labels.\"run.googleapis.com/execution_name\"=\"{execution}\" AND \
         logName=(\"projects/longshore-test/logs/run.googleapis.com%2Fstdout\" OR \
         \"projects/longshore-test/logs/run.googleapis.com%2Fstderr\")"
    );
    json!({ "resourceNames": ["projects/longshore-test"], "filter": filter, "pageSize": 1000 })
}

async fn entries(bench: &Bench, query: &Value) -> Vec<Value> {
    bench.entries(query.clone()).await.ok()["entries"].as_array().cloned().unwrap_or_default()
}

async fn lines(bench: &Bench, query: &Value) -> Vec<String> {
    entries(bench, query).await.iter().map(line).collect()
}

/// Waits until so many entries can be listed.
async fn until(bench: &Bench, query: &Value, count: usize) -> Vec<Value> {
    bench
        .until("the entries are there", async || {
            let found = entries(bench, query).await;
            (found.len() == count).then_some(found)
        })
        .await
}

async fn a_line_is_an_entry() {
    let bench = Bench::start().await;
    let structured = "print {\"severity\":\"warning\",\"message\":\"m\",\"n\":1}";
    let script =
        ["print one", "print", structured, "print {\"message\":\"alone\"}", "eput without an end", "put {not json"];
    bench.run("lines", bench.job(&script)).await;
    let found = until(&bench, &of("lines-a"), 6).await;
    let mut texts: Vec<String> = found.iter().map(line).collect();
    texts.sort();
    let expected = [
        "stderr: without an end",
        "stdout: ",
        "stdout: alone",
        "stdout: one",
        "stdout: {\"message\":\"m\",\"n\":1}",
        "stdout: {not json",
    ];
    assert_eq!(texts, expected);
    let structured = found.iter().find(|entry| entry["jsonPayload"].is_object()).unwrap();
    assert_eq!(structured["severity"], "WARNING");
    assert_eq!(structured["resource"]["labels"]["job_name"], "lines");
    assert_eq!(structured["labels"]["run.googleapis.com/task_attempt"], "0");
    bench.run("random", bench.job(&["random 300 1"])).await;
    let found = bench.log("random-a", 4).await;
    assert!(found.iter().any(|text| text.contains('\u{fffd}')), "{found:?}");
}

async fn a_long_line_is_split() {
    let bench = Bench::start().await;
    bench.run("long", bench.job(&["bytes 300000 x", "print", "print after"])).await;
    let found = until(&bench, &of("long-a"), 4).await;
    let whole: String = found[..3].iter().map(|entry| entry["textPayload"].as_str().unwrap()).collect();
    assert_eq!(whole, "x".repeat(300_000));
    let splits: Vec<&Value> = found[..3].iter().map(|entry| &entry["split"]).collect();
    assert!(splits.iter().all(|split| split["totalSplits"] == 3 && split["uid"] == splits[0]["uid"]), "{splits:?}");
    assert_eq!((splits[0].get("index"), &splits[2]["index"]), (None, &json!(2)));
    assert!(found[3].get("split").is_none());
}

async fn entries_come_in_pages() {
    let bench = Bench::start().await;
    bench.run("paged", bench.job(&["lines 25"])).await;
    until(&bench, &of("paged-a"), 25).await;
    let mut query = of("paged-a");
    query["pageSize"] = json!(10);
    let (mut found, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = bench.entries(query.clone()).await.ok();
        let entries = page["entries"].as_array().cloned().unwrap_or_default();
        sizes.push(entries.len());
        found.extend(entries.iter().map(line));
        match page.get("nextPageToken") {
            Some(token) => query["pageToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(found, (1..=25).map(|line| format!("stdout: {line:08}")).collect::<Vec<_>>());
    query["orderBy"] = json!("timestamp desc");
    bench.entries(query.clone()).await.is_refusal(400, "INVALID_ARGUMENT");
    query.as_object_mut().unwrap().remove("pageToken");
    let newest = bench.entries(query.clone()).await.ok();
    assert_eq!(line(&newest["entries"][0]), "stdout: 00000025");
    query["orderBy"] = json!("severity");
    bench.entries(query).await.is_refusal(400, "INVALID_ARGUMENT");
}

async fn late_entries_come_after_the_end() {
    let bench = Bench::start().await;
    bench.fake.set_trouble(|trouble| trouble.late_logs = Duration::from_secs(60));
    bench.run("late", bench.job(&["print late"])).await;
    assert!(lines(&bench, &of("late-a")).await.is_empty());
    bench.pass(Duration::from_secs(61));
    assert_eq!(lines(&bench, &of("late-a")).await, ["stdout: late"]);
}

async fn entries_come_out_of_order() {
    let bench = Bench::start().await;
    bench.fake.set_trouble(|trouble| trouble.logs_out_of_order = Duration::from_secs(30));
    bench.run("order", bench.job(&["lines 6"])).await;
    bench.pass(Duration::from_secs(1));
    assert_eq!(lines(&bench, &of("order-a")).await.len(), 4, "every third comes later than those behind it");
    bench.pass(Duration::from_secs(30));
    assert_eq!(lines(&bench, &of("order-a")).await.len(), 6);
}

async fn entries_come_twice() {
    let bench = Bench::start().await;
    bench.run("twice", bench.job(&["lines 5"])).await;
    until(&bench, &of("twice-a"), 5).await;
    bench.fake.set_trouble(|trouble| trouble.duplicate_log_entries = true);
    let mut query = of("twice-a");
    query["pageSize"] = json!(3);
    let first = bench.entries(query.clone()).await.ok();
    query["pageToken"] = first["nextPageToken"].clone();
    let second = bench.entries(query).await.ok();
    assert_eq!(first["entries"][2], second["entries"][0]);
    assert_eq!(second["entries"].as_array().map(Vec::len), Some(3));
}

async fn empty_pages_promise_more() {
    let bench = Bench::start().await;
    bench.run("empty", bench.job(&["print one"])).await;
    until(&bench, &of("empty-a"), 1).await;
    bench.fake.set_trouble(|trouble| trouble.empty_log_pages = 2);
    let mut query = of("empty-a");
    for _ in 0..2 {
        let page = bench.entries(query.clone()).await.ok();
        assert!(page.get("entries").is_none(), "{page}");
        query["pageToken"] = page["nextPageToken"].clone();
    }
    let page = bench.entries(query).await.ok();
    assert_eq!(line(&page["entries"][0]), "stdout: one");
    assert!(page.get("nextPageToken").is_none(), "{page}");
}

async fn a_token_expires_between_two_pages() {
    let bench = Bench::start().await;
    bench.run("expiry", bench.job(&["lines 4"])).await;
    until(&bench, &of("expiry-a"), 4).await;
    bench.fake.set_trouble(|trouble| trouble.calls_per_token = Some(1));
    let mut query = of("expiry-a");
    query["pageSize"] = json!(2);
    let url = format!("{}/v2/entries:list", bench.fake.logging_endpoint());
    let ask = async |query: &Value, token: &str| {
        bench.send(hyper::Method::POST, &url, Some(query.clone()), Some(token)).await.unwrap()
    };
    let token = bench.fake.issue_token(Duration::from_secs(100_000));
    query["pageToken"] = ask(&query, &token).await.ok()["nextPageToken"].clone();
    ask(&query, &token).await.is_refusal(401, "UNAUTHENTICATED");
    let page = ask(&query, &bench.fake.token()).await.ok();
    assert_eq!(line(&page["entries"][0]), "stdout: 00000003");
}

async fn entries_of_a_moment_have_one_timestamp() {
    let bench = Bench::start().await;
    bench.fake.set_trouble(|trouble| trouble.same_log_timestamps = true);
    bench.run("moment", bench.job(&["lines 3"])).await;
    let found = until(&bench, &of("moment-a"), 3).await;
    assert_eq!(found[0]["timestamp"], found[2]["timestamp"]);
    let ids: Vec<&str> = found.iter().map(|entry| entry["insertId"].as_str().unwrap()).collect();
    assert!(ids.is_sorted() && ids[0] != ids[1], "{ids:?}");
}

async fn many_executions_are_in_one_query() {
    let bench = Bench::start().await;
    for name in ["one", "two", "three"] {
        bench.run(name, bench.job(&[&format!("print of {name}")])).await;
    }
    let mut query = of("one-a");
    let filter = query["filter"].as_str().unwrap().replace("\"one-a\"", "(\"one-a\" OR \"three-a\")");
    query["filter"] = json!(filter);
    until(&bench, &query, 2).await;
    assert_eq!(lines(&bench, &query).await, ["stdout: of one", "stdout: of three"]);
}

async fn lost_logs_are_lost() {
    let bench = Bench::start().await;
    bench.fake.set_trouble(|trouble| trouble.lost_logs = true);
    bench.run("lost", bench.job(&["print gone"])).await;
    bench.pass(Duration::from_secs(60));
    assert!(lines(&bench, &of("lost-a")).await.is_empty());
}
