//! Each job is stored once.

use longshore_core::{Clock, ErrorKind, JobStatus, SystemClock, clock::later};
use longshore_store::{JobRecord, Submission, Submitted};
use std::time::Duration;

use crate::{
    ground::Ground,
    support::{at, history, job, kind, submission, submit, submit_named},
};

fn keyed(name: &str, key: &str) -> Submission {
    Submission::builder(job(name, at(0))).idempotency_key(key.parse().unwrap()).build()
}

pub(crate) async fn a_job_is_kept_as_it_was_submitted(ground: Ground) {
    let mut asked = keyed("on-a", "monday");
    asked.bound = Some(longshore_core::route::Target::Anywhere);
    let id = submit(&ground.store, asked.clone(), 5).await;
    let kept = ground.store.job(id).await.unwrap();
    assert_eq!(kept, JobRecord::new(asked, at(5)));
    assert_eq!(kept.status, JobStatus::Pending);
    assert_eq!(ground.another().await.job(id).await.unwrap(), kept);
    assert_eq!(history(&ground.store, id).await, ["submitted"]);
    assert_eq!(ground.store.attempts(id).await.unwrap(), []);
}

pub(crate) async fn a_lost_answer_makes_no_second_job(ground: Ground) {
    let asked = submission("on-a");
    let id = submit(&ground.store, asked.clone(), 0).await;
    let again = ground.store.submit(vec![asked], at(9)).await.unwrap().remove(0).unwrap();
    assert_eq!(again, Submitted::Existing(id));
    assert_eq!(ground.store.job(id).await.unwrap().submitted_at, at(0));
    assert_eq!(history(&ground.store, id).await, ["submitted"]);
}

pub(crate) async fn a_key_stands_for_one_job(ground: Ground) {
    let id = submit(&ground.store, keyed("on-a", "monday"), 0).await;
    // Another id and another time, and the same wish.
    let mut again = keyed("on-a", "monday");
    again.job.created_at = at(70);
    let other = ground.another().await;
    let answers = other.submit(vec![again, keyed("on-b", "monday"), keyed("on-a", "tuesday")], at(1)).await.unwrap();
    assert_eq!(*answers[0].as_ref().unwrap(), Submitted::Existing(id));
    let refused = answers[1].as_ref().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.message().contains("monday") && refused.message().contains(&id.to_string()), "{refused}");
    assert!(matches!(answers[2].as_ref().unwrap(), Submitted::New(new) if *new != id));
}

pub(crate) async fn a_key_in_one_call_twice_stands_for_one_job(ground: Ground) {
    let (first, second) = (keyed("on-a", "monday"), keyed("on-a", "monday"));
    let id = first.job.id;
    let answers = ground.store.submit(vec![first, second], at(0)).await.unwrap();
    assert_eq!(*answers[0].as_ref().unwrap(), Submitted::New(id));
    assert_eq!(*answers[1].as_ref().unwrap(), Submitted::Existing(id));
}

pub(crate) async fn an_id_stands_for_one_job(ground: Ground) {
    let asked = submission("on-a");
    let id = submit(&ground.store, asked.clone(), 0).await;
    let mut other = submission("on-b");
    other.job.id = id;
    let answer = ground.store.submit(vec![other], at(1)).await.unwrap().remove(0);
    assert_eq!(kind(answer), ErrorKind::Conflict);
    assert_eq!(ground.store.job(id).await.unwrap().submission, asked);
}

pub(crate) async fn a_key_still_stands_when_its_job_was_moved_in_the_queue(ground: Ground) {
    let asked = keyed("on-a", "monday");
    let id = submit(&ground.store, asked.clone(), 0).await;
    let priority = longshore_core::Priority::new(7).unwrap();
    let urgent = longshore_store::Intervention::Reprioritize(priority);
    ground.store.intervene(id, urgent, crate::support::request(1)).await.unwrap();
    let again = ground.store.submit(vec![asked], at(2)).await.unwrap().remove(0).unwrap();
    assert_eq!(again, Submitted::Existing(id));
}

pub(crate) async fn submitted_at_once_by_many_it_is_one_job(ground: Ground) {
    let other = ground.another().await;
    let asked = || (0..40).map(|number| keyed("on-a", &format!("key {number}"))).collect::<Vec<_>>();
    let (left, right) = tokio::join!(ground.store.submit(asked(), at(0)), other.submit(asked(), at(0)));
    for (left, right) in left.unwrap().into_iter().zip(right.unwrap()) {
        let (left, right) = (left.unwrap(), right.unwrap());
        assert_eq!(left.id(), right.id());
        assert_ne!(matches!(left, Submitted::New(_)), matches!(right, Submitted::New(_)), "{left:?} {right:?}");
    }
    assert_eq!(ground.store.counts().await.unwrap(), [(JobStatus::Pending, 40)].into());
}

pub(crate) async fn what_is_unknown_is_not_found(ground: Ground) {
    let known = submit_named(&ground.store, "on-a").await;
    let unknown = submission("on-a").job.id;
    let store = &ground.store;
    assert_eq!(kind(store.job(unknown).await), ErrorKind::NotFound);
    assert_eq!(kind(store.attempts(unknown).await), ErrorKind::NotFound);
    assert_eq!(kind(store.events(unknown).await), ErrorKind::NotFound);
    let token = longshore_core::LaunchToken::new(known, 1);
    assert_eq!(kind(store.attempt(token).await), ErrorKind::NotFound);
    assert_eq!(store.attempt_states(&[token]).await.unwrap(), [None]);
    let cancel = longshore_store::Intervention::Cancel;
    assert_eq!(kind(store.intervene(unknown, cancel, crate::support::request(0)).await), ErrorKind::NotFound);
}

pub(crate) async fn a_store_is_one_installation(ground: Ground) {
    let owner = ground.store.owner().await.unwrap();
    assert_eq!(ground.another().await.owner().await.unwrap(), owner);
    assert_eq!(owner.as_str().len(), "ls-".len() + 12);
    assert_ne!(longshore_store::JobStore::owner(&longshore_store::MemoryStore::new()).await.unwrap(), owner);
}

/// Here every store has the machine's clock; a server's is told in microseconds.
pub(crate) async fn a_store_tells_the_time(ground: Ground) {
    let grain = Duration::from_millis(1);
    let before = SystemClock.now();
    let told = ground.store.now().await.unwrap();
    let again = ground.another().await.now().await.unwrap();
    let after = SystemClock.now();
    assert!(before <= later(told, grain) && told <= later(again, grain) && again <= later(after, grain));
}
