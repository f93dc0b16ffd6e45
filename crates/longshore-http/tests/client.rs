//! The client against a server that answers as it is told.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use longshore_core::{
    Advice, ErrorKind,
    clock::{later, since},
};
use longshore_http::{Failure, Idempotency, Rate, RateLimit, Retries, StatusCode};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use support::{Answer, Server};

#[tokio::test]
async fn an_idempotent_request_is_sent_again_and_any_other_is_not() {
    for (status, kind) in [(503, ErrorKind::Unavailable), (500, ErrorKind::Unavailable), (504, ErrorKind::Timeout)] {
        let server = Server::answering([Answer::status(status), Answer::json(&json!({ "good": true }))]).await;
        let answer: Value = server.client().get("/thing").json().await.expect("the second answer");
        assert_eq!((answer, server.asked()), (json!({ "good": true }), 2));

        let server = Server::answering([Answer::status(status), Answer::json(&json!({}))]).await;
        let error = server.client().post("/thing").json::<Value>().await.expect_err("the first answer").into_error();
        assert_eq!((error.kind(), error.advice(), server.asked()), (kind, Advice::LookUpFirst, 1), "{error}");

        let server = Server::answering([Answer::status(status), Answer::json(&json!({}))]).await;
        let client = server.client();
        client.post("/thing").idempotency(Idempotency::Idempotent).json::<Value>().await.expect("the second answer");
        assert_eq!(server.asked(), 2);
    }
}

#[tokio::test]
async fn a_refusal_that_will_not_pass_is_sent_once() {
    for status in [400, 403, 404, 409, 501] {
        let server = Server::answering([Answer::status(status), Answer::json(&json!({}))]).await;
        let failure = server.client().get("/thing").json::<Value>().await.expect_err("the first answer");
        assert_eq!((failure.status(), server.asked()), (StatusCode::from_u16(status).ok(), 1));
    }
}

#[tokio::test]
async fn too_many_requests_have_no_effect_and_wait_as_long_as_they_are_told() {
    let slow_down = || Answer::status(429).header("retry-after", "30");
    let server = Server::answering([slow_down(), Answer::json(&json!({}))]).await;
    let begun = server.clock.now();
    server.client().get("/thing").json::<Value>().await.expect("the second answer");
    assert!(since(server.clock.now(), begun) >= Duration::from_secs(30));

    let server = Server::answering([slow_down()]).await;
    let error = server.client().post("/thing").json::<Value>().await.expect_err("refused").into_error();
    let told = (error.kind(), error.advice());
    assert_eq!(told, (ErrorKind::RateLimited, Advice::After(Duration::from_secs(30))));

    let server = Server::answering([Answer::status(429).header("retry-after", "3600")]).await;
    let error = server.client().get("/thing").json::<Value>().await.expect_err("too long").into_error();
    assert_eq!((error.advice(), server.asked()), (Advice::After(Duration::from_secs(3600)), 1));
}

#[tokio::test]
async fn a_minute_s_quota_is_waited_for_also_where_nobody_says_how_long() {
    let server = Server::answering([429, 429, 429, 200].map(Answer::status).map(|answer| answer.with_body("{}"))).await;
    let client = server.builder().with_times(Duration::from_secs(120), Duration::from_secs(60)).build();
    let begun = server.clock.now();
    client.expect("a client").get("/thing").json::<Value>().await.expect("the fourth answer");
    let waited = since(server.clock.now(), begun);
    assert!(waited >= Duration::from_secs(35), "at least half of 10, 20 and 40 s: {waited:?}");
}

#[tokio::test]
async fn a_429_slows_down_all_who_share_the_limit() {
    let server = Server::answering([Answer::status(429).header("retry-after", "20"), Answer::json(&json!({}))]).await;
    let limit = Arc::new(RateLimit::new(Rate::per_minute(6000), Arc::clone(&server.clock)));
    let one = server.builder().limited_by(Arc::clone(&limit)).with_retries(Retries::none()).build().expect("a client");
    let other = server.builder().limited_by(limit).build().expect("a client");
    let begun = server.clock.now();
    one.get("/thing").json::<Value>().await.expect_err("refused");
    other.get("/thing").json::<Value>().await.expect("an answer");
    assert!(since(server.clock.now(), begun) >= Duration::from_secs(20));
}

#[tokio::test]
async fn nothing_is_sent_after_its_deadline() {
    let server = Server::answering([Answer::json(&json!({})), Answer::json(&json!({}))]).await;
    let limit = Arc::new(RateLimit::new(Rate::per_minute(2).with_burst(1), Arc::clone(&server.clock)));
    let client = server.builder().limited_by(limit).build().expect("a client");
    client.post("/thing").json::<Value>().await.expect("an answer");
    let soon = later(server.clock.now(), Duration::from_secs(30));
    let error = client.post("/thing").sent_before(soon).json::<Value>().await.expect_err("too late").into_error();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::RateLimited, Advice::Temporary), "{error}");
    let past = server.clock.now();
    let error = server.client().post("/thing").sent_before(past).json::<Value>().await.expect_err("past").into_error();
    assert_eq!((error.kind(), server.asked()), (ErrorKind::DeadlinePassed, 1), "{error}");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_whatever_the_request() {
    let server = Server::answering([Answer::status(401), Answer::json(&json!({}))]).await;
    server.authorized().post("/thing").json::<Value>().await.expect("the second answer");
    assert_eq!(server.tokens_seen(), ["Bearer token-0", "Bearer token-1"]);

    let server = Server::answering([Answer::status(401), Answer::status(401), Answer::json(&json!({}))]).await;
    let error = server.authorized().get("/thing").json::<Value>().await.expect_err("refused twice").into_error();
    assert_eq!((error.kind(), server.asked()), (ErrorKind::Unauthenticated, 2));
}

