//! Jobs that leave for another store, or for good.

use longshore_core::{ErrorKind, JobStatus};
use longshore_store::{AttemptState, Intervention, JobArchive, JobStore, MemoryStore, Submission, WaitingFor};
use std::sync::Arc;

use crate::{
    desk::Desk,
    ground::Ground,
    support::{
        Dispatcher, adoption, at, closed, exited, handle, host, in_status, job, kind, launched, request, requeued,
        submit, submit_named,
    },
};

/// One job in each state that is kept, and one with two attempts.
async fn populate(store: &Arc<dyn JobStore>) {
    use JobStatus::{Cancelled, Completed, Failed, Launching, Lost, Pending, Running, TimedOut};
    let dispatcher = Dispatcher::new(store).await;
    for status in [Completed, Failed, TimedOut, Cancelled, Lost, Launching, Running] {
        in_status(&dispatcher, status).await;
    }
    let again = submit_named(store, "on-a").await;
    let token = dispatcher.claim_one(5).await;
    dispatcher.record(launched(token, 6)).await.unwrap();
    let waiting_for = WaitingFor::hosts([host("b"), host("a")]).at_most_until(Some(at(90)));
    dispatcher.record(requeued(token, waiting_for, Some(host("a")), 7)).await.unwrap();
    dispatcher.record(closed(token, 8)).await.unwrap();
    store
        .intervene(again, Intervention::Reprioritize(longshore_core::Priority::new(5).unwrap()), request(9))
        .await
        .unwrap();
    in_status(&dispatcher, Pending).await;
    let keyed = Submission::builder(job("on-c", at(1))).idempotency_key("monday".parse().unwrap()).build();
    submit(store, keyed, 10).await;
    store.close_session(dispatcher.session).await.unwrap();
}

pub(crate) async fn archives_come_by_id_in_pages(ground: Ground) {
    populate(&ground.store).await;
    let all = ground.store.archive(None, 100).await.unwrap();
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted_by_key(|archive| archive.job.id()));
    let mut pages: Vec<JobArchive> = Vec::new();
    loop {
        let page = ground.store.archive(pages.last().map(|last| last.job.id()), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, all);
    for archive in all {
        let id = archive.job.id();
        assert_eq!(archive.job, ground.store.job(id).await.unwrap());
        assert_eq!(archive.attempts, ground.store.attempts(id).await.unwrap());
        assert_eq!(archive.events, ground.store.events(id).await.unwrap());
    }
}

pub(crate) async fn what_was_exported_is_imported_as_it_was(ground: Ground) {
    let origin: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
    populate(&origin).await;
    let archives = origin.archive(None, 100).await.unwrap();
    let written = serde_json::to_string(&archives).unwrap();
    let read: Vec<JobArchive> = serde_json::from_str(&written).unwrap();
    assert_eq!(read, archives);
    assert_eq!(ground.store.import(read.clone()).await.unwrap(), 10);
    assert_eq!(ground.another().await.archive(None, 100).await.unwrap(), archives);
    assert_eq!(ground.store.counts().await.unwrap(), origin.counts().await.unwrap());
    // Once more, they are known.
    assert_eq!(ground.store.import(read).await.unwrap(), 0);
    assert_eq!(ground.store.check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn imported_jobs_live_on(ground: Ground) {
    let origin: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
    populate(&origin).await;
    ground.store.import(origin.archive(None, 100).await.unwrap()).await.unwrap();
    let dispatcher = Dispatcher::new(&ground.store).await;
    let adopted = ground.store.adopt(dispatcher.session, adoption(100, at(50))).await.unwrap();
    assert_eq!(adopted.len(), 7);
    for held in &adopted {
        let launching = held.attempt.state == AttemptState::Launching;
        assert_eq!(held.attempt.quiet_at, launching.then(|| at(50)));
        if held.attempt.state == AttemptState::Launched {
            assert_eq!(held.attempt.handle, Some(handle(held.attempt.token(), &host("a"))));
            dispatcher.record(exited(held.attempt.token(), 0, 51)).await.unwrap();
        }
    }
    // The host `a` has the one that launches, and the lines are as they were.
    let claimed = dispatcher.claim(Desk::with(&[("a", 2)]), 10, 52).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].job.attempts, claimed[0].job.job().priority.get()), (2, 5));
}

