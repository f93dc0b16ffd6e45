//! Credentials: where they come from, that they end, and what may not be done with them.

use longshore_cloudrun::CloudRunExecutor;
use longshore_core::{ContainerExecutor, ErrorKind};

use crate::place::Test;

/// An executor whose tokens come from the fake's own token server.
fn with_a_key(test: &Test) -> CloudRunExecutor {
    let path = test.place.state.path().join("key.json");
    std::fs::write(&path, test.place.fake.service_account_key().expect("a key")).expect("the folder is ours");
    let mut config = test.place.config();
    config["credentials"] = serde_json::json!({ "service_account_key": path });
    test.place.of(&config).expect("an executor")
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
    let executor = with_a_key(&test);
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
async fn a_token_that_ends_between_two_pages_is_replaced_without_a_word() {
    let test = Test::start().await;
    let executor = with_a_key(&test);
    executor.discover().await.expect("facts");
    let handle = test.launch(&["lines 40 20"]).await;
    test.end(&handle).await;
    // Each token is good for two calls: a log of six pages needs three of them.
    test.place.fake.set_trouble(|it| (it.calls_per_token, it.page_limit) = (Some(2), Some(7)));
    let harvest = executor.harvest_job(&handle).await.expect("a harvest");
    assert_eq!(harvest.logs.stdout_bytes, 800);
    assert!(!executor.check_status(&handle).await.expect("a status").is_live());
}

#[tokio::test]
async fn a_silent_token_server_is_lost_contact_and_no_refusal() {
    let test = Test::start().await;
    let executor = with_a_key(&test);
    test.place.fake.token_server().refuse_all().await;
    let error = executor.discover().await.expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    test.place.fake.token_server().restore().await.expect("the same port");
    executor.discover().await.expect("facts");
}
