//! Each refusal has its kind, names what to change, and leaves nothing behind.

use longshore_core::{
    Advice, ContainerExecutor, Error, ErrorKind, ExecutionStatus, ImageSource, LabelKey, LabelValue, LaunchRequest,
    SecretBinding, Tmpfs,
};
use longshore_http::StatusCode;
use longshore_testkit::{
    fakes::cloudrun::{Options, google_error},
    kit::Harness,
};
use std::time::Duration;

use crate::place::{Test, create};

/// The kind of the refusal, and a word that its message must have.
pub(crate) async fn refused(test: &Test, request: &LaunchRequest, kind: ErrorKind, named: &str) -> Error {
    let error = test.executor.launch_job(request).await.expect_err("a refusal");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(named), "{named}: {error}");
    error
}

#[tokio::test]
async fn each_refusal_names_the_setting_and_leaves_nothing() {
    let test = Test::start().await;
    let request = test.probe(&["exit 0"]);
    test.place.fake.deny("run.jobs.create");
    refused(&test, &request, ErrorKind::PermissionDenied, "run.jobs.create").await;
    test.nothing_is_left(&request).await;
    test.place.fake.allow("run.jobs.create");

    for (image, named) in [(test.place.fake.missing_image(), "image"), (test.place.fake.denied_image(), "ermission")] {
        let mut template = test.place.missing_image();
        template.image = image.parse::<ImageSource>().expect("an image");
        let request = test.request(template).expect("a plan");
        refused(&test, &request, ErrorKind::ImageUnavailable, named).await;
        test.nothing_is_left(&request).await;
    }

    test.place.fake.add_secret("closed", b"s3cret");
    test.place.fake.deny_secret("closed");
    for secret in ["closed", "missing"] {
        let mut template = test.place.probe();
        let reference = format!("provider:{secret}").parse().expect("a reference");
        template.secrets.push(SecretBinding::env("S".parse().expect("a name"), reference));
        let request = test.request(template).expect("a plan");
        let error = refused(&test, &request, ErrorKind::SecretUnavailable, "ecret").await;
        assert!(!error.to_string().contains("s3cret"));
        test.nothing_is_left(&request).await;
    }
}

#[tokio::test]
async fn a_wrong_project_or_region_is_told_as_such() {
    let test = Test::start().await;
    for (project, region, kind, named) in [
        ("nobodys-project", "europe-west1", ErrorKind::PermissionDenied, "executor_config.project"),
        ("longshore-test", "mars-north1", ErrorKind::NotFound, "region = \"mars-north1\""),
    ] {
        let mut config = test.place.config();
        (config["project"], config["region"]) = (project.into(), region.into());
        let executor = test.place.of(&config).expect("an executor");
        let error = executor.discover().await.expect_err("no such place");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test]
async fn quotas_are_told_apart_by_what_helps() {
    let mut options = Options::default();
    options.limits.jobs = 1;
    let test = Test::with(options).await;
    test.launch(&["forever"]).await;
    let second = test.probe(&["exit 0"]);
    let error = refused(&test, &second, ErrorKind::Quota, "max_concurrent_jobs").await;
    assert_eq!((error.advice(), test.started(&second)), (Advice::Temporary, 0));

    let slow_down = google_error(
        StatusCode::TOO_MANY_REQUESTS,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute'",
    );
    let test = Test::start().await;
    let request = test.probe(&["exit 0"]);
    test.place.fake.api().inject(create().answer_before(slow_down));
    refused(&test, &request, ErrorKind::RateLimited, "executor_config.quotas").await;
    test.nothing_is_left(&request).await;
}

#[tokio::test]
async fn what_has_no_room_waits_and_can_be_stopped() {
    let test = Test::start().await;
    test.place.fake.set_trouble(|it| it.no_capacity = true);
    let handle = test.launch(&["print never"]).await;
    assert_eq!(test.executor.check_status(&handle).await.expect("a status"), ExecutionStatus::Pending);
    let stop = longshore_core::StopRequest::new(longshore_core::StopReason::TimedOut, Duration::ZERO);
    let end = test.executor.stop_job(&handle, &stop).await.expect("an end");
    assert_eq!((end.cause, end.started_at), (longshore_core::Cause::TimedOut, None));
    test.executor.cleanup(&handle).await.expect("nothing is left");
}

#[tokio::test]
async fn all_that_a_job_and_its_host_can_ask_for_is_taken() {
    let mut test = Test::start().await;
    let mut config = test.place.config();
    config["service_account"] = "jobs@longshore-test.iam.gserviceaccount.com".into();
    config["execution_environment"] = "gen2".into();
    let connector = "projects/longshore-test/locations/europe-west1/connectors/c";
    for vpc in [
        serde_json::json!({ "network": "n", "subnetwork": "s", "tags": ["t"], "egress": "all-traffic" }),
        serde_json::json!({ "connector": connector }),
    ] {
        config["vpc"] = vpc;
        test.executor = test.place.of(&config).expect("an executor");
        test.executor.discover().await.expect("facts");
        let mut template = test.place.probe();
        template.args = vec!["print all of it".to_owned()];
        template.resources.gpu = Some(longshore_core::GpuRequest::builder().count(std::num::NonZeroU32::MIN).build());
        template.tmpfs = vec![Tmpfs::new("/scratch", longshore_core::ByteSize::from_bytes(5 << 20))];
        template.working_directory = Some("/".to_owned());
        for (key, value) in [("team", "data"), ("Run.Googleapis.Com/x", "Ü"), ("run.googleapis.com/y", &"z".repeat(99))]
        {
            let value = LabelValue::new(value).expect("a value");
            template.labels.insert(LabelKey::new(key).expect("a key"), value);
        }
        let handle = test.executor.launch_job(&test.request(template).expect("a plan")).await.expect("an execution");
        assert_eq!((test.end(&handle).await.exit_code, test.log(&handle).await.as_str()), (Some(0), "all of it\n"));
    }
}

#[tokio::test]
async fn a_network_that_does_not_exist_is_told_and_nothing_is_left() {
    let mut test = Test::start().await;
    test.place.fake.remove_network("gone");
    let mut config = test.place.config();
    config["vpc"] = serde_json::json!({ "network": "gone" });
    test.executor = test.place.of(&config).expect("an executor");
    test.executor.discover().await.expect("facts");
    let request = test.probe(&["exit 0"]);
    refused(&test, &request, ErrorKind::Invalid, "gone").await;
    test.nothing_is_left(&request).await;
}
