//! From a template to an end: run, read, cancelled, forgotten.

use axum::http::StatusCode;
use axum_service::Limits;
use serde_json::json;

use crate::support::{job, text, with_service};

#[tokio::test(start_paused = true)]
async fn a_job_is_taken_in_run_and_told_of() {
    with_service(Limits::default(), json!({}), async |service| {
        let answer = service.post(job(&["print hello", "eprint oops", "sleep 1h", "exit 3"])).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        let taken_in = answer.json().await;
        assert_eq!(taken_in["status"], "pending");
        assert_eq!(location, format!("/jobs/{}", taken_in["id"].as_str().unwrap()));

        assert_eq!(service.whole_output(&location).await, "hello\n");
        assert_eq!(service.get(&format!("{location}/logs?stream=stderr")).await.text().await, "oops\n");
        let report = service.report(&location).await;
        assert_eq!((&report["status"], &report["name"]), (&json!("failed"), &json!("job")));
        assert_eq!(report["termination"]["cause"], json!({ "exited": { "code": 3 } }));
        assert_eq!((&report["logs"], report.get("error")), (&json!("complete"), None));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn output_can_be_read_while_the_job_runs() {
    with_service(Limits::default(), json!({}), async |service| {
        let location = service.submit(&["print first", "sleep 1h", "print second"]).await;
        let (first, rest) = service.first_output(&location).await;
        assert_eq!(first, "first\n");
        assert_eq!(service.report(&location).await["status"], "running");
        assert_eq!(service.get(&format!("{location}/logs")).await.text().await, "first\n");
        assert_eq!(text(rest).await, "second\n");
        assert_eq!(service.report(&location).await["status"], "completed");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_running_job_is_asked_to_end() {
    with_service(Limits::default(), json!({}), async |service| {
        let location = service.submit(&["catch TERM 5 2s", "print ready", "forever"]).await;
        let (_, rest) = service.first_output(&location).await;
        let answer = service.delete(&location).await;
        assert_eq!((answer.status, &answer.json().await["status"]), (StatusCode::ACCEPTED, &json!("running")));

        text(rest).await;
        let report = service.report(&location).await;
        assert_eq!((&report["status"], &report["termination"]["cause"]), (&json!("cancelled"), &json!("cancelled")));
        assert_eq!(report["termination"]["exit_code"], 5, "it ended by itself, within its grace");
        assert_eq!(service.delete(&location).await.status, StatusCode::OK, "a job that has ended is fine");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn jobs_wait_for_their_turn() {
    let limits = Limits { running: 2, ..Limits::default() };
    with_service(limits, json!({}), async |service| {
        let endless = ["print up", "forever"];
        let running = [service.submit(&endless).await, service.submit(&endless).await];
        let waiting = [service.submit(&endless).await, service.submit(&["print my turn"]).await];
        for job in &running {
            assert_eq!(service.first_output(job).await.0, "up\n");
        }
        assert_eq!(service.provider.running().len(), 2);
        assert_eq!(service.report(&waiting[0]).await["status"], "pending");

        let answer = service.delete(&waiting[0]).await;
        assert_eq!((answer.status, &answer.json().await["status"]), (StatusCode::OK, &json!("cancelled")));
        service.delete(&running[0]).await;
        assert_eq!(service.whole_output(&waiting[1]).await, "my turn\n");
        assert_eq!(service.whole_output(&waiting[0]).await, "", "it was never started");
        assert_eq!(service.provider.calls("launch_job"), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_ends_are_forgotten_and_too_many_jobs_refused() {
    let limits = Limits { running: 1, remembered: 2, ..Limits::default() };
    with_service(limits, json!({}), async |service| {
        let ended = service.submit(&["print done"]).await;
        service.whole_output(&ended).await;
        let running = service.submit(&["forever"]).await;
        assert_eq!(service.report(&ended).await["status"], "completed", "there is room for both");
        service.submit(&["forever"]).await;
        assert_eq!(service.get(&ended).await.status, StatusCode::NOT_FOUND);
        let answer = service.post(job(&["exit 0"])).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.json().await["error"], "2 jobs are waiting or running; try later");
        assert_eq!(service.get(&running).await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn output_is_kept_up_to_the_limit_and_says_so() {
    let limits = Limits { log: "100".parse().unwrap(), ..Limits::default() };
    with_service(limits, json!({}), async |service| {
        let location = service.submit(&["bytes 1000", "exit 0"]).await;
        assert_eq!(service.whole_output(&location).await, "x".repeat(100));
        assert_eq!(service.report(&location).await["logs"], json!({ "truncated": { "cap": 100 } }));
    })
    .await;
}
