//! Who is looked at, in which order, and who is not.

use longshore_core::{ErrorKind, JobStatus};
use longshore_store::{Intervention, WaitingFor};

use crate::{
    desk::Desk,
    ground::Ground,
    support::{Dispatcher, at, exited, history, host, kind, request, submission, submit, submit_named, urgent},
};

fn one_place() -> Desk {
    Desk::with(&[("a", 1)])
}

fn room() -> Desk {
    Desk::with(&[("a", 100), ("b", 100)])
}

pub(crate) async fn the_oldest_goes_first(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let mut submitted = Vec::new();
    for second in [3, 1, 2] {
        submitted.push((second, submit(&ground.store, submission("on-a"), second).await));
    }
    submitted.sort_unstable();
    let held = dispatcher.claim(room(), 2, 10).await;
    let claimed: Vec<_> = held.iter().map(|held| held.job.id()).collect();
    assert_eq!(claimed, [submitted[0].1, submitted[1].1]);
}

pub(crate) async fn a_point_of_priority_is_worth_a_minute(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let patient = submit(&ground.store, urgent("on-a", 0), 0).await;
    let lazy = submit(&ground.store, urgent("on-a", -2), 0).await;
    let too_late = submit(&ground.store, urgent("on-a", 1), 61).await;
    let in_time = submit(&ground.store, urgent("on-a", 2), 61).await;
    let held = dispatcher.claim(room(), 10, 70).await;
    let claimed: Vec<_> = held.iter().map(|held| held.job.id()).collect();
    assert_eq!(claimed, [in_time, patient, too_late, lazy]);
}

pub(crate) async fn a_new_priority_is_a_new_place(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let first = submit(&ground.store, submission("on-a"), 0).await;
    let second = submit(&ground.store, submission("on-a"), 1).await;
    let priority = Intervention::Reprioritize(longshore_core::Priority::new(1).unwrap());
    let moved = ground.store.intervene(second, priority.clone(), request(2)).await.unwrap();
    assert_eq!(moved.job().priority.get(), 1);
    assert_eq!(ground.store.intervene(second, priority, request(3)).await.unwrap(), moved);
    assert_eq!(history(&ground.store, second).await, ["submitted", "reprioritized"]);
    let held = dispatcher.claim(room(), 1, 4).await;
    assert_eq!(held[0].job.id(), second);
    let priority = Intervention::Reprioritize(longshore_core::Priority::new(3).unwrap());
    assert_eq!(kind(ground.store.intervene(second, priority, request(5)).await), ErrorKind::Conflict);
    assert_eq!(ground.store.job(first).await.unwrap().status, JobStatus::Pending);
}

pub(crate) async fn what_waits_for_a_host_stays_in_its_line(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    for _ in 0..5 {
        submit_named(&ground.store, "on-a").await;
    }
    let held = dispatcher.claim(one_place(), 10, 1).await;
    assert_eq!(held.len(), 1);
    let parked = dispatcher.try_claim(one_place(), 10, 2).await.unwrap();
    assert_eq!((parked.looked_at, parked.held.len(), parked.next_at), (0, 0, None));
    let other = submit_named(&ground.store, "on-b").await;
    let passed = dispatcher.try_claim(Desk::with(&[("a", 1), ("b", 1)]), 10, 3).await.unwrap();
    assert_eq!((passed.looked_at, passed.held[0].job.id()), (1, other));
}

pub(crate) async fn a_line_is_looked_at_as_far_as_there_is_room(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let mut jobs = Vec::new();
    for second in 0..5 {
        jobs.push(submit(&ground.store, submission("on-a"), second).await);
    }
    assert_eq!(dispatcher.try_claim(Desk::with(&[]), 10, 6).await.unwrap().looked_at, 5);
    let waiting = ground.store.job(jobs[0]).await.unwrap();
    assert_eq!(waiting.waiting_for, WaitingFor::hosts([host("a")]));
    assert_eq!(waiting.reason.as_deref(), Some("no place is free"));
    let found = dispatcher.try_claim(Desk::with(&[("a", 2)]), 10, 7).await.unwrap();
    assert_eq!(found.looked_at, 2);
    let claimed: Vec<_> = found.held.iter().map(|held| held.job.id()).collect();
    assert_eq!(claimed, jobs[..2]);
}

