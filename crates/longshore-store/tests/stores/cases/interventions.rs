//! What people ask of jobs and hosts.

use longshore_core::{ErrorKind, JobStatus};
use longshore_store::{AttemptState, Intervention, Pause};

use crate::{
    desk::Desk,
    ground::Ground,
    support::{Dispatcher, at, closed, exited, history, host, in_status, kind, launched, noted, request, submit_named},
};

pub(crate) async fn a_pending_job_is_cancelled_at_once(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    for parked in [false, true] {
        let job = submit_named(&ground.store, "on-a").await;
        if parked {
            dispatcher.claim(Desk::with(&[]), 10, 1).await;
        }
        assert_eq!(ground.store.job(job).await.unwrap().waiting_for.is_nothing(), !parked);
        let record = ground.store.intervene(job, Intervention::Cancel, request(2)).await.unwrap();
        assert_eq!((record.status, record.finished_at), (JobStatus::Cancelled, Some(at(2))));
        assert_eq!(record.cancel, Some(request(2)));
        assert!(record.waiting_for.is_nothing());
        assert_eq!(dispatcher.claim(Desk::with(&[("a", 9)]), 10, 3).await, []);
    }
}

pub(crate) async fn a_living_job_is_cancelled_by_its_holder(ground: Ground) {
    for status in [JobStatus::Launching, JobStatus::Running] {
        let dispatcher = Dispatcher::new(&ground.store).await;
        assert_eq!(dispatcher.store.interventions(dispatcher.session).await.unwrap(), []);
        let job = in_status(&dispatcher, status).await;
        let record = ground.another().await.intervene(job, Intervention::Cancel, request(9)).await.unwrap();
        assert_eq!((record.status, record.finished_at), (status, None));
        let asked = dispatcher.store.interventions(dispatcher.session).await.unwrap();
        assert_eq!(asked, std::slice::from_ref(&record));
        // Asked again, by somebody else, it stays as it was asked first.
        assert_eq!(ground.store.intervene(job, Intervention::Cancel, request(10)).await.unwrap(), record);
        assert_eq!(history(&ground.store, job).await.last().unwrap(), "cancel-requested");
    }
}

pub(crate) async fn an_ended_job_can_not_be_cancelled(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let ended = [JobStatus::Completed, JobStatus::Failed, JobStatus::TimedOut, JobStatus::Cancelled, JobStatus::Lost];
    for status in ended {
        let job = in_status(&dispatcher, status).await;
        let before = ground.store.archive(None, 100).await.unwrap();
        let refused = ground.store.intervene(job, Intervention::Cancel, request(9)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.message().contains(&status.to_string()), "{refused}");
        assert_eq!(ground.store.archive(None, 100).await.unwrap(), before);
    }
}

pub(crate) async fn cancelled_and_ended_it_may_be_asked_again(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = in_status(&dispatcher, JobStatus::Launching).await;
    ground.store.intervene(job, Intervention::Cancel, request(2)).await.unwrap();
    let token = longshore_core::LaunchToken::new(job, 1);
    dispatcher.record(exited(token, 0, 3)).await.unwrap();
    let record = ground.store.intervene(job, Intervention::Cancel, request(4)).await.unwrap();
    assert_eq!((record.status, record.cancel), (JobStatus::Completed, Some(request(2))));
    assert_eq!(dispatcher.store.interventions(dispatcher.session).await.unwrap(), []);
}

pub(crate) async fn a_living_job_can_be_settled_as_lost(ground: Ground) {
    for status in [JobStatus::Launching, JobStatus::Running] {
        let dispatcher = Dispatcher::new(&ground.store).await;
        let job = in_status(&dispatcher, status).await;
        let token = longshore_core::LaunchToken::new(job, 1);
        let record = ground.store.intervene(job, Intervention::SettleLost, request(9)).await.unwrap();
        assert_eq!((record.status, record.finished_at), (JobStatus::Lost, Some(at(9))));
        assert_eq!(record.reason.as_deref(), Some("it is Friday"));
        assert_eq!(ground.store.intervene(job, Intervention::SettleLost, request(10)).await.unwrap(), record);
        let held = ground.store.attempt(token).await.unwrap();
        assert_eq!((held.attempt.state, held.attempt.ended_at), (AttemptState::Ended, Some(at(9))));
        assert_eq!(held.attempt.outcome.unwrap().status, JobStatus::Lost);
        assert_eq!(dispatcher.store.interventions(dispatcher.session).await.unwrap(), std::slice::from_ref(&record));
        // It is never revived; what is seen of it is noted, and removed.
        assert_eq!(kind(dispatcher.record(launched(token, 11)).await), ErrorKind::Conflict);
        assert_eq!(kind(dispatcher.record(exited(token, 0, 11)).await), ErrorKind::Conflict);
        dispatcher.record(noted(token, "it had exited with 0", 12)).await.unwrap();
        dispatcher.record(closed(token, 13)).await.unwrap();
        assert_eq!(ground.store.job(job).await.unwrap(), record);
        let last = history(&ground.store, job).await;
        assert_eq!(last[last.len() - 3..], ["settled-lost", "noted", "closed"]);
    }
}

pub(crate) async fn what_does_not_live_can_not_be_settled_as_lost(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    for status in [JobStatus::Pending, JobStatus::Cancelled, JobStatus::Completed] {
        let store = &ground.store;
        let job = if status == JobStatus::Cancelled {
            let job = submit_named(store, "on-b").await;
            store.intervene(job, Intervention::Cancel, request(1)).await.unwrap();
            job
        } else if status == JobStatus::Pending {
            submit_named(store, "leave").await
        } else {
            in_status(&dispatcher, status).await
        };
        assert_eq!(kind(store.intervene(job, Intervention::SettleLost, request(9)).await), ErrorKind::Conflict);
        assert_eq!(store.job(job).await.unwrap().status, status);
    }
}

pub(crate) async fn a_lost_job_takes_no_place(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = in_status(&dispatcher, JobStatus::Running).await;
    submit_named(&ground.store, "on-a").await;
    assert_eq!(dispatcher.claim(Desk::with(&[("a", 1)]), 10, 9).await, []);
    ground.store.intervene(job, Intervention::SettleLost, request(10)).await.unwrap();
    assert_eq!(dispatcher.claim(Desk::with(&[("a", 1)]), 10, 11).await.len(), 1);
}

pub(crate) async fn pauses_are_kept_until_they_end(ground: Ground) {
    let (store, other) = (&ground.store, ground.another().await);
    let everything = Pause::new(None, request(1));
    let (a, b) = (Pause::new(Some(host("a")), request(2)), Pause::new(Some(host("b")), request(3)));
    for pause in [&b, &everything, &a, &b] {
        store.pause(pause.clone()).await.unwrap();
    }
    assert_eq!(other.pauses().await.unwrap(), [everything.clone(), a.clone(), b]);
    let later = Pause::new(Some(host("b")), request(9));
    store.pause(later.clone()).await.unwrap();
    assert!(store.resume(None, request(10)).await.unwrap());
    assert!(!store.resume(None, request(11)).await.unwrap());
    assert_eq!(other.pauses().await.unwrap(), [a, later]);
    assert!(other.resume(Some(&host("a")), request(12)).await.unwrap());
    assert!(other.resume(Some(&host("b")), request(12)).await.unwrap());
    assert_eq!(store.pauses().await.unwrap(), []);
}