#[tokio::test]
async fn a_token_that_a_server_repeats_is_not_shown() {
    for body in
        [r#"{"error": {"message": "who is Bearer token-0?"}}"#, "<html><title>Bearer token-0</title>", "token-0"]
    {
        let server = Server::answering([Answer::status(403).with_body(body)]).await;
        let failure = server.authorized().get("/thing").json::<Value>().await.expect_err("refused");
        let shown = format!("{failure:?}") + &failure.into_error().to_string();
        assert!(shown.contains("[token]") && !shown.contains("token-0"), "{shown}");
    }
}

#[tokio::test]
async fn an_answer_that_can_not_be_read_is_no_answer() {
    let html = || Answer::text("text/html", "<!DOCTYPE html><title>Sign in</title>");
    for unreadable in [html(), Answer::text("application/json", "{\"cut"), Answer::text("application/json", "")] {
        let server = Server::answering([unreadable.clone(), Answer::json(&json!({}))]).await;
        server.client().get("/thing").json::<Value>().await.expect("the second answer");
        let server = Server::answering([unreadable]).await;
        let error = server.client().post("/thing").json::<Value>().await.expect_err("unreadable").into_error();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::LookUpFirst), "{error}");
    }
    let page = Answer::text("text/html", "<html><title>502 \u{1b}[2J</title>").with_status(403);
    let server = Server::answering([page]).await;
    let error = server.client().get("/thing").json::<Value>().await.expect_err("refused").into_error();
    assert!(error.to_string().contains("a page of HTML: 502") && !error.to_string().contains('\u{1b}'), "{error}");
}

#[tokio::test]
async fn an_answer_is_bounded_while_it_is_read() {
    let server = Server::answering([Answer::json(&json!({ "long": "x".repeat(5000) }))]).await;
    let failure = server.client().get("/thing").most_bytes(1000).json::<Value>().await.expect_err("too long");
    assert!(matches!(failure, Failure::TooLong(_)), "{failure:?}");
    assert!(server.asked() == 1 && failure.into_error().to_string().contains("at most 1000 bytes"));
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_given_up_and_asked_again() {
    let times = (Duration::from_secs(900), Duration::from_secs(50));
    let server = Server::answering([Answer::json(&json!({})).after_forever(), Answer::json(&json!({}))]).await;
    let client = server.builder().with_times(times.0, times.1).build().expect("a client");
    client.get("/thing").json::<Value>().await.expect("the second answer");
    let server = Server::answering([Answer::json(&json!({})).after_forever()]).await;
    let client = server.builder().with_times(times.0, times.1).build().expect("a client");
    let error = client.post("/thing").json::<Value>().await.expect_err("no answer").into_error();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Timeout, Advice::LookUpFirst), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_to_where_nobody_listens() {
    let client = support::nobody().await;
    for request in [client.get("/thing"), client.post("/thing")] {
        let error = request.json::<Value>().await.expect_err("nobody listens").into_error();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::Temporary), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_sent_without_a_name_or_tls() {
    let server = Server::answering([Answer::json(&json!({}))]).await;
    let without_tls = server.address().replace("http://", "https://");
    for address in ["https://nobody.invalid", &without_tls] {
        let client = support::client_of(address, &server.clock);
        let error = client.post("/thing").json::<Value>().await.expect_err("no connection").into_error();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::Temporary), "{error}");
        assert!(error.to_string().contains(address), "{error}");
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn a_connection_cut_after_the_request_leaves_its_effect_open() {
    let server = Server::answering([Answer::cut()]).await;
    let error = server.client().post("/thing").json::<Value>().await.expect_err("cut").into_error();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::LookUpFirst), "{error}");
    let server = Server::answering([Answer::cut(), Answer::json(&json!({}))]).await;
    server.client().get("/thing").json::<Value>().await.expect("the second answer");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let redirect = Answer::status(302).header("location", "/elsewhere");
    let server = Server::answering([redirect, Answer::json(&json!({}))]).await;
    let failure = server.authorized().get("/thing").json::<Value>().await.expect_err("a redirect");
    assert_eq!((failure.status(), server.asked()), (Some(StatusCode::FOUND), 1));
}

#[tokio::test]
async fn what_goes_over_the_wire_is_counted() {
    let server = Server::answering([Answer::json(&json!({ "a": 1 }))]).await;
    let client = server.client();
    client.post("/thing").query("q", "a b&c").body(&json!({ "b": 22 })).json::<Value>().await.expect("an answer");
    let traffic = client.traffic();
    assert_eq!((traffic.requests, traffic.sent, traffic.received), (1, 8, 7));
    assert_eq!(server.paths(), ["/thing?q=a+b%26c"]);
}
