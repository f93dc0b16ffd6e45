//! Launches that are refused or lost.

use longshore_core::JobStatus;
use serde_json::json;

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn a_refused_job_goes_to_the_next_host() {
    let refuses = json!({ "jobs": { "refuse": { "kind": "image-unavailable", "message": "no such image" } } });
    let stage = Stage::new([refuses.clone(), json!({})]);
    let dispatcher = stage.dispatch();
    for _ in 0..8 {
        let id = stage.submit(stage.job(&["exit 0"])).await;
        let job = stage.finished(id).await;
        assert_eq!((job.status, job.runs, job.host.unwrap().as_str()), (JobStatus::Completed, 1, "two"));
        assert!(job.attempts <= 2);
        stage.closed(id).await;
    }
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_every_host_refuses_fails_with_their_words() {
    let refuses = json!({ "jobs": { "refuse": { "kind": "image-unavailable", "message": "no such image" } } });
    let stage = Stage::new([refuses.clone(), refuses]);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["exit 0"])).await;
    let job = stage.finished(id).await;
    assert_eq!((job.status, job.attempts, job.runs), (JobStatus::Failed, 2, 0));
    assert!(job.reason.as_ref().unwrap().contains("no such image"), "{job:?}");
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_host_without_room_is_waited_for() {
    let stage = Stage::new([json!({ "jobs": { "refuse": { "kind": "capacity", "times": 3 } } })]);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["exit 0"])).await;
    let job = stage.finished(id).await;
    assert_eq!((job.status, job.attempts, job.runs), (JobStatus::Completed, 4, 1));
    stage.closed(id).await;
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn an_image_that_can_not_be_had_just_now_is_waited_for() {
    let later = json!({ "kind": "image-unavailable", "retry_after": "1s", "times": 3, "message": "502 Bad Gateway" });
    let stage = Stage::new([json!({ "jobs": { "refuse": later } })]);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["exit 0"])).await;
    let job = stage.finished(id).await;
    assert_eq!((job.status, job.attempts, job.runs), (JobStatus::Completed, 4, 1));
    dispatcher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_up() {
    for (loss, unprovable, expected) in [
        ("after-effect", false, JobStatus::Completed),
        ("before-effect", false, JobStatus::Completed),
        ("after-effect", true, JobStatus::Lost),
    ] {
        let stage = Stage::new([json!({
            "jobs": { "lose": { "loss": loss, "times": 1 }, "unprovable": unprovable },
        })]);
        let dispatcher = stage.dispatch();
        let id = stage.submit(stage.job(&["sleep 1s"])).await;
        let job = stage.finished(id).await;
        assert_eq!((job.status, job.attempts), (expected, 1), "{loss} {unprovable}");
        assert_eq!(stage.launches(id).await, 1, "{loss} {unprovable}");
        dispatcher.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_not_there_fails_with_the_shells_code() {
    let stage = Stage::new([json!({ "jobs": { "refuse": { "kind": "command-not-found" } } })]);
    let dispatcher = stage.dispatch();
    let id = stage.submit(stage.job(&["exit 0"])).await;
    let job = stage.finished(id).await;
    assert_eq!((job.status, job.exit_code, job.runs), (JobStatus::Failed, Some(127), 0));
    dispatcher.abort();
}
