//! Whole connections: cut, refused, restored, ended with the proxy.

use std::{error::Error, io, net::SocketAddr};

use longshore_testkit::{Address, Fault, FaultProxy, proxy::Method};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::{
    client::{Client, piece, read_until_end},
    on_each_transport,
};

#[tokio::test]
async fn a_cut_closes_every_open_connection_and_welcomes_new_ones() {
    on_each_transport(async |bench| {
        let feed = bench.engine.feed();
        let (mut idle, mut reader) = (bench.client().await, bench.client().await);
        assert!(idle.is_open().await);
        let mut body = reader.get("/logs").await.unwrap().into_body();
        feed.send("first\n".into()).await.unwrap();
        assert!(piece(&mut body).await.is_some());

        bench.proxy.cut_all().await;
        feed.closed().await;
        assert_eq!(read_until_end(body).await, (Vec::new(), false));
        idle.closed().await;
        assert!(bench.client().await.is_open().await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_lasts_until_it_is_restored() {
    on_each_transport(async |bench| {
        let address = bench.proxy.address().clone();
        for _ in 0..3 {
            let mut client = bench.client().await;
            assert!(client.is_open().await);
            bench.proxy.refuse_all().await;
            bench.proxy.refuse_all().await;
            assert!(client.start().await.is_err());
            let refusal = Client::connect(&address).await.err().unwrap();
            assert_eq!(refusal.kind(), io::ErrorKind::ConnectionRefused);

            bench.proxy.restore().await.unwrap();
            bench.proxy.restore().await.unwrap();
            assert_eq!(bench.proxy.address(), &address);
            assert!(bench.client().await.is_open().await);
        }
        assert_eq!(bench.engine.effects(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_port_stays_the_proxys_own_while_it_refuses() {
    let proxy = FaultProxy::to_unix("/nowhere").listen_tcp().await.unwrap();
    proxy.refuse_all().await;
    let Address::Tcp(address) = *proxy.address() else { unreachable!("it listens on a port") };
    let other = TcpSocket::new_v4().unwrap().bind(address).unwrap_err();
    assert_eq!(other.kind(), io::ErrorKind::AddrInUse);
    proxy.restore().await.unwrap();
}

#[tokio::test]
async fn dropping_the_proxy_ends_everything() {
    on_each_transport(async |bench| {
        let fault = bench.proxy.inject(Fault::on(Method::POST, "/containers/*/start").hang_before());
        let answer = bench.client().await.starting();
        fault.wait_hit().await;
        let (proxy, folder) = (bench.proxy, bench.folder);
        let address = proxy.address().clone();

        drop(proxy);
        assert!(answer.await.unwrap().is_err());
        fault.wait_none_held().await;
        assert!(Client::connect(&address).await.is_err());
        assert!(!folder.path().join("proxy.sock").exists());
        assert_eq!(bench.engine.effects(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_gone_looks_gone() {
    on_each_transport(async |bench| {
        let folder = TempDir::new().unwrap();
        let nobody = folder.path().join("nobody.sock");
        let proxy = FaultProxy::to_unix(nobody).listen_tcp().await.unwrap();
        let mut client = Client::connect(proxy.address()).await.unwrap();
        assert!(client.get("/version").await.unwrap_err().is_incomplete_message());
        assert_eq!(proxy.count(Method::GET, "/version"), 1);
        drop(bench);
    })
    .await;
}

#[tokio::test]
async fn the_two_kinds_of_socket_can_be_mixed() {
    on_each_transport(async |bench| {
        let folder = TempDir::new().unwrap();
        let upstream = || FaultProxy::to(bench.engine.address().clone());
        let proxies = [upstream().listen_unix(folder.path()).await.unwrap(), upstream().listen_tcp().await.unwrap()];
        assert!(proxies[0].uri().starts_with("unix:///"));
        assert!(proxies[1].uri().starts_with("tcp://127.0.0.1:"));
        for proxy in proxies {
            assert!(Client::connect(proxy.address()).await.unwrap().is_open().await);
        }
    })
    .await;
}

#[tokio::test]
async fn a_taken_path_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], 1));
    let first = FaultProxy::to_tcp(server).listen_unix(folder.path()).await.unwrap();
    let error = FaultProxy::to_tcp(server).listen_unix(folder.path()).await.unwrap_err();
    let Address::Unix(path) = first.address() else { unreachable!("it listens on a unix socket") };
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.source().unwrap().to_string().contains("in use"), "{error:?}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_folder_that_was_removed_is_told_on_restore() {
    let folder = TempDir::new().unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], 1));
    let proxy = FaultProxy::to_tcp(server).listen_unix(folder.path()).await.unwrap();
    proxy.refuse_all().await;
    folder.close().unwrap();
    assert!(proxy.restore().await.unwrap_err().to_string().contains("proxy.sock"));
}
