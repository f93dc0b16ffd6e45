//! A launch happens once, whatever becomes of its answer.

use longshore_core::{Advice, ContainerExecutor, ErrorKind, LaunchSearch, clock::later};
use longshore_http::{Method, StatusCode};
use longshore_testkit::{Answer, Fault, fakes::cloudrun::google_error};

use std::time::Duration;

use crate::place::{JOB, JOBS, Test, create};

#[tokio::test]
async fn a_creation_whose_answer_was_an_error_is_looked_up_and_runs_once() {
    let unavailable =
        || google_error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The service is currently unavailable.");
    let html = "<!DOCTYPE html><title>Error 502 (Server Error)!!1</title>";
    let faults = [
        (create().answer_before(unavailable()), false),
        (create().answer_after(unavailable()), true),
        (create().answer_after(Answer::new(StatusCode::BAD_GATEWAY).body(html)), true),
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

#[tokio::test]
async fn a_name_is_nobody_elses() {
    let test = Test::start().await;
    let request = test.probe(&["print ours"]);
    let handle = test.executor.launch_job(&request).await.expect("an execution");
    let mut theirs = request.clone();
    theirs.owner = "somebody-else".parse().expect("an owner");
    let error = test.executor.launch_job(&theirs).await.expect_err("taken");
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Conflict, Advice::Permanent), "{error}");
    assert_eq!(test.executor.find_launch(&theirs).await.expect_err("taken").kind(), ErrorKind::Conflict);
    // The same launch with other arguments is the one that came first.
    let mut other = request.clone();
    other.plan.template.args = vec!["exit 9".to_owned()];
    assert_eq!(test.executor.launch_job(&other).await.expect("the same execution"), handle);
    assert_eq!((test.end(&handle).await.exit_code, test.started(&request)), (Some(0), 1));
}

#[tokio::test]
async fn a_launch_that_waits_for_its_rate_is_not_sent_after_its_deadline() {
    let mut test = Test::start().await;
    let mut config = test.place.config();
    config["quotas"] = serde_json::json!({ "writes_per_minute": 2 });
    test.executor = test.place.of(&config).expect("an executor");
    test.executor.discover().await.expect("facts");
    test.launch(&["forever"]).await;
    let mut late = test.probe(&["print never"]);
    late.deadline = later(test.clock.now(), Duration::from_secs(20));
    let error = test.executor.launch_job(&late).await.expect_err("the next one may be sent in a minute");
    assert_eq!((error.kind(), error.advice()), (ErrorKind::RateLimited, Advice::Temporary), "{error}");
    assert_eq!(test.place.fake.api().count(Method::POST, JOBS), 1);
}
