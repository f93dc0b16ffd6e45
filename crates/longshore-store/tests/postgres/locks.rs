//! Many who do everything at once: nobody waits in a circle, and what is in use is never miscounted.

use longshore_core::{ErrorKind, JobId, JobStatus, LaunchToken, Priority, Result};
use longshore_store::{Intervention, JobQuery, JobRecord, JobStore, Pause, Submitted, WaitingFor};
use longshore_testkit::{suite::Test, tests};
use std::sync::Arc;

use crate::{
    beside, cluster,
    desk::Desk,
    number, open, run,
    support::{
        Dispatcher, adoption, at, closed, exited, host, kind, launched, request, requeued, started, submission, submit,
        submit_named, urgent,
    },
    until,
};

pub(crate) const TESTS: &[Test] = &tests![
    whatever_is_done_at_once_nobody_waits_in_a_circle,
    what_somebody_else_changes_meanwhile_is_not_written_over,
    what_a_session_knows_is_not_written_over_what_others_have_changed,
    what_is_known_of_an_earlier_attempt_refuses_nothing_of_a_later_one,
    a_job_that_somebody_has_hides_none_in_the_queue,
    a_late_note_leaves_nothing_of_what_is_purged,
];

/// How often each of the four does everything.
const ROUNDS: i64 = 60;

async fn whatever_is_done_at_once_nobody_waits_in_a_circle() {
    let url = cluster::shared().unwrap().database().await;
    let stores = futures::future::join_all((0..4).map(|_| open(&url))).await;
    let work = stores.iter().enumerate().map(|(who, store)| tokio::spawn(everything(Arc::clone(store), who as i64)));
    for done in futures::future::join_all(work).await {
        done.unwrap();
    }
    let mut connection = beside(&url).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(&mut connection, deadlocks).await, 0, "{}", cluster::shared().unwrap().log());
    assert_eq!(stores[0].check().await.unwrap(), [""; 0]);
}

/// Attempts are read without a lock: somebody settles one after it was read, and before it is written.
async fn what_somebody_else_changes_meanwhile_is_not_written_over() {
    let url = cluster::shared().unwrap().database().await;
    let store = open(&url).await;
    submit_named(&store, "on-a").await;
    let dispatcher = Dispatcher::new(&store).await;
    let token = dispatcher.claim_one(1).await;
    dispatcher.record(launched(token, 2)).await.unwrap();
    let (mut other, mut observer) = (beside(&url).await, beside(&url).await);
    run(&mut other, "BEGIN").await;
    run(&mut other, "UPDATE longshore_attempt SET state = 2").await;
    let recording = tokio::spawn(async move { dispatcher.record(started(token, 3)).await });
    let waits = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND query LIKE 'UPDATE longshore_attempt%'";
    until(&mut observer, waits).await;
    run(&mut other, "COMMIT").await;
    assert_eq!(kind(recording.await.unwrap()), ErrorKind::Conflict);
    assert_eq!(number(&mut observer, "SELECT state::bigint FROM longshore_attempt").await, 2);
}

/// One process knows a job as it was when it came back into the queue; another took it from there and left it.
async fn what_is_known_of_an_earlier_attempt_refuses_nothing_of_a_later_one() {
    let url = cluster::shared().unwrap().database().await;
    let (store, others) = (open(&url).await, open(&url).await);
    submit_named(&store, "on-a").await;
    let (dispatcher, other) = (Dispatcher::new(&store).await, Dispatcher::new(&others).await);
    let first = dispatcher.claim_one(1).await;
    dispatcher.record(launched(first, 2)).await.unwrap();
    dispatcher.record(requeued(first, longshore_store::WaitingFor::NOTHING, None, 3)).await.unwrap();
    let second = other.claim_one(4).await;
    other.record(launched(second, 5)).await.unwrap();
    other.store.close_session(other.session).await.unwrap();
    assert_eq!(store.adopt(dispatcher.session, adoption(10, at(90))).await.unwrap().len(), 1);
    let told = store.record(dispatcher.session, vec![closed(first, 6), started(second, 7)]).await.unwrap();
    assert!(told.iter().all(Result::is_ok), "{told:?}");
}

