//! Who lives, who is dead, and what becomes of what they held.

use longshore_core::{ErrorKind, LaunchToken};
use longshore_store::{Adoption, AttemptState, Beat, Change, JobStore, SessionId, What};
use std::sync::Arc;

use crate::{
    desk::Desk,
    ground::Ground,
    support::{Dispatcher, adoption, at, exited, history, host, kind, launched, requeued, submit_named},
};

/// The pulse of one session as another sees it.
async fn pulse(of: &Dispatcher, seen_by: &Dispatcher) -> Beat {
    let beats = seen_by.store.beat(seen_by.session).await.unwrap();
    beats.into_iter().find(|beat| beat.session == of.session).expect("it lives")
}

async fn fence_off(other: &Dispatcher, by: &Dispatcher) {
    let beat = pulse(other, by).await;
    assert!(by.store.fence(by.session, &beat).await.unwrap());
}

pub(crate) async fn beats_are_counted_and_seen(ground: Ground) {
    let left = Dispatcher::new(&ground.store).await;
    let right = Dispatcher::new(&ground.another().await).await;
    assert_eq!(pulse(&right, &left).await, Beat::new(right.session, 0, false, "a machine".to_owned()));
    assert_eq!(pulse(&left, &right).await.beats, 1);
    assert_eq!(pulse(&right, &left).await.beats, 1);
    // Opened again after a lost answer it is the same session.
    ground.store.open_session(left.session, "another name").await.unwrap();
    assert_eq!(pulse(&left, &right).await, Beat::new(left.session, 2, false, "a machine".to_owned()));
}

pub(crate) async fn whoever_has_beaten_meanwhile_is_not_fenced_off(ground: Ground) {
    let left = Dispatcher::new(&ground.store).await;
    let right = Dispatcher::new(&ground.store).await;
    let seen = pulse(&left, &right).await;
    left.store.beat(left.session).await.unwrap();
    assert!(!right.store.fence(right.session, &seen).await.unwrap());
    left.store.beat(left.session).await.unwrap();
}

pub(crate) async fn what_the_dead_held_is_adopted(ground: Ground) {
    let dead = Dispatcher::new(&ground.store).await;
    let heir = Dispatcher::new(&ground.another().await).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        submit_named(&ground.store, "on-a").await;
        tokens.push(dead.claim_one(1).await);
    }
    dead.record(launched(tokens[1], 2)).await.unwrap();
    dead.record(exited(tokens[2], 0, 2)).await.unwrap();
    assert_eq!(heir.store.adopt(heir.session, adoption(10, at(90))).await.unwrap(), []);
    let beat = pulse(&dead, &heir).await;
    assert!(heir.store.fence(heir.session, &beat).await.unwrap());
    // Asked again, after a lost answer, it says the same.
    assert!(heir.store.fence(heir.session, &beat).await.unwrap());
    let mut adopted = heir.store.adopt(heir.session, adoption(2, at(90))).await.unwrap();
    assert_eq!(adopted.len(), 2);
    adopted.extend(heir.store.adopt(heir.session, adoption(10, at(95))).await.unwrap());
    assert_eq!(adopted.iter().map(|held| held.attempt.token()).collect::<Vec<_>>(), sorted(&tokens));
    for held in &adopted {
        assert_eq!(held.attempt.session, Some(heir.session));
        assert_eq!(held.attempt.quiet_at.is_some(), held.attempt.state == AttemptState::Launching);
    }
    assert_eq!(heir.store.held(heir.session).await.unwrap(), adopted);
    assert_eq!(heir.store.adopt(heir.session, adoption(10, at(99))).await.unwrap(), []);
    heir.record(launched(tokens[0], 100)).await.unwrap();
}

pub(crate) async fn only_what_is_served_is_adopted(ground: Ground) {
    let dead = Dispatcher::new(&ground.store).await;
    let mut tokens = Vec::new();
    for (number, name) in ["on-b", "on-a", "on-b", "on-a", "on-b"].into_iter().enumerate() {
        submit_named(&ground.store, name).await;
        let desk = Desk::with(&[("a", 10), ("b", 10)]);
        let held = dead.claim(desk, 1, i64::try_from(number).unwrap()).await.remove(0);
        tokens.push(held.attempt.token());
    }
    dead.store.close_session(dead.session).await.unwrap();
    let heir = Dispatcher::new(&ground.another().await).await;
    let adopt = async |most, hosts: &[&str], before| {
        let hosts = hosts.iter().map(|name| host(name)).collect();
        let adoption = Adoption::new(most, at(90), hosts).with_unserved_before(before);
        let adopted = heir.store.adopt(heir.session, adoption).await.unwrap();
        adopted.iter().map(|held| held.attempt.token()).collect::<Vec<_>>()
    };
    let never = jiff::Timestamp::MIN;
    assert_eq!(adopt(10, &[], never).await, []);
    assert_eq!(adopt(10, &["c"], never).await, []);
    // What is left to others takes nobody's place.
    let of = |places: &[usize]| sorted(&places.iter().map(|place| tokens[*place]).collect::<Vec<_>>());
    assert_eq!(adopt(2, &["a", "c"], never).await, of(&[1, 3]));
    // Of what nobody may serve any more, only that which is old enough.
    assert_eq!(adopt(10, &["a"], at(2)).await, of(&[0]));
    assert_eq!(adopt(10, &["b"], never).await, of(&[2, 4]));
}

