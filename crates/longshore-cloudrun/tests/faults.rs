//! What goes wrong between the executor and Cloud Run, injected on purpose into the fake.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/harness.rs"]
#[expect(dead_code, reason = "the kit uses all of it, and this test some")]
mod harness;

use harness::FakeHarness;
use longshore_cloudrun::CloudRunExecutor;
use longshore_core::{
    Advice, CheckedJob, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHandle, ExecutionStatus,
    JobTemplate, LaunchRequest, LaunchSearch, LogQuery, Owner, Result, Termination,
};
use longshore_http::{Method, StatusCode};
use longshore_testkit::{
    Fault,
    fakes::cloudrun::{Options, Trouble, google_error},
    kit::Harness,
};
use std::{sync::Arc, time::Duration};

const JOBS: &str = "/v2/projects/*/locations/*/jobs";
const JOB: &str = "/v2/projects/*/locations/*/jobs/*";
const EXECUTIONS: &str = "/v2/projects/*/locations/*/jobs/-/executions";
const LOG: &str = "/v2/entries:list";

struct Test {
    place: FakeHarness,
    executor: CloudRunExecutor,
    clock: Arc<dyn Clock>,
}

impl Test {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let place = FakeHarness::with(options).await.expect("a fake");
        let executor = place.at(&place.fake.endpoint()).expect("an executor");
        executor.discover().await.expect("facts");
        let clock = place.clock();
        Self { place, executor, clock }
    }

    fn request(&self, template: JobTemplate) -> Result<LaunchRequest> {
        let job = ContainerJob::new(template, self.clock.now());
        let plan = self.executor.plan(&CheckedJob::new(&job, &self.executor)?)?;
        Ok(LaunchRequest::new(&job, 1, plan, owner(), self.clock.now(), Duration::from_secs(3_000)))
    }

    fn probe(&self, script: &[&str]) -> LaunchRequest {
        let mut template = self.place.probe();
        template.args.extend(script.iter().map(|&line| line.to_owned()));
        self.request(template).expect("a plan")
    }

    async fn launch(&self, script: &[&str]) -> ExecutionHandle {
        self.executor.launch_job(&self.probe(script)).await.expect("an execution")
    }

    async fn end(&self, handle: &ExecutionHandle) -> Termination {
        loop {
            match self.executor.check_status(handle).await.expect("a status") {
                ExecutionStatus::Terminated(end) => return end,
                ExecutionStatus::NotFound => panic!("what was launched is there"),
                _ => self.clock.sleep(Duration::from_secs(1)).await,
            }
        }
    }

    async fn log(&self, handle: &ExecutionHandle) -> String {
        let (mut text, mut query) = (Vec::new(), LogQuery::from_start());
        loop {
            let page = self.executor.get_logs(handle, &query.waiting(Duration::from_secs(5))).await.expect("a page");
            page.records.iter().for_each(|record| text.extend_from_slice(&record.bytes));
            if page.ended.is_some() {
                return String::from_utf8(text).expect("text");
            }
            query = LogQuery::after(page.next);
        }
    }

    fn started(&self, request: &LaunchRequest) -> u32 {
        self.place.fake.starts(&request.token.to_string())
    }

    /// Requires that nothing is left of a launch that was refused.
    async fn nothing_is_left(&self, request: &LaunchRequest) {
        assert_eq!(self.executor.find_launch(request).await.expect("an answer"), LaunchSearch::Absent);
        assert_eq!((self.place.fake.jobs(), self.started(request)), (vec![], 0));
    }
}

fn owner() -> Owner {
    "faults".parse().expect("an owner")
}

fn create() -> longshore_testkit::Rule {
    Fault::on(Method::POST, JOBS)
}

