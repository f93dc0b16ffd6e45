//! What the network does: no name, no TLS, nobody, silence in the middle, answers that nobody can read.

use longshore_core::{Advice, ContainerExecutor, ErrorKind, ExecutionStatus, LaunchSearch};
use longshore_http::{Method, StatusCode};
use longshore_testkit::{Answer, Fault};

use crate::place::{EXECUTION, Test, create};

#[tokio::test]
async fn where_nobody_is_reached_nothing_is_launched_and_nothing_is_concluded() {
    let test = Test::start().await;
    let request = test.probe(&["print never"]);
    let without_tls = test.place.fake.endpoint().replace("http://", "https://");
    for endpoint in [test.place.fake.unreachable_endpoint(), without_tls, "https://nobody.invalid".to_owned()] {
        let away = test.place.at(&endpoint).expect("an executor");
        let error = away.launch_job(&request).await.expect_err("nobody");
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::Temporary), "{error}");
        assert!(error.to_string().contains(&endpoint), "{error}");
        assert_eq!(away.find_launch(&request).await.expect_err("nobody").kind(), ErrorKind::Unavailable);
    }
    assert_eq!(test.place.fake.jobs(), Vec::<String>::new());
}

#[tokio::test]
async fn a_half_open_connection_is_given_up_in_its_time() {
    let mut config_of = Test::start().await;
    let mut config = config_of.place.config();
    // Half a second of ours.
    config["request_timeout"] = "20s".into();
    config_of.executor = config_of.place.of(&config).expect("an executor");
    let test = config_of;
    test.executor.discover().await.expect("facts");
    let request = test.probe(&["print once"]);
    test.place.fake.api().inject(create().hang_after());
    let error = test.executor.launch_job(&request).await.expect_err("silence");
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Timeout, Advice::LookUpFirst), "{error}");
    let LaunchSearch::Found(handle) = test.executor.find_launch(&request).await.expect("an answer") else {
        panic!("it had its effect");
    };
    // A question may be asked again.
    test.place.fake.api().inject(Fault::on(Method::GET, EXECUTION).hang_before());
    test.executor.check_status(&handle).await.expect("a status");
    test.place.fake.api().inject(Fault::on(Method::GET, EXECUTION).stall_body_after(5));
    test.executor.check_status(&handle).await.expect("a status");
    assert_eq!((test.end(&handle).await.exit_code, test.started(&request)), (Some(0), 1));
}

#[tokio::test]
async fn a_question_is_asked_again_whatever_becomes_of_its_answer() {
    let test = Test::start().await;
    let handle = test.launch(&["forever"]).await;
    let get = || Fault::on(Method::GET, EXECUTION);
    let page = |status| Answer::html(status);
    let good = r#"{"name": "projects/p/locations/r/jobs/j/executions/e", "runningCount": 1"#;
    for fault in [
        get().answer_before(page(StatusCode::BAD_GATEWAY)),
        get().answer_before(page(StatusCode::OK)),
        get().answer_before(StatusCode::INTERNAL_SERVER_ERROR),
        get().answer_after(StatusCode::SERVICE_UNAVAILABLE),
        get().answer_before(Answer::new(StatusCode::OK).body(good)),
        get().answer_before(Answer::new(StatusCode::OK).body(format!("{good}}}")).truncated_to(30)),
        get().cut_body_after(20),
        get().reset_before(),
        get().reset_after(),
    ] {
        let hit = test.place.fake.api().inject(fault);
        let status = test.executor.check_status(&handle).await.expect("the second answer");
        assert!(matches!(status, ExecutionStatus::Running { .. } | ExecutionStatus::Pending), "{status:?}");
        assert_eq!(hit.hits(), 1);
    }
    test.place.fake.set_trouble(|it| it.unknown_fields = true);
    assert!(test.executor.check_status(&handle).await.expect("a status").is_live());
    // Who never answers well is not waited for without an end, and is no sign of an end.
    test.place.fake.api().inject(get().always().answer_before(page(StatusCode::BAD_GATEWAY)));
    let error = test.executor.check_status(&handle).await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("a page of HTML"), "{error}");
}