pub(crate) async fn lines_and_newcomers_are_one_queue(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let parked = submit(&ground.store, submission("on-a"), 1).await;
    let either = submit(&ground.store, submission("on-a-b"), 0).await;
    dispatcher.claim(Desk::with(&[]), 10, 2).await;
    let newcomer = submit(&ground.store, urgent("on-a", 1), 3).await;
    let held = dispatcher.claim(room(), 2, 4).await;
    let claimed: Vec<_> = held.iter().map(|held| held.job.id()).collect();
    assert_eq!(claimed, [newcomer, either]);
    assert_eq!(ground.store.job(parked).await.unwrap().status, JobStatus::Pending);
}

pub(crate) async fn what_waits_for_a_time_comes_when_it_is_due(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "later-a").await;
    let early = dispatcher.try_claim(room(), 10, 1).await.unwrap();
    assert_eq!((early.looked_at, early.next_at), (1, Some(at(60))));
    let parked = dispatcher.try_claim(room(), 10, 59).await.unwrap();
    assert_eq!((parked.looked_at, parked.next_at), (0, Some(at(60))));
    let due = dispatcher.try_claim(room(), 10, 60).await.unwrap();
    assert_eq!((due.held[0].job.id(), due.next_at), (job, None));
}

pub(crate) async fn a_host_or_a_time_whichever_is_first(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "on-a").await;
    let token = dispatcher.claim_one(0).await;
    let waiting_for = WaitingFor::hosts([host("b")]).at_most_until(Some(at(50)));
    let change = crate::support::requeued(token, waiting_for.clone(), Some(host("a")), 1);
    dispatcher.record(change).await.unwrap();
    let record = ground.store.job(job).await.unwrap();
    assert_eq!((&record.waiting_for, &record.refused_by), (&waiting_for, &vec![host("a")]));
    let none = dispatcher.try_claim(Desk::with(&[("a", 1)]), 10, 49).await.unwrap();
    assert_eq!((none.looked_at, none.next_at), (0, Some(at(50))));
    assert_eq!(dispatcher.try_claim(Desk::with(&[("b", 1)]), 10, 49).await.unwrap().looked_at, 1);
}

pub(crate) async fn woken_all_are_looked_at_again(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    for name in ["on-a", "on-b", "later-a"] {
        submit_named(&ground.store, name).await;
    }
    assert_eq!(dispatcher.try_claim(Desk::with(&[]), 10, 1).await.unwrap().looked_at, 3);
    assert_eq!(dispatcher.try_claim(Desk::with(&[]), 10, 2).await.unwrap().looked_at, 0);
    ground.store.wake_queue(dispatcher.session).await.unwrap();
    let woken = dispatcher.try_claim(Desk::with(&[]), 10, 3).await.unwrap();
    assert_eq!(woken.looked_at, 3);
}

pub(crate) async fn the_history_tells_of_waiting_once(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "leave").await;
    let token = submit_named(&ground.store, "on-a").await;
    for second in 1..4 {
        dispatcher.claim(Desk::with(&[]), 10, second).await;
    }
    assert_eq!(history(&ground.store, job).await, ["submitted"]);
    assert_eq!(history(&ground.store, token).await, ["submitted", "waiting"]);
}

pub(crate) async fn refused_and_given_up_jobs_end(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let never = submit_named(&ground.store, "never").await;
    let mut patient = submission("give-up");
    patient.job.queue_timeout = Some(std::time::Duration::from_secs(5));
    let patient = submit(&ground.store, patient, 0).await;
    assert!(dispatcher.claim(room(), 10, 6).await.is_empty());
    let refused = ground.store.job(never).await.unwrap();
    assert_eq!((refused.status, refused.reason.as_deref()), (JobStatus::Failed, Some("no host is blue")));
    assert_eq!(refused.finished_at, Some(at(6)));
    let given_up = ground.store.job(patient).await.unwrap();
    assert_eq!(given_up.status, JobStatus::TimedOut);
    assert!(given_up.reason.unwrap().contains("5s"));
    assert_eq!(history(&ground.store, never).await, ["submitted", "ended"]);
    assert_eq!(dispatcher.try_claim(room(), 10, 7).await.unwrap().looked_at, 0);
}

pub(crate) async fn a_job_that_comes_back_has_its_old_place(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let old = submit(&ground.store, submission("on-a"), 0).await;
    let token = dispatcher.claim_one(1).await;
    let young = submit(&ground.store, submission("on-a"), 2).await;
    dispatcher.record(crate::support::requeued(token, WaitingFor::NOTHING, None, 3)).await.unwrap();
    let held = dispatcher.claim(room(), 1, 4).await;
    assert_eq!((held[0].job.id(), held[0].attempt.token().attempt()), (old, 2));
    dispatcher.record(exited(held[0].attempt.token(), 0, 5)).await.unwrap();
    assert_eq!(dispatcher.claim(room(), 1, 6).await[0].job.id(), young);
}
