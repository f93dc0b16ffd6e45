//! Answers and resets in the server's place, before the effect and after it.

use std::io;

use http_body_util::Full;
use hyper::Request;
use longshore_testkit::{
    Address, Answer, Fault, Rule,
    proxy::{Method, StatusCode, header},
};

use crate::{
    Bench,
    client::{io_error, read_until_end, text},
    on_each_transport,
};

const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

fn start() -> Rule {
    Fault::on(Method::POST, "/containers/*/start")
}

#[tokio::test]
async fn an_answer_before_keeps_the_request_from_the_server() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().answer_before((FAILED, "boom \"quoted\"")));
        let mut client = bench.client().await;
        assert_eq!(client.start().await.unwrap(), (FAILED, r#"{"message":"boom \"quoted\""}"#.to_owned()));
        assert_eq!((bench.engine.effects(), fault.hits()), (0, 1));

        assert_eq!(client.start().await.unwrap().0, StatusCode::NO_CONTENT);
        assert_eq!((bench.engine.effects(), fault.hits()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn an_answer_after_hides_the_effect() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().answer_after((FAILED, "boom")));
        let mut client = bench.client().await;
        assert_eq!(client.start().await.unwrap().0, FAILED);
        assert_eq!((bench.engine.effects(), fault.hits()), (1, 1));
        assert!(client.is_open().await);
    })
    .await;
}

#[tokio::test]
async fn an_answer_after_waits_for_an_effect_that_lasts_as_long_as_the_body() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::POST, "/pull").answer_after(FAILED));
        let feed = bench.engine.feed();
        let mut client = bench.client().await;
        let pulled = tokio::spawn(async move { client.send(Method::POST, "/pull").await });
        for _ in 0..3 {
            feed.send("pulling\n".into()).await.unwrap();
        }
        assert_eq!((pulled.is_finished(), fault.hits()), (false, 0));
        drop(feed);
        assert_eq!((pulled.await.unwrap().unwrap().status(), bench.engine.effects()), (FAILED, 1));
    })
    .await;
}

#[tokio::test]
async fn an_answer_may_carry_headers_and_leave_a_request_body_unused() {
    on_each_transport(async |bench| {
        let limited = Answer::new(StatusCode::TOO_MANY_REQUESTS).header(header::RETRY_AFTER, 2);
        bench.proxy.inject(Fault::on_any_method("/echo").answer_before(limited));
        let mut client = bench.client().await;
        let upload = Request::put("/echo").body(Full::from(vec![b'x'; 1_000_000])).unwrap();
        let response = client.request(upload).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(text(response).await, "");
        assert!(client.is_open().await);
    })
    .await;
}

#[tokio::test]
async fn an_answer_may_be_a_page() {
    on_each_transport(async |bench| {
        bench.proxy.inject(Fault::on(Method::GET, "/version").answer_after(Answer::html(StatusCode::BAD_GATEWAY)));
        let response = bench.client().await.get("/version").await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html");
        assert!(text(response).await.starts_with("<html>"));
    })
    .await;
}

#[tokio::test]
async fn a_truncated_answer_breaks_its_promise() {
    on_each_transport(async |bench| {
        let answer = Answer::message(StatusCode::OK, "a message that is cut").truncated_to(12);
        bench.proxy.inject(Fault::on(Method::GET, "/version").answer_before(answer));
        let response = bench.client().await.get("/version").await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "35");
        assert_eq!(read_until_end(response.into_body()).await, (br#"{"message":""#.to_vec(), false));
    })
    .await;
}

#[tokio::test]
async fn a_reset_before_keeps_the_request_from_the_server() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().reset_before());
        assert_reset(&bench).await;
        assert_eq!((bench.engine.effects(), fault.hits()), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn a_reset_after_hides_the_effect() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().reset_after());
        assert_reset(&bench).await;
        assert_eq!((bench.engine.effects(), fault.hits()), (1, 1));
    })
    .await;
}

async fn assert_reset(bench: &Bench) {
    let mut client = bench.client().await;
    let error = client.start().await.unwrap_err();
    match bench.proxy.address() {
        Address::Tcp(_) => assert_eq!(io_error(&error), Some(io::ErrorKind::ConnectionReset)),
        Address::Unix(_) => assert!(error.is_incomplete_message(), "{error:?}"),
    }
    assert!(!client.is_open().await);
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_was_told() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().skip(1).times(2).answer_before(FAILED));
        let mut client = bench.client().await;
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(client.start().await.unwrap().0);
        }
        assert_eq!(statuses, [StatusCode::NO_CONTENT, FAILED, FAILED, StatusCode::NO_CONTENT]);
        assert_eq!((bench.engine.effects(), fault.hits()), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn a_lasting_fault_ends_with_its_release() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(start().always().answer_before(FAILED));
        let mut client = bench.client().await;
        for _ in 0..3 {
            assert_eq!(client.start().await.unwrap().0, FAILED);
        }
        fault.release();
        assert_eq!(client.start().await.unwrap().0, StatusCode::NO_CONTENT);
        assert_eq!((bench.engine.effects(), fault.hits()), (1, 3));
    })
    .await;
}
