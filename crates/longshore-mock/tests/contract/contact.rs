//! Contact that is lost for a while.

use longshore_core::{ContainerExecutor, Error, ErrorKind, LogQuery, Progress, clock::since};
use serde_json::json;

use crate::support::{Place, SECOND, cancel};

/// The errors of every question that goes to the provider.
async fn errors(place: &Place) -> Vec<Error> {
    let request = place.request(&["exit 0"]);
    let token = request.token;
    let handle = longshore_core::ExecutionHandle::new(
        place.host.executor_type.clone(),
        place.host.name.clone(),
        token,
        1,
        "mock-1",
        serde_json::Value::Null,
    );
    let executor = place.executor.as_ref();
    let answers = [
        executor.discover().await.err(),
        executor.check_health().await.err(),
        executor.prepare(&request, Progress::ignored()).await.err(),
        executor.launch_job(&request).await.err(),
        executor.find_launch(&request).await.err(),
        executor.check_status(&handle).await.err(),
        executor.check_statuses(std::slice::from_ref(&handle)).await.pop().unwrap().err(),
        executor.stop_job(&handle, &cancel(SECOND)).await.err(),
        executor.get_logs(&handle, &LogQuery::from_start()).await.err(),
        executor.harvest_job(&handle).await.err(),
        executor.cleanup(&handle).await.err(),
        executor.list_owned(&request.owner).await.err(),
    ];
    answers.into_iter().flatten().filter(|error| error.kind() == ErrorKind::Unavailable).collect()
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_as_long_as_scripted() {
    let place = Place::new(json!({ "outages": [{ "from": "10s", "to": "20s" }] })).await;
    let made_at = place.now();
    for (seconds, lost) in [(0, 0), (9, 0), (10, 12), (19, 12), (20, 0)] {
        place.sleep(since(made_at + seconds * SECOND, place.now())).await;
        assert_eq!(errors(&place).await.len(), lost, "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_are_lost() {
    let place = Place::new(json!({})).await;
    place.provider.lose_calls(2);
    let lost = [place.executor.discover().await, place.executor.discover().await, place.executor.discover().await];
    assert_eq!(lost.map(|answer| answer.is_err()), [true, true, false]);
    assert_eq!(place.provider.calls("discover"), 4, "and one before");
}

#[tokio::test(start_paused = true)]
async fn every_call_takes_its_time() {
    let place = Place::new(json!({ "latency": "2s" })).await;
    let before = place.now();
    place.executor.check_health().await.unwrap();
    assert_eq!(place.now(), before + 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_that_contact_is_lost() {
    let place = Place::new(json!({})).await;
    let (_, handle) = place.launch(&["ignore TERM", "forever"]).await;
    let before = place.now();
    let query = LogQuery::from_start().waiting(3600 * SECOND);
    let stop = cancel(3600 * SECOND);
    let cutting = async {
        place.sleep(SECOND).await;
        place.provider.lose_contact();
    };
    let (page, stopped, ()) =
        tokio::join!(place.executor.get_logs(&handle, &query), place.executor.stop_job(&handle, &stop), cutting);
    assert_eq!(page.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(place.now(), before + SECOND);

    place.provider.restore_contact();
    assert!(place.status(&handle).await.is_live(), "lost contact changes nothing");
    place.executor.stop_job(&handle, &cancel(std::time::Duration::ZERO)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_link_is_nobody_elses_trouble() {
    let place = Place::new(json!({})).await;
    let (_, handle) = place.launch(&["forever"]).await;
    let cut = place.provider.another_link();
    cut.lose_contact();
    assert_eq!(place.attach(&cut).check_status(&handle).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(place.status(&handle).await.is_live());
    cut.restore_contact();
    assert!(place.attach(&cut).check_status(&handle).await.unwrap().is_live());
}