#[tokio::test]
async fn a_creation_whose_answer_was_an_error_is_looked_up_and_runs_once() {
    let unavailable =
        || google_error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The service is currently unavailable.");
    let html = "<!DOCTYPE html><title>Error 502 (Server Error)!!1</title>";
    let faults = [
        (create().answer_before(unavailable()), false),
        (create().answer_after(unavailable()), true),
        (create().answer_after(longshore_testkit::Answer::new(StatusCode::BAD_GATEWAY).body(html)), true),
        (create().reset_before(), false),
        (create().reset_after(), true),
        (create().cut_body_after(10), true),
    ];
    for (fault, happened) in faults {
        let test = Test::start().await;
        let request = test.probe(&["print once"]);
        test.place.fake.api().inject(fault);
        match test.executor.launch_job(&request).await {
            Ok(handle) => assert_eq!(handle.token, request.token, "the answer itself is not relied on"),
            Err(error) => assert_eq!(error.advice(), Advice::LookUpFirst, "{error}"),
        }
        let handle = match test.executor.find_launch(&request).await.expect("an answer") {
            LaunchSearch::Found(handle) => handle,
            LaunchSearch::Absent => {
                assert!(!happened);
                test.executor.launch_job(&request).await.expect("the second launch")
            }
            other => panic!("a name proves it; found {other:?}"),
        };
        assert_eq!(test.end(&handle).await.exit_code, Some(0));
        assert_eq!((test.started(&request), test.log(&handle).await.as_str()), (1, "once\n"));
    }
}

#[tokio::test]
async fn what_goes_wrong_after_the_creation_is_looked_up() {
    let test = Test::start().await;
    let request = test.probe(&["print once"]);
    let unavailable = google_error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "Try again.");
    // As often as one question is asked.
    test.place.fake.api().inject(Fault::on(Method::GET, JOB).times(4).answer_before(unavailable));
    let error = test.executor.launch_job(&request).await.expect_err("nobody can look");
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::LookUpFirst), "{error}");
    let found = test.executor.find_launch(&request).await.expect("an answer");
    assert!(matches!(found, LaunchSearch::Found(_)), "{found:?}");
}

