//! Statuses by name and by list, however far the answers are behind the truth.

use longshore_core::{Cause, ContainerExecutor, ExecutionHandle, ExecutionStatus};
use longshore_http::{Method, StatusCode};
use longshore_testkit::{Answer, Fault};
use std::time::Duration;

use crate::place::{EXECUTIONS, TASKS, Test};

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
async fn what_strangers_have_is_not_read_to_its_end() {
    let test = Test::start().await;
    let launches = (0..6).map(|_| test.launch(&["forever"]));
    let ours: Vec<ExecutionHandle> = futures::future::join_all(launches).await;
    // The newest come first, so that all of these stand before what is asked for.
    let launches = (0..30).map(|_| test.launch(&["forever"]));
    futures::future::join_all(launches).await;
    test.place.fake.set_trouble(|it| it.page_limit = Some(2));
    let before = test.place.fake.api().requests().len();
    let answers = test.executor.check_statuses(&ours).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(ExecutionStatus::is_live)), "{answers:?}");
    let asked = test.place.fake.api().requests().len() - before;
    assert!(asked <= 2 * ours.len(), "{asked} questions for {} statuses among 18 pages of strangers'", ours.len());
}

#[tokio::test]
async fn what_somebody_has_removed_is_not_found() {
    let test = Test::start().await;
    let (whole, part) = (test.launch(&["forever"]).await, test.launch(&["forever"]).await);
    assert!(test.place.fake.remove_job(&whole.token.to_string()));
    assert!(test.place.fake.remove_execution(&part.external_execution_id));
    assert_eq!(test.executor.check_status(&whole).await.expect("a status"), ExecutionStatus::NotFound);
    // Its job still tells of it, so that it might only be new: for so long it counts as pending, and never as ended.
    loop {
        match test.executor.check_status(&part).await.expect("a status") {
            ExecutionStatus::NotFound => break,
            ExecutionStatus::Pending => test.clock.sleep(Duration::from_secs(5)).await,
            other => panic!("nobody can tell: {other:?}"),
        }
    }
    test.executor.cleanup(&part).await.expect("its job is removed");
    assert_eq!(test.place.fake.jobs(), Vec::<String>::new());
}

#[tokio::test]
async fn an_end_that_no_task_tells_of_is_told_as_unknown() {
    let test = Test::start().await;
    let handle = test.launch(&["exit 3"]).await;
    let none = Answer::new(StatusCode::OK).body("{}");
    test.place.fake.api().inject(Fault::on(Method::GET, TASKS).always().answer_before(none));
    let end = test.end(&handle).await;
    assert_eq!((end.cause, end.exit_code, end.evidence.complete), (Cause::Unknown, None, false), "{end:?}");
    assert_eq!(end.evidence.facts["executionReason"], "NON_ZERO_EXIT_CODE");
    let late = end.finished_at.expect("the execution tells when");
    assert!(longshore_core::clock::since(test.clock.now(), late) >= Duration::from_secs(60), "the task was waited for");
}
