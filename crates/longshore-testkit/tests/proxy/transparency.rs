//! Without a fault, a client can't tell the proxy from the server.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use longshore_testkit::{
    RecordedRequest,
    proxy::{Method, StatusCode, header},
};

use crate::{
    client::{piece, text},
    on_each_transport,
};

#[tokio::test]
async fn requests_pass_over_one_kept_connection() {
    on_each_transport(async |bench| {
        let mut client = bench.client().await;
        let response = client.get("/version").await.unwrap();
        assert_eq!(response.headers()["api-version"], "1.41");
        assert_eq!(text(response).await, r#"{"ApiVersion":"1.41"}"#);
        assert_eq!(client.start().await.unwrap().0, StatusCode::NO_CONTENT);
        assert_eq!(client.get("/nowhere").await.unwrap().status(), StatusCode::NOT_FOUND);
        assert_eq!(bench.engine.effects(), 1);
    })
    .await;
}

#[tokio::test]
async fn bodies_and_headers_pass_both_ways() {
    on_each_transport(async |bench| {
        let mut client = bench.client().await;
        let sent = Bytes::from(vec![b'x'; 3_000_000]);
        let request = Request::put("/echo").header("x-custom", "kept").body(Full::new(sent.clone())).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.headers()["x-custom"], "kept");
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "3000000");
        assert_eq!(text(response).await.as_bytes(), sent);
    })
    .await;
}

#[tokio::test]
async fn the_answer_to_a_head_request_gains_no_body() {
    on_each_transport(async |bench| {
        let mut client = bench.client().await;
        let response = client.send(Method::HEAD, "/archive").await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "1234");
        assert_eq!(response.headers()["x-stat"], "abc");
        let response = client.send(Method::HEAD, "/bare").await.unwrap();
        assert!(!response.headers().contains_key(header::TRANSFER_ENCODING), "{:?}", response.headers());
        assert!(client.is_open().await);
    })
    .await;
}

#[tokio::test]
async fn a_stream_passes_piece_by_piece_while_the_server_holds_the_rest() {
    on_each_transport(async |bench| {
        let feed = bench.engine.feed();
        let mut client = bench.client().await;
        let mut body = client.get("/logs?follow=1").await.unwrap().into_body();
        for line in ["first\n", "second\n", "third, unfinished"] {
            feed.send(line.into()).await.unwrap();
            assert_eq!(piece(&mut body).await.unwrap(), line);
        }
        drop(feed);
        assert_eq!(piece(&mut body).await, None);
        assert!(client.is_open().await);
    })
    .await;
}

#[tokio::test]
async fn the_server_learns_that_a_reader_has_left() {
    on_each_transport(async |bench| {
        let feed = bench.engine.feed();
        let mut client = bench.client().await;
        let mut body = client.get("/logs").await.unwrap().into_body();
        feed.send("first\n".into()).await.unwrap();
        assert!(piece(&mut body).await.is_some());
        drop((body, client));
        feed.closed().await;
    })
    .await;
}

#[tokio::test]
async fn every_request_is_recorded_as_it_came() {
    on_each_transport(async |bench| {
        let mut client = bench.client().await;
        client.start().await.unwrap();
        client.get("/version?full=1").await.unwrap();
        bench.proxy.wait_count(Method::GET, "/version", 1).await;
        assert_eq!(bench.proxy.count(Method::POST, "/containers/*/start"), 1);
        assert_eq!(bench.proxy.count(Method::GET, "/containers/*/start"), 0);
        assert_eq!(bench.proxy.count(Method::GET, "/version?full=1"), 1);
        let recorded = |method, path: &str| RecordedRequest { method, path_and_query: path.to_owned() };
        let expected =
            [recorded(Method::POST, "/v1.41/containers/one/start"), recorded(Method::GET, "/version?full=1")];
        assert_eq!(bench.proxy.requests(), expected);
    })
    .await;
}