/// The kind of the refusal, and a word that its message must have.
async fn refused(test: &Test, request: &LaunchRequest, kind: ErrorKind, named: &str) -> Error {
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
        template.image = image.parse::<longshore_core::ImageSource>().expect("an image");
        let request = test.request(template).expect("a plan");
        refused(&test, &request, ErrorKind::ImageUnavailable, named).await;
        test.nothing_is_left(&request).await;
    }

    test.place.fake.add_secret("closed", b"s3cret");
    test.place.fake.deny_secret("closed");
    for secret in ["closed", "missing"] {
        let mut template = test.place.probe();
        let reference = format!("provider:{secret}").parse().expect("a reference");
        template.secrets.push(longshore_core::SecretBinding::env("S".parse().expect("a name"), reference));
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
async fn a_token_that_ends_in_the_middle_is_replaced() {
    let test = Test::start().await;
    let handle = test.launch(&["lines 50 20"]).await;
    test.place.fake.expire_tokens();
    let error = test.executor.check_status(&handle).await.expect_err("nobody has renewed the token");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert!(error.to_string().contains("executor_config.credentials"), "{error}");
    test.place.write_token().expect("a token");
    assert_eq!(test.end(&handle).await.exit_code, Some(0));
    assert_eq!(test.log(&handle).await.lines().count(), 50);
}

#[tokio::test]
async fn a_key_of_a_service_account_is_enough() {
    let test = Test::start().await;
    let path = test.place.state.path().join("key.json");
    std::fs::write(&path, test.place.fake.service_account_key().expect("a key")).expect("the folder is ours");
    let mut config = test.place.config();
    config["credentials"] = serde_json::json!({ "service_account_key": path });
    let executor = test.place.of(&config).expect("an executor");
    executor.discover().await.expect("facts");
    let health = executor.check_health().await.expect("findings");
    assert!(health.is_good(), "{health:?}");
    assert!(!format!("{executor:?}").contains("PRIVATE KEY"));
}

#[tokio::test]
async fn health_tells_credentials_permissions_and_reachability_apart() {
    let test = Test::start().await;
    assert!(test.executor.check_health().await.expect("findings").is_good());
    for (permission, subject) in
        [("run.jobs.create", "permission to launch"), ("logging.logEntries.list", "permission to read logs")]
    {
        test.place.fake.deny(permission);
        let health = test.executor.check_health().await.expect("findings");
        let bad: Vec<&str> = health.findings.iter().filter(|it| !it.good).map(|it| it.subject.as_str()).collect();
        assert_eq!(bad, [subject], "{health:?}");
        test.place.fake.allow(permission);
    }
    test.place.fake.deny("run.jobs.list");
    assert_eq!(test.executor.check_health().await.expect_err("denied").kind(), ErrorKind::PermissionDenied);
    test.place.fake.allow("run.jobs.list");
    test.place.fake.expire_tokens();
    assert_eq!(test.executor.check_health().await.expect_err("expired").kind(), ErrorKind::Unauthenticated);
    let away = test.place.at(&test.place.fake.unreachable_endpoint()).expect("an executor");
    assert_eq!(away.check_health().await.expect_err("nobody").kind(), ErrorKind::Unavailable);
    assert_eq!(test.place.fake.jobs(), Vec::<String>::new(), "a look leaves nothing");
}

#[tokio::test]
async fn what_is_new_may_be_missing_for_a_moment() {
    let test = Test::start().await;
    test.place.fake.set_trouble(|it| (it.get_lag, it.list_lag) = (Duration::from_secs(4), Duration::from_secs(4)));
    let request = test.probe(&["print seen", "exit 3"]);
    let handle = test.executor.launch_job(&request).await.expect("an execution");
    assert_eq!(test.end(&handle).await.exit_code, Some(3));
    assert_eq!((test.log(&handle).await.as_str(), test.started(&request)), ("seen\n", 1));
}

#[tokio::test]
async fn logs_are_whole_whatever_the_pages_do() {
    type Change = fn(&mut Trouble);
    let troubles: [(&str, Change); 6] = [
        ("late", |it| it.late_logs = Duration::from_secs(6)),
        ("out of order", |it| it.logs_out_of_order = Duration::from_secs(5)),
        ("of one moment", |it| it.same_log_timestamps = true),
        ("doubled", |it| (it.duplicate_log_entries, it.page_limit) = (true, Some(7))),
        ("empty pages", |it| (it.empty_log_pages, it.page_limit) = (3, Some(7))),
        ("unknown fields", |it| it.unknown_fields = true),
    ];
    for (name, trouble) in troubles {
        let test = Test::start().await;
        test.place.fake.set_trouble(trouble);
        let handle = test.launch(&["lines 40 30", "sleep 2s", "lines 40 30"]).await;
        let reading = test.log(&handle).await;
        let numbers: Vec<&str> = reading.lines().collect();
        assert_eq!(numbers.len(), 80, "{name}");
        assert_eq!(numbers[..40], numbers[40..], "{name}");
        assert!(numbers[..40].is_sorted(), "{name}");
        let harvest = test.executor.harvest_job(&handle).await.expect("a harvest");
        assert_eq!(harvest.logs.stdout_bytes, reading.len() as u64, "{name}");
    }
}

#[tokio::test]
async fn many_statuses_are_one_list_also_when_its_pages_shift() {
    let test = Test::start().await;
    let launches = (0..30).map(|_| test.launch(&["forever"]));
    let handles: Vec<ExecutionHandle> = futures::future::join_all(launches).await;
    let before = test.place.fake.api().count(Method::GET, EXECUTIONS);
    let answers = test.executor.check_statuses(&handles).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(ExecutionStatus::is_live)));
    assert_eq!(test.place.fake.api().count(Method::GET, EXECUTIONS), before + 1);

    test.place.fake.set_trouble(|it| (it.page_limit, it.shifting_pages) = (Some(7), true));
    let all = handles.iter().map(|handle| test.executor.check_status(handle));
    let answers = futures::future::join_all(all).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(ExecutionStatus::is_live)), "{answers:?}");
}

#[tokio::test]
async fn many_logs_are_few_reads() {
    let test = Test::start().await;
    let launches = (0..20).map(|_| test.launch(&["print one of many"]));
    let handles: Vec<ExecutionHandle> = futures::future::join_all(launches).await;
    let logs = futures::future::join_all(handles.iter().map(|handle| test.log(handle))).await;
    assert!(logs.iter().all(|log| log == "one of many\n"), "{logs:?}");
    for handle in &handles {
        test.executor.harvest_job(handle).await.expect("a harvest");
    }
    let reads = test.place.fake.logging().count(Method::POST, LOG);
    assert!(reads <= 40, "20 logs, followed and harvested, took {reads} reads");
}

#[tokio::test]
async fn a_large_log_is_read_once_also_when_it_is_harvested() {
    let test = Test::start().await;
    let handle = test.launch(&["lines 10000 60"]).await;
    test.end(&handle).await;
    let log = test.log(&handle).await;
    assert_eq!(log.lines().count(), 10_000);
    let harvest = test.executor.harvest_job(&handle).await.expect("a harvest");
    assert_eq!(harvest.logs.stdout_bytes, log.len() as u64);
    let reads = test.place.fake.logging().count(Method::POST, LOG);
    assert!(reads <= 14, "ten pages of a thousand entries took {reads} reads");
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
