//! Logs are whole, however they come.

use longshore_core::{ContainerExecutor, ExecutionHandle, LogQuery};
use longshore_http::Method;
use longshore_testkit::fakes::cloudrun::Trouble;
use std::time::Duration;

use crate::place::{LOG, Test};

#[tokio::test]
async fn logs_are_whole_whatever_the_pages_do() {
    type Change = fn(&mut Trouble);
    let troubles: [(&str, Change); 6] = [
        ("late", |it| it.late_logs = Duration::from_secs(6)),
        ("out of order", |it| it.logs_out_of_order = Duration::from_secs(5)),
        ("of one moment", |it| it.same_log_timestamps = true),
        ("doubled", |it| (it.duplicate_log_entries, it.page_limit) = (true, Some(7))),
        ("empty pages", |it| (it.empty_log_pages, it.page_limit) = (3, Some(7))),
        ("unknown fields", |it| it.unknown_fields = true),
    ];
    for (name, trouble) in troubles {
        let test = Test::start().await;
        test.place.fake.set_trouble(trouble);
        let handle = test.launch(&["lines 40 30", "sleep 2s", "lines 40 30"]).await;
        let reading = test.log(&handle).await;
        let numbers: Vec<&str> = reading.lines().collect();
        assert_eq!(numbers.len(), 80, "{name}");
        assert_eq!(numbers[..40], numbers[40..], "{name}");
        assert!(numbers[..40].is_sorted(), "{name}");
        let harvest = test.executor.harvest_job(&handle).await.expect("a harvest");
        assert_eq!(harvest.logs.stdout_bytes, reading.len() as u64, "{name}");
    }
}

#[tokio::test]
async fn many_logs_are_few_reads() {
    let test = Test::start().await;
    let launches = (0..20).map(|_| test.launch(&["print one of many"]));
    let handles: Vec<ExecutionHandle> = futures::future::join_all(launches).await;
    let logs = futures::future::join_all(handles.iter().map(|handle| test.log(handle))).await;
    assert!(logs.iter().all(|log| log == "one of many\n"), "{logs:?}");
    for handle in &handles {
        test.executor.harvest_job(handle).await.expect("a harvest");
    }
    let reads = test.place.fake.logging().count(Method::POST, LOG);
    assert!(reads <= 40, "20 logs, followed and harvested, took {reads} reads");
}

#[tokio::test]
async fn a_large_log_is_read_once_also_when_it_is_harvested() {
    let test = Test::start().await;
    let handle = test.launch(&["lines 10000 60"]).await;
    test.end(&handle).await;
    let log = test.log(&handle).await;
    assert_eq!(log.lines().count(), 10_000);
    let harvest = test.executor.harvest_job(&handle).await.expect("a harvest");
    assert_eq!(harvest.logs.stdout_bytes, log.len() as u64);
    let reads = test.place.fake.logging().count(Method::POST, LOG);
    assert!(reads <= 14, "ten pages of a thousand entries took {reads} reads");
}

#[tokio::test]
async fn a_log_is_the_same_from_every_cursor() {
    let test = Test::start().await;
    test.place.fake.set_trouble(|it| (it.same_log_timestamps, it.page_limit) = (true, Some(9)));
    let handle = test.launch(&["lines 60 20"]).await;
    let whole = test.log(&handle).await;
    let (mut read, mut query) = (String::new(), LogQuery::from_start());
    loop {
        // Another program each time: it knows nothing but the cursor.
        let other = test.place.at(&test.place.fake.endpoint()).expect("an executor");
        query.max_bytes = 50;
        let page = other.get_logs(&handle, &query.waiting(Duration::from_secs(5))).await.expect("a page");
        page.records.iter().for_each(|record| read.push_str(&String::from_utf8_lossy(&record.bytes)));
        if page.ended.is_some() {
            break;
        }
        query = LogQuery::after(page.next);
    }
    assert_eq!(read, whole);
}
