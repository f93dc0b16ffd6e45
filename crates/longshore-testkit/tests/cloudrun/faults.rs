//! What a network and a front end do to requests, before and after their effect.

use hyper::Method;
use longshore_testkit::{
    Answer, Fault,
    fakes::cloudrun::google_error,
    proxy::{StatusCode, header},
    suite::Test,
    tests,
};
use serde_json::json;
use std::time::Duration;

use crate::client::Bench;

pub(crate) const TESTS: &[Test] = &tests![
    an_answer_is_lost_after_the_effect,
    a_request_is_lost_before_the_effect,
    errors_of_the_front_end_are_googles,
    bodies_are_pages_or_end_early,
    answers_hang_half_open,
    nobody_answers,
    executions_wait_for_capacity,
];

const JOBS: &str = "/v2/projects/*/locations/*/jobs";

async fn create(bench: &Bench) -> Option<u16> {
    let url = format!("{}/{}/jobs?jobId=a", bench.fake.endpoint(), bench.parent());
    let answer = bench.send(Method::POST, &url, Some(bench.job(&["exit 0"])), Some(&bench.fake.token())).await;
    answer.ok().map(|answer| answer.status.as_u16())
}

async fn an_answer_is_lost_after_the_effect() {
    let bench = Bench::start().await;
    bench.fake.api().inject(Fault::on(Method::POST, JOBS).reset_after());
    assert_eq!(create(&bench).await, None);
    assert_eq!(bench.fake.jobs(), ["a"]);
    let unavailable =
        google_error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The service is currently unavailable.");
    assert!(bench.fake.remove_job("a"));
    bench.fake.api().inject(Fault::on(Method::POST, JOBS).answer_after(unavailable));
    assert_eq!(create(&bench).await, Some(503));
    assert_eq!(bench.fake.jobs(), ["a"]);
}

async fn a_request_is_lost_before_the_effect() {
    let bench = Bench::start().await;
    bench.fake.api().inject(Fault::on(Method::POST, JOBS).reset_before());
    assert_eq!(create(&bench).await, None);
    assert!(bench.fake.jobs().is_empty());
    assert_eq!(create(&bench).await, Some(200));
    assert_eq!(bench.fake.api().count(Method::POST, JOBS), 2);
}

async fn errors_of_the_front_end_are_googles() {
    let bench = Bench::start().await;
    let exhausted = google_error(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", "Quota exceeded.");
    bench.fake.api().inject(Fault::on(Method::GET, JOBS).answer_before(exhausted.header(header::RETRY_AFTER, 7)));
    let answer = bench.get("jobs").await;
    answer.is_refusal(429, "RESOURCE_EXHAUSTED");
    assert_eq!(answer.headers["retry-after"], "7");
    bench.get("jobs").await.ok();
}

async fn bodies_are_pages_or_end_early() {
    let bench = Bench::start().await;
    bench.fake.api().inject(Fault::on(Method::GET, JOBS).answer_before(Answer::html(StatusCode::BAD_GATEWAY)));
    let page = bench.get("jobs").await;
    assert!(page.status == 502 && page.text.starts_with("<html>"), "{}", page.text);
    bench.post("jobs?jobId=a", bench.job(&[])).await.ok();
    bench.fake.api().inject(Fault::on(Method::GET, JOBS).cut_body_after(20));
    assert!(bench.get("jobs").await.text.starts_with("broken off"));
}

async fn answers_hang_half_open() {
    let bench = Bench::start().await;
    let hanging = bench.fake.api().inject(Fault::on(Method::GET, JOBS).hang_after());
    let answer = bench.get("jobs");
    tokio::pin!(answer);
    tokio::select! {
        early = &mut answer => panic!("it was answered: {early:?}"),
        () = hanging.wait_hit() => {}
    }
    hanging.release();
    answer.await.ok();
}

async fn nobody_answers() {
    let bench = Bench::start().await;
    let url = format!("{}/{}/jobs", bench.fake.unreachable_endpoint(), bench.parent());
    assert!(bench.send(Method::GET, &url, None, None).await.is_err());
    bench.fake.api().refuse_all().await;
    assert_eq!(create(&bench).await, None);
    bench.fake.api().restore().await.unwrap();
    assert_eq!(create(&bench).await, Some(200));
}

async fn executions_wait_for_capacity() {
    let bench = Bench::start().await;
    bench.fake.set_trouble(|trouble| trouble.no_capacity = true);
    let mut job = bench.job(&["exit 0"]);
    job["startExecutionToken"] = json!("a");
    bench.post("jobs?jobId=waits", job).await.ok();
    bench.pass(Duration::from_secs(120));
    let waiting = bench.get("jobs/waits/executions/waits-a").await.ok();
    assert!(waiting.get("startTime").is_none() && waiting.get("runningCount").is_none(), "{waiting}");
    bench.fake.set_trouble(|trouble| trouble.no_capacity = false);
    assert_eq!(bench.ended("waits", "waits-a").await["succeededCount"], 1);
}
