//! Requests and answers that are held for a while, or for good.

use std::time::Duration;

use longshore_testkit::{
    Fault, Rule,
    proxy::{Method, StatusCode},
};
use tokio::time::Instant;

use crate::{Bench, Transport, on_each_transport};

const HOUR: Duration = Duration::from_secs(3600);

fn start() -> Rule {
    Fault::on(Method::POST, "/containers/*/start")
}

#[tokio::test]
async fn a_hanging_request_is_forwarded_on_release() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().hang_before());
        let answer = bench.client().await.starting();
        fault.wait_hit().await;
        assert!(!answer.is_finished());
        assert_eq!(bench.engine.effects(), 0);

        fault.release();
        assert_eq!(answer.await.unwrap().unwrap().0, StatusCode::NO_CONTENT);
        assert_eq!(bench.engine.effects(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_hanging_request_with_it() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().always().hang_before());
        let answer = bench.client().await.starting();
        fault.wait_hit().await;
        answer.abort();
        fault.wait_none_held().await;

        fault.release();
        assert_eq!(bench.client().await.start().await.unwrap().0, StatusCode::NO_CONTENT);
        assert_eq!(bench.engine.effects(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_frozen_request_takes_effect_even_when_its_client_has_left() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().freeze());
        let answer = bench.client().await.starting();
        fault.wait_hit().await;
        answer.abort();
        bench.proxy.cut_all().await;
        assert_eq!(bench.engine.effects(), 0);

        fault.release();
        bench.engine.wait_effects(1).await;
    })
    .await;
}

#[tokio::test]
async fn a_frozen_request_is_answered_late_when_its_client_has_stayed() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().freeze());
        let answer = bench.client().await.starting();
        fault.wait_hit().await;
        fault.release();
        assert_eq!(answer.await.unwrap().unwrap().0, StatusCode::NO_CONTENT);
    })
    .await;
}

#[tokio::test]
async fn a_hanging_answer_comes_on_release() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().hang_after());
        let answer = bench.client().await.starting();
        fault.wait_hit().await;
        assert_eq!(bench.engine.effects(), 1);
        assert!(!answer.is_finished());

        fault.release();
        assert_eq!(answer.await.unwrap().unwrap().0, StatusCode::NO_CONTENT);
        assert_eq!(bench.engine.effects(), 1);
    })
    .await;
}

// Time is turned, so these two cost none: it leaps when everybody waits for it.

#[tokio::test(start_paused = true)]
async fn a_delay_before_holds_the_effect_back() {
    assert_delayed(start().delay_before(HOUR), 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_after_holds_the_answer_back() {
    assert_delayed(start().delay_after(HOUR), 1).await;
}

async fn assert_delayed(fault: Fault, effects_meanwhile: u64) {
    for transport in [Transport::Unix, Transport::Tcp] {
        let bench = Bench::new(transport).await;
        let fault = bench.proxy.inject(fault.clone());
        let mut client = bench.client().await;
        let begun = Instant::now();
        let observed = async {
            fault.wait_hit().await;
            bench.engine.effects()
        };
        let (answer, effects) = tokio::join!(client.start(), observed);
        assert_eq!((answer.unwrap().0, effects), (StatusCode::NO_CONTENT, effects_meanwhile));
        assert!(begun.elapsed() >= HOUR);
        assert_eq!(bench.engine.effects(), 1);
    }
}