async fn a_job_that_somebody_has_hides_none_in_the_queue() {
    let url = cluster::shared().unwrap().database().await;
    let (store, mut other) = (open(&url).await, beside(&url).await);
    let dispatcher = Dispatcher::new(&store).await;
    submit_named(&store, "on-a").await;
    run(&mut other, "BEGIN; SELECT 1 FROM longshore_job FOR UPDATE").await;
    let behind = submit(&store, urgent("on-a", -1), 0).await;
    let claimed = dispatcher.try_claim(Desk::with(&[("a", 9)]), 1, 2).await.unwrap();
    assert_eq!((claimed.held[0].job.id(), claimed.looked_at), (behind, 1));
    // Nobody tells when it can be had; so it is looked for soon.
    let claimed = dispatcher.try_claim(Desk::with(&[("a", 9)]), 10, 3).await.unwrap();
    assert_eq!((claimed.looked_at, claimed.next_at), (0, Some(at(4))));
    run(&mut other, "COMMIT").await;
    assert_eq!(dispatcher.claim(Desk::with(&[("a", 9)]), 10, 4).await.len(), 1);
    assert_eq!(dispatcher.try_claim(Desk::with(&[("a", 9)]), 10, 5).await.unwrap().next_at, None);
}

/// The note is written, and not committed yet, when its job is purged.
async fn a_late_note_leaves_nothing_of_what_is_purged() {
    let url = cluster::shared().unwrap().database().await;
    let (store, mut other, mut observer) = (open(&url).await, beside(&url).await, beside(&url).await);
    let job = submit_named(&store, "on-a").await;
    let dispatcher = Dispatcher::new(&store).await;
    let token = dispatcher.claim_one(1).await;
    dispatcher.run(token, 2).await;
    let note = "BEGIN; UPDATE longshore_attempt SET state = state; INSERT INTO longshore_event (job, body) \
                SELECT job, body FROM longshore_event ORDER BY seq DESC LIMIT 1";
    run(&mut other, note).await;
    let purging = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.purge(&[job]).await }
    });
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND query LIKE 'DELETE FROM longshore_attempt%')";
    until(&mut observer, waits).await;
    run(&mut other, "COMMIT").await;
    assert_eq!(purging.await.unwrap().unwrap(), [job]);
    assert_eq!(store.check().await.unwrap(), [""; 0]);
}

/// A session does not read what it has written: somebody else cancels a job, and settles another, before it writes on.
async fn what_a_session_knows_is_not_written_over_what_others_have_changed() {
    let url = cluster::shared().unwrap().database().await;
    let (store, others) = (open(&url).await, open(&url).await);
    let dispatcher = Dispatcher::new(&store).await;
    let running = async || {
        submit_named(&store, "on-a").await;
        let token = dispatcher.claim_one(1).await;
        dispatcher.record(launched(token, 2)).await.unwrap();
        dispatcher.record(started(token, 3)).await.unwrap();
        token
    };
    let (cancelled, settled, heard_of) = (running().await, running().await, running().await);
    others.intervene(cancelled.job(), Intervention::Cancel, request(4)).await.unwrap();
    for token in [settled, heard_of] {
        others.intervene(token.job(), Intervention::SettleLost, request(4)).await.unwrap();
    }
    dispatcher.record(requeued(cancelled, WaitingFor::NOTHING, None, 5)).await.unwrap();
    assert_eq!(kind(dispatcher.record(exited(settled, 0, 5)).await), ErrorKind::Conflict);
    let status = async |token: LaunchToken| store.job(token.job()).await.unwrap().status;
    assert_eq!((status(cancelled).await, status(settled).await), (JobStatus::Cancelled, JobStatus::Lost));
    for token in [cancelled, settled, heard_of] {
        dispatcher.record(closed(token, 6)).await.unwrap();
    }
    assert_eq!(store.check().await.unwrap(), [""; 0]);
}

/// A conflict is an answer: somebody else was first.
fn settled<T>(result: Result<T>) {
    if let Err(error) = result {
        assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound), "{error:?}");
    }
}

