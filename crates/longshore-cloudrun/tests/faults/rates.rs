//! Too many requests: with and without a time to come again, by our own doing and by somebody else's.

use longshore_core::{ContainerExecutor, ExecutionStatus, clock::since};
use longshore_http::{Method, StatusCode};
use longshore_testkit::{
    Fault,
    fakes::cloudrun::{Options, google_error},
};
use std::time::Duration;

use crate::place::{EXECUTION, LOG, Test};

fn slow_down() -> longshore_testkit::Answer {
    google_error(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Read requests'")
}

#[tokio::test]
async fn a_question_that_comes_too_early_is_asked_again_in_time() {
    let test = Test::start().await;
    let handle = test.launch(&["forever"]).await;
    let after = |seconds: &'static str| {
        slow_down().header(reqwest::header::RETRY_AFTER, reqwest::header::HeaderValue::from_static(seconds))
    };
    for (answer, pause) in [(after("40"), 40), (slow_down(), 5)] {
        let refused = test.place.fake.api().inject(Fault::on(Method::GET, EXECUTION).answer_before(answer));
        let begun = test.clock.now();
        let status = test.executor.check_status(&handle).await.expect("the second answer");
        assert!(status.is_live() && refused.hits() == 1, "{status:?}");
        assert!(since(test.clock.now(), begun) >= Duration::from_secs(pause));
    }
}

#[tokio::test]
async fn our_own_rate_keeps_to_the_quota_of_reads() {
    let mut options = Options::default();
    options.limits.reads_per_minute = Some(30);
    let mut test = Test::with(options).await;
    let mut config = test.place.config();
    config["quotas"] = serde_json::json!({ "reads_per_minute": 30 });
    // Another minute: what the first executor asked is counted too.
    test.clock.sleep(Duration::from_secs(60)).await;
    test.executor = test.place.of(&config).expect("an executor");
    test.executor.discover().await.expect("facts");
    let handle = test.launch(&["forever"]).await;
    for _ in 0..45 {
        assert!(test.executor.check_status(&handle).await.expect("a status").is_live());
    }
    let (run, _) = test.executor.traffic();
    assert!(run.requests >= 47 && run.limited == 0, "{run:?}");
}

#[tokio::test]
async fn a_quota_that_others_use_up_is_waited_for() {
    let test = Test::start().await;
    let handle = test.launch(&["lines 30 20"]).await;
    test.end(&handle).await;
    let refused = test.place.fake.logging().inject(Fault::on(Method::POST, LOG).times(3).answer_before(slow_down()));
    let log = test.log(&handle).await;
    assert_eq!((log.lines().count(), refused.hits()), (30, 3));
    let status = test.executor.check_status(&handle).await.expect("a status");
    assert!(matches!(status, ExecutionStatus::Terminated(_)), "the Admin API has a quota of its own: {status:?}");
}
