//! What happens to attempts, told once or twice, in order and out of it.

use longshore_core::{ErrorKind, JobStatus};
use longshore_store::{AttemptState, Change, Next, Outcome, WaitingFor, What};
use std::sync::Arc;

use crate::{
    desk::Desk,
    ground::Ground,
    support::{
        Dispatcher, at, closed, ended, exited, handle, history, host, kind, launched, noted, request, requeued,
        started, submit_named,
    },
};

pub(crate) async fn a_whole_life_is_kept(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "on-a").await;
    let token = dispatcher.claim_one(1).await;
    dispatcher.run(token, 2).await;
    let record = ground.another().await.job(job).await.unwrap();
    assert_eq!((record.status, record.exit_code, record.runs), (JobStatus::Completed, Some(0), 1));
    assert_eq!((record.finished_at, record.reason.as_deref()), (Some(at(4)), Some("exited with 0")));
    let attempt = ground.store.attempts(job).await.unwrap().remove(0);
    assert_eq!((attempt.state, attempt.session), (AttemptState::Closed, None));
    assert_eq!(attempt.handle, Some(handle(token, &host("a"))));
    let times = (attempt.launched_at, attempt.started_at, attempt.ended_at, attempt.closed_at);
    assert_eq!(times, (Some(at(2)), Some(at(3)), Some(at(4)), Some(at(5))));
    assert_eq!(attempt.outcome.unwrap().exit_code(), Some(0));
    let happened = ["submitted", "claimed", "launched", "started", "ended", "closed"];
    assert_eq!(history(&ground.store, job).await, happened);
    let events = ground.store.events(job).await.unwrap();
    assert!(events[1..].iter().all(|event| event.attempt == Some(1)), "{events:?}");
    assert_eq!(events[1].detail.as_deref(), Some("on host a"));
}

/// Everything that can happen to an attempt, in order, a full life.
fn life(token: longshore_core::LaunchToken, renewed: longshore_core::LaunchRequest) -> Vec<Change> {
    vec![
        Change::new(token, at(2), What::Renewed(Arc::new(renewed))),
        launched(token, 3),
        started(token, 4),
        noted(token, "it is slow", 5),
        exited(token, 3, 6),
        noted(token, "it left a volume", 7),
        closed(token, 8),
    ]
}

pub(crate) async fn told_again_after_a_lost_answer_it_changes_nothing(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    submit_named(&ground.store, "on-a").await;
    let held = dispatcher.claim(Desk::with(&[("a", 1)]), 1, 1).await.remove(0);
    let mut renewed = held.attempt.request.clone();
    renewed.deadline = at(500);
    for change in life(held.attempt.token(), renewed.clone()) {
        dispatcher.record(change.clone()).await.unwrap();
        let before = ground.store.archive(None, 10).await.unwrap();
        dispatcher.record(change).await.unwrap();
        assert_eq!(ground.store.archive(None, 10).await.unwrap(), before);
    }
    let attempt = ground.store.attempts(held.job.id()).await.unwrap().remove(0);
    assert_eq!(attempt.request, renewed);
}

pub(crate) async fn all_in_one_call_is_the_same(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "on-a").await;
    let held = dispatcher.claim(Desk::with(&[("a", 1)]), 1, 1).await.remove(0);
    let token = held.attempt.token();
    let mut changes = life(token, held.attempt.request.clone());
    // One that can't be, in between, touches no other.
    changes.insert(3, launched(token, 77));
    let results = dispatcher.store.record(dispatcher.session, changes).await.unwrap();
    let refused: Vec<_> = results.iter().map(|result| result.as_ref().err().map(longshore_core::Error::kind)).collect();
    let expected = (0..8).map(|number| (number == 3).then_some(ErrorKind::Conflict)).collect::<Vec<_>>();
    assert_eq!(refused, expected);
    let record = ground.store.job(job).await.unwrap();
    assert_eq!((record.status, record.exit_code), (JobStatus::Failed, Some(3)));
}

pub(crate) async fn what_does_not_follow_is_refused(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    submit_named(&ground.store, "on-a").await;
    let token = dispatcher.claim_one(1).await;
    for early in [started(token, 2), closed(token, 2)] {
        assert_eq!(kind(dispatcher.record(early).await), ErrorKind::Conflict);
    }
    dispatcher.record(launched(token, 3)).await.unwrap();
    // Another handle, or the same one at another time, is another story.
    assert_eq!(kind(dispatcher.record(launched(token, 4)).await), ErrorKind::Conflict);
    dispatcher.record(exited(token, 0, 5)).await.unwrap();
    assert_eq!(kind(dispatcher.record(exited(token, 1, 5)).await), ErrorKind::Conflict);
    assert_eq!(kind(dispatcher.record(started(token, 6)).await), ErrorKind::Conflict);
    assert_eq!(dispatcher.job_of(token).await.status, JobStatus::Completed);
    let unknown = longshore_core::LaunchToken::new(token.job(), 9);
    assert_eq!(kind(dispatcher.record(closed(unknown, 7)).await), ErrorKind::NotFound);
}

