//! The end of the service, and the beginning of the next one.

use axum_service::serve;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::{
    support::{World, in_time, job},
    wire::{ask, read_until},
};

#[tokio::test]
async fn what_runs_goes_on_running_and_the_next_service_takes_it_up() {
    in_time(async {
        let world = World::new(&json!({}));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, asked) = oneshot::channel();
        let serving = serve(listener, world.jobs().await, async move { asked.await.unwrap() });
        let client = async {
            let template = job(&["catch TERM 5", "print ready", "forever"]).to_string();
            let answer = read_until(&mut ask(address, "POST /jobs", &template).await, "no such words").await;
            assert!(answer.starts_with("HTTP/1.0 202"), "{answer}");
            let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
            let mut events = ask(address, &format!("GET {location}/events"), "").await;
            assert!(read_until(&mut events, "\"running\"").await.contains("event: job"));
            end.send(()).unwrap();
            // Whoever watches is let go.
            assert!(!read_until(&mut events, "no such words").await.contains("cancelled"));
            location
        };
        let (served, location) = tokio::join!(serving, client);
        served.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "it listens no more");
        assert_eq!(world.provider.running().len(), 1);

        let next = world.service().await;
        assert_eq!(next.report(&location).await["status"], "running");
        next.delete(&location).await;
        let report = next.becomes(&location, "cancelled").await;
        assert_eq!(report["termination"]["exit_code"], 5);
        assert_eq!(next.output(&location, "stdout").await, "ready\n");
        assert_eq!(world.provider.calls("launch_job"), 1);
        next.jobs.shut_down().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_about_to_end_takes_nothing_in() {
    in_time(async {
        let world = World::new(&json!({}));
        let service = world.service().await;
        service.jobs.close();
        let answer = service.post(job(&["exit 0"])).await;
        assert_eq!(answer.status, axum::http::StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.json().await["error"].as_str().unwrap().contains("about to end"));
        service.jobs.shut_down().await.unwrap();
    })
    .await;
}
