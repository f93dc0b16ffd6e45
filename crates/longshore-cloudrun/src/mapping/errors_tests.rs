use super::*;
use longshore_core::Advice;
use longshore_http::{ErrorBody, StatusCode};
use serde_json::json;
use std::time::Duration;

const PLACE: Place<'_> = Place { project: "my-project", region: "europe-west1" };

fn error(status: u16, body: &Value, may_have_effect: bool, retry_after: Option<u64>) -> Error {
    let refusal = Refusal::new(
        StatusCode::from_u16(status).unwrap(),
        "POST /v2/jobs",
        ErrorBody::new(body.to_string().as_bytes()),
        retry_after.map(Duration::from_secs),
        may_have_effect,
    );
    explained(Failure::Refused(refusal), PLACE)
}

fn body(code: u16, status: &str, message: &str, details: &Value) -> Value {
    json!({ "error": { "code": code, "message": message, "status": status, "details": details } })
}

fn info(reason: &str, metadata: &Value) -> Value {
    json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata }])
}

/// The forms are those of <https://cloud.google.com/apis/design/errors>, the words as the services answer.
#[test]
#[expect(clippy::too_many_lines, reason = "one entry a refusal, and all in one table")]
fn each_refusal_has_its_kind_and_names_what_to_change() {
    let table = [
        (
            401,
            body(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials. Expected OAuth 2 access token.",
                &info("ACCESS_TOKEN_EXPIRED", &json!({})),
            ),
            ErrorKind::Unauthenticated,
            "executor_config.credentials",
        ),
        (
            403,
            body(
                403,
                "PERMISSION_DENIED",
                "Permission 'run.jobs.create' denied on resource 'projects/my-project/locations/europe-west1/jobs/x' (or resource may not exist).",
                &info("IAM_PERMISSION_DENIED", &json!({ "permission": "run.jobs.create" })),
            ),
            ErrorKind::PermissionDenied,
            "grant run.jobs.create",
        ),
        (
            403,
            body(
                403,
                "PERMISSION_DENIED",
                "Cloud Run Admin API has not been used in project my-project before or it is disabled.",
                &info("SERVICE_DISABLED", &json!({ "service": "run.googleapis.com" })),
            ),
            ErrorKind::PermissionDenied,
            "gcloud services enable run.googleapis.com",
        ),
        (
            403,
            body(
                403,
                "PERMISSION_DENIED",
                "Permission denied on 'locations/europe-west99' (or it may not exist).",
                &json!([]),
            ),
            ErrorKind::PermissionDenied,
            "region = \"europe-west1\"",
        ),
        (
            400,
            body(
                400,
                "INVALID_ARGUMENT",
                "template.template.containers[0].resources.limits.cpu: Invalid value specified for cpu. Must be equal to one of [.08-1], 1, 2, 4, 6, 8",
                &json!([]),
            ),
            ErrorKind::Invalid,
            "limits.cpu",
        ),
        (
            404,
            body(404, "NOT_FOUND", "Requested entity was not found.", &json!([])),
            ErrorKind::NotFound,
            "executor_config.project",
        ),
        (
            409,
            body(409, "ALREADY_EXISTS", "Resource 'ls-x' already exists.", &json!([])),
            ErrorKind::Conflict,
            "already exists",
        ),
        (
            409,
            body(
                409,
                "ABORTED",
                "Conflict for resource 'ls-x': version '1' was specified but current version is '2'.",
                &json!([]),
            ),
            ErrorKind::Unavailable,
            "Conflict for resource",
        ),
        (
            429,
            body(
                429,
                "RESOURCE_EXHAUSTED",
                "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute per region' of service 'run.googleapis.com'",
                &info("RATE_LIMIT_EXCEEDED", &json!({ "quota_limit_unit": "1/min/{project}/{region}" })),
            ),
            ErrorKind::RateLimited,
            "executor_config.quotas",
        ),
        (
            429,
            body(
                429,
                "RESOURCE_EXHAUSTED",
                "Quota exceeded for total allowable number of jobs per project per region (1000).",
                &json!([]),
            ),
            ErrorKind::Quota,
            "max_concurrent_jobs",
        ),
        (
            400,
            body(400, "FAILED_PRECONDITION", "Cannot cancel an execution that has already completed.", &json!([])),
            ErrorKind::Invalid,
            "completed",
        ),
        (502, json!("<html><title>Error 502 (Server Error)!!1</title>"), ErrorKind::Unavailable, "was refused"),
    ];
    for (status, body, kind, named) in table {
        let error = error(status, &body, false, None);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
        assert!(error.to_string().contains("my-project"), "{error}");
    }
}

#[test]
fn what_may_have_happened_is_looked_up_and_a_pause_is_heeded() {
    let unavailable = body(503, "UNAVAILABLE", "The service is currently unavailable.", &json!([]));
    assert_eq!(error(503, &unavailable, true, Some(3)).advice(), Advice::LookUpFirst);
    assert_eq!(error(503, &unavailable, false, Some(3)).advice(), Advice::After(Duration::from_secs(3)));
    let invalid = body(400, "INVALID_ARGUMENT", "no", &json!([]));
    assert_eq!(error(400, &invalid, false, Some(3)).advice(), Advice::Permanent);
}

#[test]
fn a_detail_that_is_no_word_is_not_repeated() {
    let odd = body(403, "PERMISSION_DENIED", "no", &info("\u{1b}[2Jboo", &json!({ "permission": "a b\nc" })));
    let text = error(403, &odd, false, None).to_string();
    assert!(!text.contains('\u{1b}') && !text.contains("boo") && !text.contains("a b"), "{text}");
}