pub(crate) async fn what_is_closed_may_be_noted_by_anybody(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    submit_named(&ground.store, "on-a").await;
    let token = dispatcher.claim_one(1).await;
    let other = Dispatcher::new(&ground.store).await;
    let note = |at| noted(token, "found later", at);
    assert_eq!(kind(other.record(note(2)).await), ErrorKind::Conflict, "it is held by another");
    for change in [launched(token, 3), exited(token, 0, 4), closed(token, 5)] {
        dispatcher.record(change).await.unwrap();
    }
    for _ in 0..2 {
        other.record(note(6)).await.unwrap();
    }
    let events = ground.store.events(token.job()).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == "noted").count(), 1);
    assert_eq!(events.last().unwrap().detail.as_deref(), Some("found later"));
    assert_eq!(other.state(token).await, Some(AttemptState::Closed));
}

pub(crate) async fn ended_and_closed_at_once(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    submit_named(&ground.store, "on-a").await;
    let token = dispatcher.claim_one(1).await;
    let mut change = ended(token, Outcome::new(JobStatus::Failed, "no such image"), Next::Finish(JobStatus::Failed), 2);
    if let What::Ended { closed, .. } = &mut change.what {
        *closed = true;
    }
    dispatcher.record(change).await.unwrap();
    assert_eq!(dispatcher.state(token).await, Some(AttemptState::Closed));
    assert_eq!(dispatcher.store.held(dispatcher.session).await.unwrap(), []);
    let record = dispatcher.job_of(token).await;
    assert_eq!((record.runs, record.reason.as_deref()), (0, Some("no such image")));
}

pub(crate) async fn a_retry_is_a_new_attempt_of_the_same_job(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "on-a").await;
    let first = dispatcher.claim_one(1).await;
    dispatcher.record(launched(first, 2)).await.unwrap();
    dispatcher.record(requeued(first, WaitingFor::NOTHING, None, 3)).await.unwrap();
    let record = ground.store.job(job).await.unwrap();
    assert_eq!((record.status, record.attempts, record.runs), (JobStatus::Pending, 1, 1));
    assert_eq!((record.reason.as_deref(), record.finished_at), (Some("once more"), None));
    let second = dispatcher.claim_one(4).await;
    assert_eq!(second.attempt(), 2);
    // What the first one left is still removed.
    dispatcher.record(closed(first, 5)).await.unwrap();
    dispatcher.run(second, 6).await;
    let record = ground.store.job(job).await.unwrap();
    assert_eq!((record.status, record.attempts, record.runs), (JobStatus::Completed, 2, 2));
    let attempts = ground.store.attempts(job).await.unwrap();
    assert_eq!(attempts.iter().map(longshore_store::AttemptRecord::token).collect::<Vec<_>>(), [first, second]);
}

pub(crate) async fn a_cancelled_job_does_not_come_back(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "on-a").await;
    let token = dispatcher.claim_one(1).await;
    ground.store.intervene(job, longshore_store::Intervention::Cancel, request(2)).await.unwrap();
    dispatcher.record(requeued(token, WaitingFor::until(at(9)), Some(host("a")), 3)).await.unwrap();
    let record = ground.store.job(job).await.unwrap();
    assert_eq!((record.status, record.finished_at), (JobStatus::Cancelled, Some(at(3))));
    assert!(record.waiting_for.is_nothing());
    assert_eq!(dispatcher.try_claim(Desk::with(&[("a", 1)]), 10, 20).await.unwrap().looked_at, 0);
}

pub(crate) async fn large_and_odd_words_survive(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    submit_named(&ground.store, "on-a").await;
    let token = dispatcher.claim_one(1).await;
    let odd = format!("quote ' \" \\ ; -- \u{1F6A2} \n\t{}", "long ".repeat(20_000));
    let mut outcome = Outcome::new(JobStatus::Failed, odd.clone());
    outcome.parsed_output = Some(serde_json::json!({"deep": [1.5, null, {"er": u64::MAX}], "text": odd}));
    dispatcher.record(ended(token, outcome.clone(), Next::Finish(JobStatus::Failed), 2)).await.unwrap();
    let attempt = ground.another().await.attempt(token).await.unwrap();
    assert_eq!(attempt.job.reason.as_deref(), Some(odd.as_str()));
    assert_eq!(attempt.attempt.outcome, Some(outcome));
    assert_eq!(ground.store.events(token.job()).await.unwrap().pop().unwrap().detail, Some(odd));
}

pub(crate) async fn states_are_told_in_the_order_asked(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        submit_named(&ground.store, "on-a").await;
        tokens.push(dispatcher.claim_one(1).await);
    }
    dispatcher.record(launched(tokens[1], 2)).await.unwrap();
    let unknown = longshore_core::LaunchToken::new(tokens[0].job(), 7);
    let asked = [tokens[1], unknown, tokens[2], tokens[1]];
    let states = ground.store.attempt_states(&asked).await.unwrap();
    let expected = [Some(AttemptState::Launched), None, Some(AttemptState::Launching), Some(AttemptState::Launched)];
    assert_eq!(states, expected);
    assert_eq!(ground.store.attempt_states(&[]).await.unwrap(), []);
}