/// Whoever was fenced off begins anew.
async fn anew_if_fenced(dispatcher: &mut Dispatcher, result: Result<()>) {
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::LeaseLost, "{error:?}");
        *dispatcher = Dispatcher::new(&Arc::clone(&dispatcher.store)).await;
    }
}

async fn everything(store: Arc<dyn JobStore>, who: i64) {
    let mut dispatcher = Dispatcher::new(&store).await;
    for round in 0..ROUNDS {
        let now = round * 10 + who;
        // The four share keys, so that they meet at the unique index.
        let keyed = |n: i64| {
            let mut submission = urgent("on-a-b", i32::try_from(n % 5).unwrap());
            submission.idempotency_key = Some(format!("key-{}", round * 4 + n).parse().unwrap());
            submission
        };
        let mut jobs: Vec<_> = (0..4).map(keyed).chain([submission("on-a"), submission("paid-b")]).collect();
        if who % 2 == 1 {
            jobs.reverse();
        }
        let submitted = store.submit(jobs, at(now)).await.unwrap();
        let ids: Vec<JobId> =
            submitted.into_iter().map(|job| job.map_or_else(|_| JobId::new(at(0)), Submitted::id)).collect();
        intervene(&store, &ids, now).await;
        let worked = work(&dispatcher, now).await;
        anew_if_fenced(&mut dispatcher, worked).await;
        let handed_over = hand_over(&dispatcher, round).await;
        anew_if_fenced(&mut dispatcher, handed_over).await;
        clear(&store, now).await;
    }
}

async fn intervene(store: &Arc<dyn JobStore>, ids: &[JobId], now: i64) {
    settled(store.intervene(ids[0], Intervention::Cancel, request(now)).await);
    settled(store.intervene(ids[1], Intervention::SettleLost, request(now)).await);
    let priority = Intervention::Reprioritize(Priority::new(7).unwrap());
    settled(store.intervene(ids[2], priority, request(now)).await);
    store.pause(Pause::new(Some(host("b")), request(now))).await.unwrap();
    store.resume(Some(&host("b")), request(now)).await.unwrap();
}

/// Claims some, and takes what is held one step on, in whatever order it comes.
async fn work(dispatcher: &Dispatcher, now: i64) -> Result<()> {
    let Dispatcher { store, session } = dispatcher;
    let desk = Desk::with(&[("a", 12), ("b", 6)]).with_budget(500);
    dispatcher.try_claim(desk, 10, now).await?;
    let held = store.held(*session).await?;
    let tokens = || held.iter().rev().map(|held| held.attempt.token());
    store.record(*session, tokens().map(|token| launched(token, now)).collect()).await?;
    store.record(*session, tokens().map(|token| started(token, now)).collect()).await?;
    let back = WaitingFor::hosts([host("a")]);
    let end = |(place, token)| match place % 4 {
        0 => requeued(token, back.clone(), None, now),
        code => exited(token, code, now),
    };
    let ends = tokens().zip(0_i32..).map(|(token, place)| end((place, token)));
    store.record(*session, ends.collect()).await?;
    store.record(*session, tokens().map(|token| closed(token, now)).collect()).await?;
    store.wake_queue(*session).await
}

/// Fences somebody off now and then, and takes over what nobody holds.
async fn hand_over(dispatcher: &Dispatcher, round: i64) -> Result<()> {
    let Dispatcher { store, session } = dispatcher;
    let others = store.beat(*session).await?;
    if let (Some(other), 0) = (others.first(), round % 10) {
        store.fence(*session, other).await?;
    }
    store.adopt(*session, adoption(5, at(0))).await?;
    store.interventions(*session).await?;
    Ok(())
}

async fn clear(store: &Arc<dyn JobStore>, now: i64) {
    let over = [JobStatus::Completed, JobStatus::Failed];
    let query = JobQuery::builder().statuses(over).finished_before(at(now - 20)).limit(20).build();
    let jobs: Vec<JobId> = store.jobs(&query).await.unwrap().iter().map(JobRecord::id).collect();
    store.purge(&jobs).await.unwrap();
}
