//! Bodies that are cut or stalled at an exact byte.

use longshore_testkit::{
    Fault,
    proxy::{Method, StatusCode},
};

use crate::{
    client::{piece, read_until_end},
    engine::{FLOOD_PIECE, FLOOD_PIECES},
    on_each_transport,
};

#[tokio::test]
async fn a_stream_is_cut_within_a_piece() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::GET, "/logs").cut_body_after(8));
        let feed = bench.engine.feed();
        let mut client = bench.client().await;
        let body = client.get("/logs").await.unwrap().into_body();
        feed.send("first\nsecond\n".into()).await.unwrap();
        assert_eq!(read_until_end(body).await, (b"first\nse".to_vec(), false));
        feed.closed().await;
        assert_eq!(fault.hits(), 1);
        assert!(!client.is_open().await);
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_cut_before_its_first_byte() {
    on_each_transport(async |bench| {
        bench.proxy.inject(Fault::on(Method::GET, "/logs").cut_body_after(0));
        let _feed = bench.engine.feed();
        let response = bench.client().await.get("/logs").await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(read_until_end(response.into_body()).await, (Vec::new(), false));
    })
    .await;
}

#[tokio::test]
async fn a_body_of_known_length_is_cut_too() {
    on_each_transport(async |bench| {
        bench.proxy.inject(Fault::on(Method::GET, "/version").cut_body_after(14));
        let response = bench.client().await.get("/version").await.unwrap();
        assert_eq!(read_until_end(response.into_body()).await, (br#"{"ApiVersion":"#.to_vec(), false));
    })
    .await;
}

#[tokio::test]
async fn every_byte_before_a_cut_arrives_however_many_there_are() {
    on_each_transport(async |bench| {
        let limit = 20_000_003;
        let fault = bench.proxy.inject(Fault::on(Method::GET, "/flood").cut_body_after(limit));
        let response = bench.client().await.get("/flood").await.unwrap();
        let (bytes, ended_well) = read_until_end(response.into_body()).await;
        assert_eq!((bytes.len() as u64, ended_well, fault.hits()), (limit, false, 1));
    })
    .await;
}

#[tokio::test]
async fn a_body_that_ends_before_the_cut_passes_whole() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::GET, "/version").cut_body_after(1000));
        let mut client = bench.client().await;
        let response = client.get("/version").await.unwrap();
        assert_eq!(read_until_end(response.into_body()).await, (br#"{"ApiVersion":"1.41"}"#.to_vec(), true));
        assert_eq!(fault.hits(), 0);
        assert!(client.is_open().await);
    })
    .await;
}

#[tokio::test]
async fn a_stalled_stream_goes_on_when_released() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::GET, "/logs").stall_body_after(8));
        let feed = bench.engine.feed();
        let mut client = bench.client().await;
        let mut body = client.get("/logs").await.unwrap().into_body();
        feed.send("first\nsecond\n".into()).await.unwrap();
        assert_eq!(piece(&mut body).await.unwrap(), "first\nse");
        fault.wait_hit().await;
        feed.send("third\n".into()).await.unwrap();
        assert!(futures::poll!(std::pin::pin!(piece(&mut body))).is_pending());

        fault.release();
        drop(feed);
        assert_eq!(read_until_end(body).await, (b"cond\nthird\n".to_vec(), true));
        assert!(client.is_open().await);
    })
    .await;
}

#[tokio::test]
async fn a_stall_is_felt_by_the_server() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::GET, "/flood").stall_body_after(1));
        let body = bench.client().await.get("/flood").await.unwrap().into_body();
        fault.wait_hit().await;
        for _ in 0..100 {
            assert!(bench.client().await.is_open().await);
        }
        assert!(bench.engine.flooded() < FLOOD_PIECES, "the whole stream was taken up by somebody");

        fault.release();
        let (bytes, ended_well) = read_until_end(body).await;
        assert_eq!((bytes.len() as u64, ended_well), (FLOOD_PIECES * FLOOD_PIECE as u64, true));
    })
    .await;
}

#[tokio::test]
async fn what_the_server_sent_before_it_broke_off_arrives() {
    on_each_transport(async |bench| {
        let response = bench.client().await.get("/broken").await.unwrap();
        assert_eq!(read_until_end(response.into_body()).await, (b"part".to_vec(), false));
    })
    .await;
}
