//! The checked-in documents, and what is checked by them.

use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::*;
use crate::fakes::cloudrun::error::Refusal;

async fn body_of(refusal: Refusal) -> Value {
    let bytes = axum::body::to_bytes(refusal.into_response().into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn a_job() -> Value {
    json!({ "template": { "template": { "containers": [{ "image": "docker.io/a/b" }] } } })
}

/// What breaks a rule in a job that is otherwise well: its field and the rule.
async fn broken(change: impl FnOnce(&mut Value)) -> (String, String) {
    let mut job = a_job();
    change(&mut job);
    let refusal = request(&RUN, "GoogleCloudRunV2Job", "job", job).unwrap_err();
    let error = body_of(refusal).await["error"].clone();
    assert_eq!((&error["code"], &error["status"]), (&json!(400), &json!("INVALID_ARGUMENT")));
    let violation = &error["details"][0]["fieldViolations"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&violation["field"]), text(&violation["description"]))
}

#[test]
fn every_name_that_is_stated_in_words_is_in_a_document() {
    for schema in [&*RUN, &*LOGGING] {
        assert!(!schema.methods.is_empty() && !schema.messages.is_empty());
        let Stated { required, services_only, exactly_one, at_most_one, .. } = &schema.stated;
        for (name, fields) in [required, services_only, exactly_one, at_most_one].into_iter().flatten() {
            let known = RUN.messages.get(name).or_else(|| LOGGING.messages.get(name)).unwrap();
            assert!(fields.iter().all(|field| known.contains_key(field)), "{name}: {fields:?}");
        }
    }
}

#[test]
fn every_enum_that_has_numbers_has_one_for_each_value() {
    for (field, numbers) in &RUN.stated.enum_numbers {
        let kinds = RUN.messages.values().filter_map(|members| members.get(field));
        let known = kinds.filter_map(|member| if let Kind::Enum(names) = &member.kind { Some(names) } else { None });
        let known = known.into_iter().next().unwrap();
        assert_eq!(known.len(), numbers.len(), "{field}");
    }
}

#[test]
fn paths_find_their_methods() {
    let id = |http: &str, path: &str| find(&RUN, http, path).map(|found| (found.method.id.clone(), found.name));
    let job = "projects/p/locations/l/jobs/j";
    let methods = "run.projects.locations.jobs.";
    assert_eq!(
        id("POST", "/v2/projects/p/locations/l/jobs"),
        Some((format!("{methods}create"), "projects/p/locations/l".into()))
    );
    assert_eq!(id("POST", &format!("/v2/{job}:run")), Some((format!("{methods}run"), job.into())));
    assert_eq!(id("GET", &format!("/v2/{job}/executions")), Some((format!("{methods}executions.list"), job.into())));
    assert_eq!(id("PUT", &format!("/v2/{job}")), None);
    assert_eq!(id("GET", &format!("/v1/{job}")), None);
    assert_eq!(id("GET", "/v2/projects/p/locations/l/jobs/"), None);
    assert_eq!(find(&LOGGING, "POST", "/v2/entries:list").unwrap().name, "");
}

#[test]
fn what_is_the_providers_own_is_ignored() {
    let mut job = a_job();
    job["uid"] = json!("mine");
    job["conditions"] = json!("nonsense");
    job["etag"] = Value::Null;
    job["launchStage"] = json!(4);
    let kept = request(&RUN, "GoogleCloudRunV2Job", "job", job).unwrap();
    assert_eq!(kept.get("launchStage"), Some(&json!("GA")));
    assert_eq!(kept.len(), 2, "{kept:?}");
}

#[tokio::test]
async fn requests_are_refused_by_the_field_that_is_wrong() {
    let (field, rule) = broken(|job| job["template"]["taskcount"] = json!(1)).await;
    assert_eq!(field, "job.template");
    assert!(rule.contains("Unknown name \"taskcount\" at 'job.template'"), "{rule}");
    let (field, _) = broken(|job| job["template"]["taskCount"] = json!("1")).await;
    assert_eq!(field, "job.template.task_count");
    let (field, _) = broken(|job| job["template"]["template"]["timeout"] = json!("10m")).await;
    assert_eq!(field, "job.template.template.timeout");
    let (_, rule) = broken(|job| job["template"]["template"]["executionEnvironment"] = json!("GEN3")).await;
    assert!(rule.contains("\"GEN3\""), "{rule}");
    let (field, _) = broken(|job| job["template"]["template"]["containers"] = json!([{}])).await;
    assert_eq!(field, "job.template.template.containers[0].image");
    let (field, _) = broken(|job| job["labels"] = json!({ "a": 1 })).await;
    assert_eq!(field, "job.labels[a]");
    let (_, rule) = broken(|job| {
        job["startExecutionToken"] = json!("a");
        job["runExecutionToken"] = json!("b");
    })
    .await;
    assert!(rule.contains("At most one"), "{rule}");
}

#[test]
fn an_answer_of_the_fakes_own_is_checked_too() {
    assert!(answer(&RUN, "GoogleCloudRunV2Job", &json!({ "generation": "1", "reconciling": true })).is_ok());
    assert!(answer(&RUN, "GoogleCloudRunV2Job", &json!({ "generation": 1 })).is_err());
    assert!(answer(&RUN, "GoogleCloudRunV2Job", &json!({ "generatoin": "1" })).is_err());
}

#[test]
fn durations_are_read_to_the_nanosecond() {
    assert_eq!(duration("1.5s"), Some(std::time::Duration::from_millis(1_500)));
    assert_eq!(duration("600s"), Some(std::time::Duration::from_secs(600)));
    for wrong in ["", "s", "1", "1m", "-1s", "1.s1", "0.0000000001s", ".5s"] {
        assert_eq!(duration(wrong), None, "{wrong}");
    }
}