pub(crate) async fn an_imported_key_stands_for_its_job(ground: Ground) {
    let origin: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
    let keyed = |name| Submission::builder(job(name, at(1))).idempotency_key("monday".parse().unwrap()).build();
    let known = submit(&origin, keyed("on-a"), 0).await;
    let urgent = Intervention::Reprioritize(longshore_core::Priority::new(7).unwrap());
    origin.intervene(known, urgent, request(1)).await.unwrap();
    let archives = origin.archive(None, 10).await.unwrap();
    ground.store.import(archives.clone()).await.unwrap();
    let again = ground.store.submit(vec![keyed("on-a")], at(2)).await.unwrap().remove(0).unwrap();
    assert_eq!(again, longshore_store::Submitted::Existing(known));
}

pub(crate) async fn a_conflicting_import_takes_in_nothing(ground: Ground) {
    let origin: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
    let keyed = |name| Submission::builder(job(name, at(1))).idempotency_key("monday".parse().unwrap()).build();
    submit_named(&origin, "on-a").await;
    submit(&origin, keyed("on-a"), 0).await;
    submit_named(&origin, "on-a").await;
    let archives = origin.archive(None, 10).await.unwrap();
    submit(&ground.store, keyed("on-b"), 0).await;
    assert_eq!(kind(ground.store.import(archives.clone()).await), ErrorKind::Conflict);
    assert_eq!(ground.store.archive(None, 10).await.unwrap().len(), 1);
    let mut broken = archives;
    broken.retain(|archive| archive.job.submission.idempotency_key.is_none());
    let dispatcher = Dispatcher::new(&origin).await;
    let stranger = dispatcher.claim(Desk::with(&[("a", 9)]), 10, 1).await.remove(0).attempt;
    broken[1].attempts.push(stranger);
    assert_eq!(kind(ground.store.import(broken).await), ErrorKind::Invalid);
    assert_eq!(ground.store.archive(None, 10).await.unwrap().len(), 1);
}

pub(crate) async fn only_what_is_over_is_purged(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let store = &ground.store;
    let finished = in_status(&dispatcher, JobStatus::Completed).await;
    let token = longshore_core::LaunchToken::new(finished, 1);
    let running = in_status(&dispatcher, JobStatus::Running).await;
    let pending = submit_named(store, "leave").await;
    let cancelled = submit_named(store, "leave").await;
    store.intervene(cancelled, Intervention::Cancel, request(1)).await.unwrap();
    let unknown = crate::support::submission("leave").job.id;
    let all = [finished, running, pending, unknown, cancelled];
    // The finished one has something at its provider still.
    assert_eq!(store.purge(&all).await.unwrap(), [cancelled]);
    dispatcher.record(closed(token, 9)).await.unwrap();
    assert_eq!(store.purge(&all).await.unwrap(), [finished]);
    assert_eq!(store.purge(&all).await.unwrap(), []);
    assert_eq!(kind(store.job(finished).await), ErrorKind::NotFound);
    assert_eq!(kind(store.attempt(token).await), ErrorKind::NotFound);
    assert_eq!(kind(store.events(finished).await), ErrorKind::NotFound);
    assert_eq!(store.archive(None, 10).await.unwrap().len(), 2);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_purged_key_is_free(ground: Ground) {
    let keyed = |name| Submission::builder(job(name, at(1))).idempotency_key("monday".parse().unwrap()).build();
    let first = submit(&ground.store, keyed("on-a"), 0).await;
    ground.store.intervene(first, Intervention::Cancel, request(1)).await.unwrap();
    assert_eq!(ground.store.purge(&[first]).await.unwrap(), [first]);
    assert_ne!(submit(&ground.store, keyed("on-b"), 2).await, first);
}

pub(crate) async fn a_store_in_use_is_whole(ground: Ground) {
    populate(&ground.store).await;
    assert_eq!(ground.store.check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn an_imported_attempt_stays_with_a_session_that_is_open_here(ground: Ground) {
    let origin: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
    let dispatcher = Dispatcher::new(&origin).await;
    in_status(&dispatcher, JobStatus::Launching).await;
    let archives = origin.archive(None, 10).await.unwrap();
    ground.store.open_session(dispatcher.session, "the same").await.unwrap();
    ground.store.import(archives.clone()).await.unwrap();
    let held = ground.store.held(dispatcher.session).await.unwrap();
    assert_eq!(held.iter().map(|held| &held.attempt).collect::<Vec<_>>(), [&archives[0].attempts[0]]);
    let other = Dispatcher::new(&ground.store).await;
    assert_eq!(other.store.adopt(other.session, adoption(10, at(9))).await.unwrap(), []);
}
