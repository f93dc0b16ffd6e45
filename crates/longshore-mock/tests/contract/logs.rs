//! Logs: late, cut, long, bounded.

use longshore_core::{
    ByteSize, ContainerExecutor, ErrorKind, ExecutionHandle, LogCompleteness, LogCursor, LogPage, LogQuery, LogStream,
};
use serde_json::json;

use crate::support::{Place, SECOND, cancel, template};

fn text(page: &LogPage) -> String {
    page.records.iter().map(|record| String::from_utf8_lossy(&record.bytes)).collect()
}

async fn page(place: &Place, handle: &ExecutionHandle, query: LogQuery) -> LogPage {
    place.executor.get_logs(handle, &query).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_late_log_comes_late_and_ends_late() {
    let place = Place::new(json!({ "jobs": { "late_logs": "10s" } })).await;
    let (request, handle) = place.launch(&["print a", "sleep 4s", "eprint b"]).await;
    place.sleep(6 * SECOND).await;
    place.end(&handle).await;
    let first = page(&place, &handle, LogQuery::from_start()).await;
    assert_eq!((text(&first).as_str(), &first.ended), ("", &None));

    let waited = page(&place, &handle, LogQuery::after(first.next).waiting(60 * SECOND)).await;
    assert_eq!((text(&waited).as_str(), waited.ended), ("a\n", None));
    assert_eq!(place.now(), request.created_at + 10 * SECOND);
    assert_eq!(waited.records[0].timestamp, Some(request.created_at));

    let harvest = place.executor.harvest_job(&handle).await.unwrap();
    assert!(place.now() >= request.created_at + 14 * SECOND, "the harvest waits for the last record");
    assert_eq!((harvest.logs.stdout_bytes, harvest.logs.stderr_bytes), (2, 2));
    let last = page(&place, &handle, LogQuery::after(waited.next)).await;
    assert_eq!((text(&last).as_str(), last.ended), ("b\n", Some(LogCompleteness::Complete)));
    assert_eq!(last.records[0].stream, LogStream::Stderr);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_waits_is_woken_by_output_by_the_end_and_by_time() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["sleep 5s", "print a", "forever"]).await;
    let first = page(&place, &handle, LogQuery::from_start().waiting(60 * SECOND)).await;
    assert_eq!((text(&first).as_str(), place.now()), ("a\n", request.created_at + 5 * SECOND));

    let nothing = page(&place, &handle, LogQuery::after(first.next).waiting(10 * SECOND)).await;
    assert_eq!((text(&nothing).as_str(), nothing.ended.clone()), ("", None));
    assert_eq!(place.now(), request.created_at + 15 * SECOND);

    let query = LogQuery::after(nothing.next).waiting(60 * SECOND);
    let stopping = async {
        place.sleep(SECOND).await;
        place.executor.stop_job(&handle, &cancel(SECOND)).await
    };
    let (last, stopped) = tokio::join!(place.executor.get_logs(&handle, &query), stopping);
    stopped.unwrap();
    assert_eq!(last.unwrap().ended, Some(LogCompleteness::Complete));
    assert_eq!(place.now(), request.created_at + 16 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_cut_log_goes_on_from_the_cursor_without_a_byte_lost_or_doubled() {
    let place = Place::new(json!({ "jobs": { "cut_logs": 10 } })).await;
    let (_, handle) = place.launch(&["lines 20 8", "put end"]).await;
    place.sleep(SECOND).await;
    let (mut whole, mut cuts, mut query) = (String::new(), 0, LogQuery::from_start());
    loop {
        match place.executor.get_logs(&handle, &query).await {
            Ok(page) => {
                whole.push_str(&text(&page));
                if page.ended.is_some() {
                    break;
                }
                query = LogQuery::after(page.next);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                cuts += 1;
            }
        }
    }
    let expected: String = (1..=20).map(|line| format!("{line:07}\n")).collect();
    assert_eq!((whole, cuts), (expected + "end", 16));
}

#[tokio::test(start_paused = true)]
async fn a_page_from_anywhere_is_a_part_of_the_whole() {
    let place = Place::new(json!({ "log_cap": "64m" })).await;
    let (_, handle) = place.launch(&["lines 300000 100"]).await;
    place.sleep(SECOND).await;
    let id = &handle.external_execution_id;
    for offset in [0_u64, 1, 99, 100, 8_191, 8_192, 1_234_567, 29_999_900, 29_999_999] {
        let query = LogQuery::after(LogCursor::new(format!("{id}@{offset}"))).with_max_bytes(1);
        let record = page(&place, &handle, query).await.records.remove(0);
        let line = format!("{:099}\n", offset / 100 + 1);
        let rest = usize::try_from(offset % 100).unwrap();
        assert_eq!(String::from_utf8_lossy(&record.bytes), line[rest..], "{offset}");
    }
    let end = page(&place, &handle, LogQuery::after(LogCursor::new(format!("{id}@30000000")))).await;
    assert_eq!((end.records, end.ended), (vec![], Some(LogCompleteness::Complete)));
    let beyond = LogQuery::after(LogCursor::new(format!("{id}@30000001")));
    assert_eq!(place.executor.get_logs(&handle, &beyond).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn the_cap_is_the_jobs_or_the_hosts() {
    let place = Place::new(json!({ "log_cap": 100 })).await;
    let mut small = template(&["bytes 1000", "eprint never kept"]);
    small.log_cap = ByteSize::from_bytes(10);
    for (template, kept) in [(template(&["bytes 1000"]), 100), (small, 10)] {
        let request = place.request_for(template).unwrap();
        let handle = place.executor.launch_job(&request).await.unwrap();
        place.sleep(SECOND).await;
        let page = page(&place, &handle, LogQuery::from_start()).await;
        let cap = ByteSize::from_bytes(kept).unwrap();
        assert_eq!((text(&page).len() as u64, page.ended), (kept, Some(LogCompleteness::Truncated { cap })));
        let summary = place.executor.harvest_job(&handle).await.unwrap().logs;
        assert_eq!((summary.stdout_bytes, summary.stderr_bytes), (kept, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_may_keep_logs_badly() {
    let place = Place::new(json!({ "without": ["binary-logs", "separate-streams", "log-timestamps"] })).await;
    let (_, handle) = place.launch(&["print ü", "eprint b", "random 1000 3"]).await;
    place.sleep(SECOND).await;
    let page = page(&place, &handle, LogQuery::from_start()).await;
    assert!(text(&page).starts_with("ü\nb\n") && text(&page).contains('?'));
    assert!(page.records.iter().all(|it| it.stream == LogStream::Stdout && it.timestamp.is_none()));
    assert!(page.records.iter().all(|it| std::str::from_utf8(&it.bytes).is_ok()));
    assert!(matches!(page.ended, Some(LogCompleteness::Lossy { .. })));
    let summary = place.executor.harvest_job(&handle).await.unwrap().logs;
    assert_eq!((summary.stdout_bytes, summary.stderr_bytes), (3 + 2 + 1000, 0));
}
