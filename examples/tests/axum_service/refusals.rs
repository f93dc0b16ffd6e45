//! What the service does not do, and in which words it says so.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use crate::support::{job, with_service};

#[tokio::test]
async fn ids_are_ids() {
    with_service(json!({}), async |service, _| {
        for uri in ["/jobs/17", "/jobs/17/logs"] {
            let answer = service.get(uri).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
            let error = answer.json().await["error"].to_string();
            assert!(error.contains("job id") && error.contains("is a UUID such as"), "{error}");
        }
        assert_eq!(service.delete("/jobs/17").await.status, StatusCode::BAD_REQUEST);

        let unknown = "/jobs/019237a4-5c1e-7f00-8000-000000000001";
        for answer in [service.get(unknown).await, service.delete(unknown).await] {
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
            assert!(answer.json().await["error"].as_str().unwrap().contains("019237a4"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_bad_template_is_refused_by_field_and_rule() {
    let with = |field: &str, value: Value| {
        let mut template = job(&["exit 0"]);
        template[field] = value;
        template
    };
    let secret = json!([{ "name": "TOKEN", "reference": "file:/etc/shadow", "delivery": "env" }]);
    let credentials = json!({ "username": "me", "password": "env:HOME" });
    let cases = [
        (json!({ "name": "job" }), "image", "missing field"),
        (with("name", json!("a b")), "name", "use 1 to 128 letters"),
        (with("image", json!("A B")), "image", "lower-case letters"),
        (with("comand", json!(["ls"])), "comand", "unknown field"),
        (with("resources", json!({ "memory": "lots" })), "resources.memory", "512MiB"),
        (with("run_timeout", json!("0s")), "run_timeout", "above zero"),
        (with("working_directory", json!("tmp")), "working_directory", "absolute"),
        (with("network", json!("host")), "network", "network-host"),
        (with("secrets", secret), "secrets", "passes no secrets"),
        (with("registry_credentials", credentials), "registry_credentials", "passes no secrets"),
    ];
    with_service(json!({ "without": ["network-host"] }), async |service, world| {
        for (template, field, rule) in cases {
            let answer = service.post(&template).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{template}");
            let error = answer.json().await["error"].to_string();
            assert!(error.contains(field) && error.contains(rule), "{template}: {error}");
        }
        assert_eq!(world.provider.calls("launch_job"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_bad_request_is_refused() {
    with_service(json!({}), async |service, _| {
        assert_eq!(service.post("{").await.status, StatusCode::BAD_REQUEST);
        let untyped = Request::post("/jobs").body(Body::from(job(&[]).to_string())).unwrap();
        assert_eq!(service.call(untyped).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let location = service.submit(&["exit 0"]).await;
        for query in ["stream=both", "folow=true"] {
            assert_eq!(
                service.get(&format!("{location}/logs?{query}")).await.status,
                StatusCode::BAD_REQUEST,
                "{query}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_for_a_host_that_does_not_answer_waits_for_it() {
    with_service(json!({}), async |service, world| {
        world.provider.lose_contact();
        let location = service.submit(&["print again"]).await;
        assert_eq!(service.report(&location).await["status"], "pending");
        world.provider.restore_contact();
        service.becomes(&location, "completed").await;
        assert_eq!(service.output(&location, "stdout").await, "again\n");
    })
    .await;
}

#[tokio::test]
async fn a_job_that_can_not_be_launched_has_failed_and_says_why() {
    with_service(json!({ "images": { "missing": ["probe:*"] } }), async |service, _| {
        let location = service.submit(&["exit 0"]).await;
        let report = service.becomes(&location, "failed").await;
        assert_eq!(report.get("termination"), None);
        assert!(report["reason"].as_str().unwrap().contains("probe:1"), "{report}");
        assert_eq!(service.output(&location, "stdout").await, "");
    })
    .await;
}
