//! What a claim gives is given once, within the limits.

use longshore_core::{ErrorKind, JobStatus};
use longshore_store::{AttemptState, Held, Placer};
use std::collections::BTreeSet;

use crate::{
    desk::Desk,
    ground::Ground,
    support::{Dispatcher, at, closed, exited, history, host, kind, launched, submission, submit, submit_named},
};

pub(crate) async fn a_claim_stores_the_intent(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let job = submit_named(&ground.store, "paid-a").await;
    let held = dispatcher.claim(Desk::with(&[("a", 1)]).with_budget(1), 10, 3).await.remove(0);
    assert_eq!((held.job.status, held.job.attempts, held.job.runs), (JobStatus::Launching, 1, 0));
    assert_eq!((held.job.host.clone(), held.job.executor_type.clone().unwrap().as_str()), (Some(host("a")), "mock"));
    let attempt = &held.attempt;
    assert_eq!((attempt.state, attempt.session), (AttemptState::Launching, Some(dispatcher.session)));
    assert_eq!((attempt.created_at, attempt.charges.len()), (at(3), 1));
    let other = ground.another().await;
    assert_eq!(other.job(job).await.unwrap(), held.job);
    assert_eq!(other.attempts(job).await.unwrap(), std::slice::from_ref(attempt));
    assert_eq!(other.attempt(attempt.token()).await.unwrap(), held);
    assert_eq!(dispatcher.store.held(dispatcher.session).await.unwrap(), [held]);
    assert_eq!(history(&ground.store, job).await, ["submitted", "claimed"]);
}

pub(crate) async fn an_intent_for_another_attempt_is_not_stored(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let jobs = [submit_named(&ground.store, "never").await, submit_named(&ground.store, "on-a").await];
    let mut desk = Desk::with(&[("a", 1)]);
    desk.ahead = 1;
    assert_eq!(kind(dispatcher.try_claim(desk, 10, 1).await), ErrorKind::Unexpected);
    for job in jobs {
        assert_eq!(ground.store.job(job).await.unwrap().status, JobStatus::Pending);
        assert_eq!(history(&ground.store, job).await, ["submitted"]);
    }
}

/// Claims by turns and at once until nothing is left; each is done with at once, so that places come free all the time.
async fn claim_all(dispatcher: Dispatcher, desk: Desk, jobs: usize) -> Vec<Held> {
    let mut claimed = Vec::new();
    while dispatcher.store.counts().await.unwrap().get(&JobStatus::Completed).copied().unwrap_or_default() < jobs as u64
    {
        let seconds = claimed.len() as i64;
        let held = dispatcher.claim(desk.clone(), 7, seconds).await;
        for held in &held {
            let token = held.attempt.token();
            dispatcher.record(launched(token, seconds)).await.unwrap();
            dispatcher.record(exited(token, 0, seconds)).await.unwrap();
            dispatcher.record(closed(token, seconds)).await.unwrap();
        }
        claimed.extend(held);
        tokio::task::yield_now().await;
    }
    claimed
}

pub(crate) async fn two_who_claim_at_once_get_each_job_once(ground: Ground) {
    let left = Dispatcher::new(&ground.store).await;
    let right = Dispatcher::new(&ground.another().await).await;
    let jobs: Vec<_> = (0..60).map(|_| submission("on-a")).collect();
    ground.store.submit(jobs, at(0)).await.unwrap();
    let desk = Desk::with(&[("a", 9)]);
    let (left, right) = tokio::join!(claim_all(left, desk.clone(), 60), claim_all(right, desk, 60));
    let all: Vec<_> = left.iter().chain(&right).map(|held| held.attempt.token()).collect();
    assert_eq!(all.len(), 60);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 60);
    assert!(all.iter().all(|token| token.attempt() == 1));
}

/// A desk that insists that no host has more than its limit.
struct Strict(Desk, u32);

impl Placer for Strict {
    fn room(&self, hosts: &BTreeSet<longshore_core::HostName>, in_use: &longshore_store::InUse) -> usize {
        self.0.room(hosts, in_use)
    }

    fn place(
        &self,
        jobs: &[longshore_store::JobRecord],
        in_use: &longshore_store::InUse,
    ) -> Vec<longshore_store::Placement> {
        assert!(in_use.hosts.values().all(|taken| *taken <= self.1), "{in_use:?}");
        self.0.place(jobs, in_use)
    }
}

pub(crate) async fn no_host_gets_more_than_its_limit(ground: Ground) {
    let jobs: Vec<_> = (0..50).map(|_| submission("on-a-b")).collect();
    ground.store.submit(jobs, at(0)).await.unwrap();
    let mut dispatchers = Vec::new();
    for _ in 0..4 {
        dispatchers.push(Dispatcher::new(&ground.another().await).await);
    }
    let claims = dispatchers.iter().map(|dispatcher| async move {
        let mut held = Vec::new();
        for second in 0..6 {
            let desk = Desk::with(&[("a", 5), ("b", 3)]).of(dispatcher.session, at(second));
            let claim = longshore_store::Claim::new(dispatcher.session, at(second), 3);
            held.extend(dispatcher.store.claim(claim, std::sync::Arc::new(Strict(desk, 5))).await.unwrap().held);
        }
        held
    });
    let all: Vec<Held> = futures::future::join_all(claims).await.concat();
    let on = |name: &str| all.iter().filter(|held| *held.attempt.host() == host(name)).count();
    assert_eq!((on("a"), on("b")), (5, 3));
}

