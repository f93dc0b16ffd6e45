//! Connections that were upgraded, as attach and exec do.

use longshore_testkit::{
    Fault,
    proxy::{Method, StatusCode},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::on_each_transport;

#[tokio::test]
async fn an_upgraded_connection_passes_bytes_and_half_closes() {
    on_each_transport(async |bench| {
        let mut stream = bench.client().await.attached().await;
        let mut echo = [0; 5];
        for word in [b"first", b"other"] {
            stream.write_all(word).await.unwrap();
            stream.read_exact(&mut echo).await.unwrap();
            assert_eq!(&echo, word);
        }
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "bye");
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_can_be_denied_after_it_happened() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::POST, "/attach").answer_after(StatusCode::BAD_GATEWAY));
        let mut client = bench.client().await;
        assert_eq!(client.attach().await.unwrap().status(), StatusCode::BAD_GATEWAY);
        assert_eq!(fault.hits(), 1);
        assert_eq!(client.attach().await.unwrap().status(), StatusCode::SWITCHING_PROTOCOLS);
    })
    .await;
}

#[tokio::test]
async fn a_delayed_upgrade_still_upgrades() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::POST, "/attach").hang_before());
        let mut client = bench.client().await;
        let (mut stream, ()) = tokio::join!(client.attached(), async {
            fault.wait_hit().await;
            fault.release();
        });
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "bye");
    })
    .await;
}

#[tokio::test]
async fn an_upgraded_connection_is_cut_at_the_byte() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::POST, "/attach").cut_body_after(7));
        let mut stream = bench.client().await.attached().await;
        stream.write_all(b"0123456789").await.unwrap();
        let mut received = Vec::new();
        // The close may look like an end or like a reset; the bytes before it arrive either way.
        let _ = stream.read_to_end(&mut received).await;
        assert_eq!((received.as_slice(), fault.hits()), (b"0123456".as_slice(), 1));
    })
    .await;
}

#[tokio::test]
async fn an_upgraded_connection_is_stalled_until_released() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::POST, "/attach").stall_body_after(7));
        let mut stream = bench.client().await.attached().await;
        stream.write_all(b"0123456789").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut received = [0; 7];
        stream.read_exact(&mut received).await.unwrap();
        fault.wait_hit().await;
        assert!(futures::poll!(std::pin::pin!(stream.read_u8())).is_pending());

        fault.release();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "789bye");
    })
    .await;
}

#[tokio::test]
async fn an_upgraded_connection_is_cut_with_all_others() {
    on_each_transport(async |bench| {
        let mut stream = bench.client().await.attached().await;
        bench.proxy.cut_all().await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    })
    .await;
}
