//! From a template to an end: taken in, watched, read, cancelled.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use futures::StreamExt;
use serde_json::json;

use crate::support::{job, with_service};

#[tokio::test]
async fn a_job_is_taken_in_run_and_told_of() {
    with_service(json!({}), async |service, _| {
        let answer = service.post(job(&["print hello", "eprint oops", "exit 3"])).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        let taken_in = answer.json().await;
        assert_eq!(location, format!("/jobs/{}", taken_in["id"].as_str().unwrap()));

        let told: Vec<_> = service.events(&location).await.collect().await;
        let report = service.report(&location).await;
        assert_eq!(told.last(), Some(&report), "the last that is told is the end");
        assert_eq!((&report["status"], &report["name"]), (&json!("failed"), &json!("job")));
        assert_eq!(report["termination"]["cause"], json!({ "exited": { "code": 3 } }));
        assert_eq!(report["logs"], json!("complete"));
        assert_eq!(service.output(&location, "stdout").await, "hello\n");
        assert_eq!(service.output(&location, "stderr").await, "oops\n");
    })
    .await;
}

#[tokio::test]
async fn a_running_job_is_watched_and_asked_to_end() {
    with_service(json!({}), async |service, world| {
        let location = service.submit(&["catch TERM 5", "print ready", "forever"]).await;
        service.becomes(&location, "running").await;
        let unread = service.get(&format!("{location}/logs")).await;
        assert_eq!(unread.status, StatusCode::CONFLICT);
        assert!(unread.json().await["error"].as_str().unwrap().contains("has not ended yet"));

        assert_eq!(service.delete(&location).await.status, StatusCode::ACCEPTED);
        let report = service.becomes(&location, "cancelled").await;
        assert_eq!(
            (&report["termination"]["cause"], &report["termination"]["exit_code"]),
            (&json!("cancelled"), &json!(5))
        );
        assert_eq!(service.output(&location, "stdout").await, "ready\n");
        assert_eq!(service.delete(&location).await.status, StatusCode::OK, "a job that has ended is fine");
        assert_eq!(world.provider.calls("launch_job"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_sent_twice_with_one_key_is_one_job() {
    with_service(json!({}), async |service, world| {
        let post = async |script: &[&str]| {
            let request = Request::post("/jobs").header("content-type", "application/json");
            let request = request.header("idempotency-key", "order-17").body(Body::from(job(script).to_string()));
            service.call(request.unwrap()).await
        };
        let (first, again) = (post(&["exit 0"]).await, post(&["exit 0"]).await);
        assert_eq!((first.status, again.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
        assert_eq!(first.headers["location"], again.headers["location"]);
        assert_eq!(post(&["exit 1"]).await.status, StatusCode::CONFLICT, "another job with the same key");
        service.becomes(first.headers["location"].to_str().unwrap(), "completed").await;
        assert_eq!(world.provider.calls("launch_job"), 1);
    })
    .await;
}

#[tokio::test]
async fn output_is_kept_up_to_the_limit_and_says_so() {
    with_service(json!({}), async |service, _| {
        let location = service.submit(&["bytes 2000000", "exit 0"]).await;
        let report = service.becomes(&location, "completed").await;
        assert_eq!(report["logs"], json!({ "truncated": { "cap": 1 << 20 } }));
        assert_eq!(service.output(&location, "stdout").await.len(), 1 << 20);
    })
    .await;
}