pub(crate) async fn an_ended_attempt_frees_its_place(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let desk = Desk::with(&[("a", 1)]);
    for _ in 0..2 {
        submit_named(&ground.store, "on-a").await;
    }
    let token = dispatcher.claim(desk.clone(), 10, 1).await[0].attempt.token();
    dispatcher.record(launched(token, 2)).await.unwrap();
    assert_eq!(dispatcher.claim(desk.clone(), 10, 3).await, []);
    dispatcher.record(exited(token, 0, 4)).await.unwrap();
    assert_eq!(dispatcher.claim(desk, 10, 5).await.len(), 1);
}

pub(crate) async fn no_budget_is_overdrawn(ground: Ground) {
    let jobs: Vec<_> = (0..30).map(|_| submission("paid-a")).collect();
    ground.store.submit(jobs, at(0)).await.unwrap();
    let left = Dispatcher::new(&ground.store).await;
    let right = Dispatcher::new(&ground.another().await).await;
    let desk = Desk::with(&[("a", 100)]).with_budget(7);
    let claims = (0..10).map(|number| {
        let dispatcher = if number % 2 == 0 { &left } else { &right };
        dispatcher.claim(desk.clone(), 2, number)
    });
    let all: Vec<Held> = futures::future::join_all(claims).await.concat();
    assert_eq!(all.len(), 7);
}

pub(crate) async fn what_an_end_charges_takes_the_place_of_what_was_reserved(ground: Ground) {
    use longshore_store::{Change, Charge, Next, What};
    let dispatcher = Dispatcher::new(&ground.store).await;
    let desk = Desk::with(&[("a", 100)]).with_budget(1);
    submit(&ground.store, submission("paid-a"), 0).await;
    submit(&ground.store, submission("paid-a"), 1).await;
    let first = dispatcher.claim(desk.clone(), 10, 2).await;
    assert_eq!(first.len(), 1);
    let token = first[0].attempt.token();
    let mut change = exited(token, 0, 3);
    let What::Ended { outcome, next, .. } = &change.what else { unreachable!() };
    let cheap = Charge::new(Desk::budget(), Desk::period(), "0.25 USD".parse().unwrap());
    let (outcome, next): (_, Next) = (outcome.clone(), next.clone());
    change = Change::new(token, at(3), What::Ended { outcome, charges: vec![cheap.clone()], next, closed: true });
    dispatcher.record(change.clone()).await.unwrap();
    // Told again it counts once.
    dispatcher.record(change).await.unwrap();
    assert_eq!(ground.store.attempts(token.job()).await.unwrap()[0].charges, [cheap]);
    let second = dispatcher.claim(desk.clone(), 10, 70).await;
    assert_eq!(second.len(), 1);
    submit(&ground.store, submission("paid-a"), 71).await;
    // A dollar is reserved and a quarter charged.
    assert_eq!(dispatcher.claim(desk.with_budget(1), 10, 72).await, []);
}

pub(crate) async fn purged_jobs_still_count_on_budgets(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let desk = Desk::with(&[("a", 100)]).with_budget(1);
    let job = submit(&ground.store, submission("paid-a"), 0).await;
    let held = dispatcher.claim(desk.clone(), 10, 1).await.remove(0);
    let token = held.attempt.token();
    let charges = held.attempt.charges.clone();
    let mut change = exited(token, 0, 3);
    if let longshore_store::What::Ended { charges: counted, closed, .. } = &mut change.what {
        *counted = charges;
        *closed = true;
    }
    dispatcher.record(change).await.unwrap();
    assert_eq!(ground.store.purge(&[job]).await.unwrap(), [job]);
    submit(&ground.store, submission("paid-a"), 4).await;
    assert_eq!(dispatcher.claim(desk, 10, 5).await, []);
}

/// A desk that wants to know of these pauses.
struct Informed(Vec<longshore_store::Pause>);

impl Placer for Informed {
    fn room(&self, _: &BTreeSet<longshore_core::HostName>, _: &longshore_store::InUse) -> usize {
        0
    }

    fn place(
        &self,
        jobs: &[longshore_store::JobRecord],
        in_use: &longshore_store::InUse,
    ) -> Vec<longshore_store::Placement> {
        assert_eq!(in_use.pauses, self.0);
        jobs.iter().map(|_| longshore_store::Placement::Leave).collect()
    }
}

pub(crate) async fn a_claim_knows_the_pauses(ground: Ground) {
    use longshore_store::{Claim, Pause};
    let dispatcher = Dispatcher::new(&ground.store).await;
    let other = ground.another().await;
    submit_named(&ground.store, "on-a").await;
    let mut pauses = Vec::new();
    for host in [None, Some(host("a")), Some(host("b"))] {
        pauses.push(Pause::new(host, crate::support::request(1)));
        other.pause(pauses.last().unwrap().clone()).await.unwrap();
        let placer = std::sync::Arc::new(Informed(pauses.clone()));
        let claimed = dispatcher.store.claim(Claim::new(dispatcher.session, at(2), 1), placer).await.unwrap();
        assert_eq!(claimed.looked_at, 1);
    }
}