fn sorted(tokens: &[LaunchToken]) -> Vec<LaunchToken> {
    let mut tokens = tokens.to_vec();
    tokens.sort_unstable();
    tokens
}

pub(crate) async fn the_latest_quiet_time_stays(ground: Ground) {
    let first = Dispatcher::new(&ground.store).await;
    submit_named(&ground.store, "on-a").await;
    let token = first.claim_one(1).await;
    first.store.close_session(first.session).await.unwrap();
    let second = Dispatcher::new(&ground.store).await;
    second.store.adopt(second.session, adoption(1, at(90))).await.unwrap();
    second.store.close_session(second.session).await.unwrap();
    let third = Dispatcher::new(&ground.store).await;
    let held = third.store.adopt(third.session, adoption(1, at(80))).await.unwrap().remove(0);
    assert_eq!((held.attempt.token(), held.attempt.quiet_at), (token, Some(at(90))));
}

pub(crate) async fn a_closed_session_frees_what_it_held(ground: Ground) {
    let leaving = Dispatcher::new(&ground.store).await;
    let heir = Dispatcher::new(&ground.store).await;
    submit_named(&ground.store, "on-a").await;
    let token = leaving.claim_one(1).await;
    leaving.record(launched(token, 2)).await.unwrap();
    leaving.store.close_session(leaving.session).await.unwrap();
    // After a lost answer it is closed once more.
    leaving.store.close_session(leaving.session).await.unwrap();
    assert!(heir.store.beat(heir.session).await.unwrap().is_empty());
    assert_eq!(heir.store.adopt(heir.session, adoption(10, at(9))).await.unwrap()[0].attempt.quiet_at, None);
    assert_eq!(kind(leaving.store.open_session(leaving.session, "again").await), ErrorKind::LeaseLost);
    assert_eq!(kind(leaving.store.beat(leaving.session).await), ErrorKind::LeaseLost);
}

pub(crate) async fn a_fenced_session_can_do_nothing(ground: Ground) {
    let fenced = Dispatcher::new(&ground.store).await;
    let other = Dispatcher::new(&ground.another().await).await;
    submit_named(&ground.store, "on-a").await;
    let token = fenced.claim_one(1).await;
    submit_named(&ground.store, "on-a").await;
    fence_off(&fenced, &other).await;
    let before = ground.store.archive(None, 10).await.unwrap();
    everything_fails(&fenced, token, &pulse_of(&other)).await;
    assert_eq!(ground.store.archive(None, 10).await.unwrap(), before);
    other.store.beat(other.session).await.unwrap();
    assert_eq!(other.store.adopt(other.session, adoption(10, at(9))).await.unwrap().len(), 1);
}

fn pulse_of(dispatcher: &Dispatcher) -> Beat {
    Beat::new(dispatcher.session, 1, false, "a machine".to_owned())
}

/// Each method that takes a session.
async fn everything_fails(fenced: &Dispatcher, token: LaunchToken, other: &Beat) {
    let (store, session): (&Arc<dyn JobStore>, SessionId) = (&fenced.store, fenced.session);
    let lost = ErrorKind::LeaseLost;
    assert_eq!(kind(store.beat(session).await), lost);
    assert_eq!(kind(store.fence(session, other).await), lost);
    assert_eq!(kind(store.close_session(session).await), lost);
    assert_eq!(kind(store.open_session(session, "again").await), lost);
    assert_eq!(kind(store.adopt(session, adoption(10, at(5))).await), lost);
    assert_eq!(kind(fenced.try_claim(Desk::with(&[("a", 10)]), 10, 5).await), lost);
    assert_eq!(kind(store.wake_queue(session).await), lost);
    assert_eq!(kind(store.record(session, vec![launched(token, 5)]).await), lost);
    assert_eq!(kind(store.record(session, Vec::new()).await), lost);
    assert_eq!(kind(store.held(session).await), lost);
    assert_eq!(kind(store.interventions(session).await), lost);
}

pub(crate) async fn an_unknown_session_can_do_nothing(ground: Ground) {
    let known = Dispatcher::new(&ground.store).await;
    submit_named(&ground.store, "on-a").await;
    let token = known.claim_one(1).await;
    let unknown = Dispatcher { store: Arc::clone(&ground.store), session: SessionId::new(at(7)) };
    assert_eq!(kind(unknown.record(launched(token, 5)).await), ErrorKind::LeaseLost);
    assert_eq!(kind(unknown.store.beat(unknown.session).await), ErrorKind::LeaseLost);
    assert_eq!(kind(unknown.store.close_session(unknown.session).await), ErrorKind::LeaseLost);
}

pub(crate) async fn what_another_holds_can_not_be_changed(ground: Ground) {
    let holder = Dispatcher::new(&ground.store).await;
    let other = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "on-a").await;
    let token = holder.claim_one(1).await;
    assert_eq!(kind(other.record(launched(token, 2)).await), ErrorKind::Conflict);
    assert_eq!(kind(other.record(Change::new(token, at(2), What::Noted("x".to_owned()))).await), ErrorKind::Conflict);
    holder.record(launched(token, 3)).await.unwrap();
    let again = requeued(token, longshore_store::WaitingFor::NOTHING, None, 4);
    assert_eq!(kind(other.record(again).await), ErrorKind::Conflict);
    assert_eq!(history(&ground.store, job).await, ["submitted", "claimed", "launched"]);
}
