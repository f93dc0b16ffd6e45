//! The end of the service.

use axum::http::StatusCode;
use axum_service::{Jobs, Limits, serve};
use longshore::{
    ExecutorContext,
    mock::{MockConfig, MockExecutor},
};
use serde_json::json;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::support::{host, job, with_service};

#[tokio::test(start_paused = true)]
async fn jobs_are_asked_to_end_and_new_ones_refused() {
    let limits = Limits { running: 1, ..Limits::default() };
    with_service(limits, json!({}), async |service| {
        let running = service.submit(&["catch TERM 0 5s", "print ready", "forever"]).await;
        let waiting = service.submit(&["print never"]).await;
        assert_eq!(service.first_output(&running).await.0, "ready\n");
        let asking = async {
            let answer = service.post(job(&["exit 0"])).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.json().await["error"].as_str().unwrap().contains("about to end"));
            assert_eq!(service.report(&running).await["status"], "running", "it still answers");
        };
        tokio::join!(service.jobs.shut_down(), asking);
        let report = service.report(&running).await;
        assert_eq!((&report["status"], &report["termination"]["exit_code"]), (&json!("cancelled"), &json!(0)));
        assert_eq!(service.report(&waiting).await["status"], "cancelled");
        assert_eq!(service.provider.executions(), []);
    })
    .await;
}

/// One request over a connection of its own, as HTTP/1.0, whose answer ends with the connection.
async fn ask(address: SocketAddr, request: &str, body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let headers = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    connection.write_all(format!("{request} HTTP/1.0\r\n{headers}\r\n\r\n{body}").as_bytes()).await.unwrap();
    connection
}

/// The answer up to the given words, or up to its end.
async fn read_until(connection: &mut TcpStream, words: &str) -> String {
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(words) && connection.read_buf(&mut answer).await.unwrap() > 0 {}
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_server_answers_until_the_last_job_has_ended() {
    let context = ExecutorContext::new("unused");
    let mock = MockExecutor::new(&host(), MockConfig::default(), &context);
    let provider = mock.provider().clone();
    let (jobs, worker) = Jobs::new(Arc::new(mock), "service".parse().unwrap(), context.clock, Limits::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, asked) = oneshot::channel();
    let serving = serve(listener, jobs, worker, async move { asked.await.unwrap() });

    let client = async {
        let template = job(&["catch TERM 0 1s", "print ready", "forever"]).to_string();
        let answer = read_until(&mut ask(address, "POST /jobs", &template).await, "no such words").await;
        assert!(answer.starts_with("HTTP/1.0 202"), "{answer}");
        let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
        let mut log = ask(address, &format!("GET {location}/logs?follow=true"), "").await;
        assert!(read_until(&mut log, "ready").await.ends_with("ready\n"));

        end.send(()).unwrap();
        let refused = async |template: &str| {
            let answer = read_until(&mut ask(address, "POST /jobs", template).await, "no such words").await;
            answer.starts_with("HTTP/1.0 503")
        };
        // The signal and the first of these are on their way at the same time.
        while !refused(&template).await {}
        assert_eq!(read_until(&mut log, "no such words").await, "");
    };
    let all = async { tokio::join!(serving, client) };
    let (served, ()) = tokio::time::timeout(Duration::from_secs(60), all).await.expect("the server does not end");
    served.unwrap();
    assert_eq!(provider.executions(), []);
    assert!(TcpStream::connect(address).await.is_err(), "it listens no more");
}
