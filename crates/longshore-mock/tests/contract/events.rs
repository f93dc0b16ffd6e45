//! Events: when they come, twice, late, or not at all.

use futures::{FutureExt, StreamExt};
use longshore_core::{
    Capability, ContainerExecutor, ErrorKind, EventStream, ExecutionEvent, LaunchToken, Owner, clock::since,
};
use serde_json::json;
use std::time::Duration;

use crate::support::{Place, SECOND};

fn owner() -> Owner {
    "owner".parse().unwrap()
}

/// The next event: of which token, or none for a gap; and how long after `from` it says that it happened.
async fn next(events: &mut EventStream, from: jiff::Timestamp) -> Option<(LaunchToken, Duration)> {
    match events.next().await.expect("a stream of events never ends") {
        ExecutionEvent::Changed { token, at } => Some((token, since(at.unwrap(), from))),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_when_it_happens() {
    let place = Place::new(json!({ "jobs": { "pending": "2s" } })).await;
    let mut events = place.executor.events(&owner()).await.unwrap();
    let (request, handle) = place.launch(&["sleep 3s", "exit 1"]).await;
    let launched = request.created_at;
    for seconds in [0, 2, 5] {
        assert_eq!(next(&mut events, launched).await, Some((request.token, seconds * SECOND)));
        assert_eq!(since(place.now(), launched), seconds * SECOND);
    }
    place.executor.cleanup(&handle).await.unwrap();
    assert_eq!(next(&mut events, launched).await, Some((request.token, 5 * SECOND)));
    assert!(events.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn events_are_from_now_on_and_of_one_owner() {
    let place = Place::new(json!({})).await;
    place.launch(&["exit 0"]).await;
    let mut events = place.executor.events(&owner()).await.unwrap();
    let mut foreign = place.request(&["exit 0"]);
    foreign.owner = "somebody-else".parse().unwrap();
    place.executor.launch_job(&foreign).await.unwrap();
    assert!(events.next().now_or_never().is_none());
    let (request, _) = place.launch(&["forever"]).await;
    assert_eq!(next(&mut events, request.created_at).await, Some((request.token, Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn a_listener_who_waits_is_woken_by_what_others_do() {
    let place = Place::new(json!({})).await;
    let (request, _) = place.launch(&["forever"]).await;
    let mut events = place.executor.events(&owner()).await.unwrap();
    let killing = async {
        place.sleep(7 * SECOND).await;
        assert!(place.provider.kill(&request.token, longshore_core::Signal::KILL));
    };
    let (told, ()) = tokio::join!(next(&mut events, request.created_at), killing);
    assert_eq!(told, Some((request.token, 7 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn events_come_late_and_twice() {
    let place = Place::new(json!({ "events": { "late": "30s", "twice": true } })).await;
    let mut events = place.executor.events(&owner()).await.unwrap();
    let (request, _) = place.launch(&["sleep 5s"]).await;
    // Launched, running, ended; each twice.
    for (told, comes) in [(0, 30), (0, 30), (0, 30), (0, 30), (5, 35), (5, 35)] {
        assert_eq!(next(&mut events, request.created_at).await, Some((request.token, told * SECOND)));
        assert_eq!(place.now(), request.created_at + comes * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missed_is_a_gap() {
    let place = Place::new(json!({ "events": { "gap_every": 3 } })).await;
    let mut events = place.executor.events(&owner()).await.unwrap();
    let (request, _) = place.launch(&["sleep 1s"]).await;
    let told = [
        next(&mut events, request.created_at).await.is_some(),
        next(&mut events, request.created_at).await.is_some(),
        next(&mut events, request.created_at).await.is_some(),
    ];
    assert_eq!(told, [true, true, false], "the end is the third");
    place.provider.tell_gap();
    assert_eq!(next(&mut events, request.created_at).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_gap_at_both_ends() {
    let place = Place::new(json!({ "outages": [{ "from": "10s", "to": "20s" }] })).await;
    let made_at = place.now();
    let (request, _) = place.launch(&["sleep 15s"]).await;
    let mut events = place.executor.events(&owner()).await.unwrap();
    assert_eq!(next(&mut events, made_at).await, None);
    assert_eq!(place.now(), made_at + 10 * SECOND);
    assert_eq!(next(&mut events, made_at).await, None);
    assert_eq!(place.now(), made_at + 20 * SECOND);
    assert!(events.next().now_or_never().is_none(), "what happened meanwhile is the gap's");
    place.provider.lose_contact();
    assert_eq!(next(&mut events, made_at).await, None);
    assert!(place.provider.remove(&request.token));
    assert!(events.next().now_or_never().is_none());
    place.provider.restore_contact();
    assert_eq!(next(&mut events, made_at).await, None);
}

#[tokio::test(start_paused = true)]
async fn who_is_too_far_behind_is_told_of_a_gap() {
    let place = Place::new(json!({})).await;
    let mut events = place.executor.events(&owner()).await.unwrap();
    for _ in 0..400 {
        place.launch(&["exit 0"]).await;
    }
    assert_eq!(next(&mut events, place.now()).await, None);
    assert!(events.next().now_or_never().is_none());
    let (request, _) = place.launch(&["exit 0"]).await;
    assert_eq!(next(&mut events, request.created_at).await, Some((request.token, Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn without_the_capability_there_are_none() {
    let place = Place::new(json!({ "without": ["events", "list-owned", "stop"] })).await;
    assert!(!place.executor.capabilities().has(Capability::Events));
    assert_eq!(place.executor.events(&owner()).await.err().unwrap().kind(), ErrorKind::Unsupported);
    assert_eq!(place.executor.list_owned(&owner()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let (_, handle) = place.launch(&["exit 0"]).await;
    let stop = crate::support::cancel(SECOND);
    assert_eq!(place.executor.stop_job(&handle, &stop).await.unwrap_err().kind(), ErrorKind::Unsupported);
}
