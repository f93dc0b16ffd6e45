//! Launches that are refused, lost, late or doubled.

use longshore_core::{
    Advice, Cause, ContainerExecutor, Error, ErrorKind, ExecutionStatus, JobStatus, LaunchRequest, LaunchSearch,
    LaunchToken, Launched, Patience, StopReason, launch_once,
};
use longshore_mock::Loss;
use serde_json::json;

use crate::support::{Place, SECOND, cancel, template};

#[tokio::test(start_paused = true)]
async fn the_first_launches_of_each_job_are_refused_as_scripted() {
    let refusal = json!({ "kind": "capacity", "times": 2, "retry_after": "30s", "message": "no room" });
    let place = Place::new(json!({ "rules": [{ "job": "jo*", "then": { "refuse": refusal } }] })).await;
    let (first, second) = (place.request(&["exit 0"]), place.request(&["exit 0"]));
    for request in [&first, &second, &first, &second] {
        let error = place.executor.launch_job(request).await.unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Capacity, Advice::After(30 * SECOND)));
        assert_eq!((error.message(), error.operation()), ("no room", Some("launch_job")));
    }
    assert_eq!(place.provider.launches(&first.token), 0);
    place.executor.launch_job(&first).await.unwrap();
    let mut other = template(&["exit 0"]);
    other.name = "other".parse().unwrap();
    place.executor.launch_job(&place.request_for(other).unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_stays_and_a_job_may_script_its_own() {
    let place = Place::new(json!({ "jobs": { "refuse": { "kind": "quota" } } })).await;
    let request = place.request(&["exit 0"]);
    for _ in 0..5 {
        assert_eq!(place.executor.launch_job(&request).await.unwrap_err().kind(), ErrorKind::Quota);
    }
    let mut own = template(&["exit 0"]);
    own.executor_options.insert("mock".parse().unwrap(), json!({ "refuse": { "kind": "permission-denied" } }));
    let error = place.executor.launch_job(&place.request_for(own).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_of_any_kind_with_the_advice_that_goes_with_it() {
    let kinds = schemars::schema_for!(ErrorKind).to_value();
    let kinds: Vec<&str> =
        kinds["oneOf"].as_array().unwrap().iter().map(|kind| kind["const"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"capacity") && kinds.contains(&"unexpected"), "{kinds:?}");
    for name in kinds {
        let place = Place::new(json!({ "jobs": { "refuse": { "kind": name, "times": 1 } } })).await;
        let kind: ErrorKind = serde_json::from_value(name.into()).unwrap();
        let request = place.request(&["exit 0"]);
        let error = place.executor.launch_job(&request).await.unwrap_err();
        assert_eq!((error.kind(), error.advice()), (kind, Error::new(kind, "").advice()));
        assert_eq!(place.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
        place.executor.launch_job(&request).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_may_be_for_some_attempts() {
    let place = Place::new(json!({ "rules": [{ "attempts": [1], "then": { "refuse": { "kind": "quota" } } }] })).await;
    let mut request = place.request(&["exit 0"]);
    assert!(place.executor.launch_job(&request).await.is_err());
    request.token = LaunchToken::new(request.token.job(), 2);
    place.executor.launch_job(&request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_launch_is_looked_up_and_sent_once() {
    for (loss, effects) in [("before-effect", 0), ("after-effect", 1)] {
        let place = Place::new(json!({ "jobs": { "lose": { "loss": loss, "times": 1 } } })).await;
        let request = place.request(&["exit 0"]);
        let error = place.executor.launch_job(&request).await.unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::LookUpFirst));
        assert_eq!(place.provider.launches(&request.token), effects);
        let found = place.executor.find_launch(&request).await.unwrap();
        assert_eq!(matches!(found, LaunchSearch::Found(_)), effects == 1, "{found:?}");
        assert_eq!(found == LaunchSearch::Absent, effects == 0);
        let clock = place.context.clock.as_ref();
        let launched = launch_once(place.executor.as_ref(), &request, clock, &Patience::default()).await.unwrap();
        assert!(matches!(launched, Launched::Started(_)), "{launched:?}");
        assert_eq!(place.provider.launches(&request.token), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_launch_is_lost_over_one_link_alone() {
    let place = Place::new(json!({})).await;
    let lossy = place.provider.another_link();
    lossy.lose_launch(Loss::AfterEffect);
    let request = place.request(&["exit 0"]);
    assert_eq!(place.attach(&lossy).launch_job(&request).await.unwrap_err().advice(), Advice::LookUpFirst);
    assert_eq!(place.provider.launches(&request.token), 1);
    place.attach(&lossy).launch_job(&request).await.unwrap();
    place.executor.launch_job(&request).await.unwrap();
    assert_eq!(place.provider.launches(&request.token), 1);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_proven_is_not_sent_again() {
    let script = json!({ "unprovable": true, "lose": { "loss": "after-effect" } });
    let place = Place::new(json!({ "jobs": script })).await;
    let request = place.request(&["exit 0"]);
    let clock = place.context.clock.as_ref();
    let launched = launch_once(place.executor.as_ref(), &request, clock, &Patience::default()).await.unwrap();
    assert!(matches!(launched, Launched::Unprovable { .. }), "{launched:?}");
    assert_eq!(place.provider.launches(&request.token), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_launched_and_is_gone_is_not_called_absent() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["exit 0"]).await;
    place.sleep(SECOND).await;
    place.executor.cleanup(&handle).await.unwrap();
    let found = place.executor.find_launch(&request).await.unwrap();
    assert!(matches!(found, LaunchSearch::Unprovable { .. }), "{found:?}");
}

async fn again(place: &Place, request: &LaunchRequest) -> Result<String, ErrorKind> {
    let launched = place.executor.launch_job(request).await;
    launched.map(|handle| handle.external_execution_id).map_err(|error| error.kind())
}

fn of_another_owner(request: &LaunchRequest) -> LaunchRequest {
    let mut foreign = request.clone();
    foreign.owner = "somebody-else".parse().unwrap();
    foreign
}

#[tokio::test(start_paused = true)]
async fn by_key_a_name_is_taken_until_it_is_cleaned_up() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["exit 0"]).await;
    assert_eq!(again(&place, &request).await, Ok(handle.external_execution_id.clone()));
    let foreign = of_another_owner(&request);
    assert_eq!(again(&place, &foreign).await, Err(ErrorKind::Conflict));
    assert_eq!(place.executor.find_launch(&foreign).await.unwrap_err().kind(), ErrorKind::Conflict);
    place.sleep(SECOND).await;
    place.executor.cleanup(&handle).await.unwrap();
    assert_ne!(again(&place, &request).await, Ok(handle.external_execution_id));
    assert_eq!(place.provider.launches(&request.token), 2);
}

#[tokio::test(start_paused = true)]
async fn by_token_the_same_request_gives_the_same_execution_within_the_window() {
    let place = Place::new(json!({ "launch": { "by-token": { "window": "1h" } } })).await;
    let (request, handle) = place.launch(&["exit 0"]).await;
    let mut changed = request.clone();
    changed.plan.template.args.push("exit 1".to_owned());
    assert_eq!(again(&place, &changed).await, Err(ErrorKind::Conflict));
    assert_eq!(again(&place, &of_another_owner(&request)).await, Err(ErrorKind::Conflict));
    place.sleep(SECOND).await;
    place.executor.cleanup(&handle).await.unwrap();
    place.sleep(3500 * SECOND).await;
    assert_eq!(again(&place, &request).await, Ok(handle.external_execution_id.clone()));
    assert_eq!(place.status(&handle).await, ExecutionStatus::NotFound);
    place.sleep(99 * SECOND).await;
    assert_ne!(again(&place, &request).await, Ok(handle.external_execution_id));
}

#[tokio::test(start_paused = true)]
async fn with_best_effort_every_launch_makes_an_execution() {
    let place = Place::new(json!({ "launch": "best-effort" })).await;
    let request = place.request(&["forever"]);
    let nothing = place.executor.find_launch(&request).await.unwrap();
    assert!(matches!(nothing, LaunchSearch::Unprovable { .. }), "{nothing:?}");
    assert_ne!(again(&place, &request).await, again(&place, &request).await);
    assert_eq!(place.provider.launches(&request.token), 2);
    assert_eq!(place.provider.running().len(), 2);
    assert_eq!(place.executor.list_owned(&request.owner).await.unwrap().len(), 2);
    assert!(matches!(place.executor.find_launch(&request).await.unwrap(), LaunchSearch::Found(_)));
}

#[tokio::test(start_paused = true)]
async fn a_launch_has_its_effect_half_way() {
    for (patience, effects) in [(1, 0), (3, 1)] {
        let place = Place::new(json!({ "jobs": { "launch": "4s" } })).await;
        let request = place.request(&["exit 0"]);
        tokio::select! {
            launched = place.executor.launch_job(&request) => panic!("{launched:?} within {patience} s"),
            () = place.sleep(patience * SECOND) => {}
        }
        assert_eq!(place.provider.launches(&request.token), effects);
        place.executor.launch_job(&request).await.unwrap();
        assert_eq!(place.provider.launches(&request.token), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_checked_just_before_the_effect() {
    let place = Place::new(json!({ "jobs": { "launch": "4s" } })).await;
    let mut request = place.request(&["exit 0"]);
    request.deadline = request.created_at + SECOND;
    let error = place.executor.launch_job(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlinePassed);
    assert_eq!(place.provider.launches(&request.token), 0);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_cut_during_the_launch_leaves_it_open() {
    for (cut_after, advice, effects) in [(1, Advice::Temporary, 0), (3, Advice::LookUpFirst, 1)] {
        let place = Place::new(json!({ "jobs": { "launch": "4s" } })).await;
        let request = place.request(&["exit 0"]);
        let cutting = async {
            place.sleep(cut_after * SECOND).await;
            place.provider.lose_contact();
        };
        let (launched, ()) = tokio::join!(place.executor.launch_job(&request), cutting);
        let error = launched.unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, advice));
        assert_eq!(place.provider.launches(&request.token), effects);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_to_start_leaves_nothing() {
    let place = Place::new(json!({ "images": { "missing": ["gone:*"] } })).await;
    let mut missing_image = template(&["exit 0"]);
    missing_image.image = "gone:1".parse().unwrap();
    let mut unknown_user = template(&["exit 0"]);
    unknown_user.user = Some("alice".to_owned());
    let mut missing_program = template(&["exit 0"]);
    missing_program.entrypoint = Some(vec!["/bin/true".to_owned()]);
    for (template, kind) in [
        (missing_image, ErrorKind::ImageUnavailable),
        (unknown_user, ErrorKind::StartFailed),
        (missing_program, ErrorKind::CommandNotFound),
    ] {
        let request = place.request_for(template).unwrap();
        assert_eq!(place.executor.launch_job(&request).await.unwrap_err().kind(), kind);
        assert_eq!(place.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    }
    assert_eq!(place.provider.executions(), []);
}

#[tokio::test(start_paused = true)]
async fn a_pending_execution_is_stopped_before_it_runs() {
    let place = Place::new(json!({ "jobs": { "pending": "1h" } })).await;
    let (request, handle) = place.launch(&["print never"]).await;
    assert_eq!(place.status(&handle).await, ExecutionStatus::Pending);
    assert!(!place.provider.kill(&request.token, longshore_core::Signal::KILL));
    let end = place.executor.stop_job(&handle, &cancel(10 * SECOND)).await.unwrap();
    assert_eq!((end.cause, end.started_at, end.exit_code), (Cause::from(StopReason::Cancelled), None, None));
    let harvest = place.executor.harvest_job(&handle).await.unwrap();
    assert_eq!((harvest.termination.job_status(), harvest.logs.stdout_bytes), (JobStatus::Cancelled, 0));
}
