//! A server that is restarted under load: whatever was acknowledged is there, once, and nothing ran twice.

use longshore_core::{JobId, LaunchToken, Result};
use longshore_store::{Beat, Change, JobStore, Submission};
use longshore_testkit::{suite::Test, tests};
use rustix::process::Signal;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    cluster::Cluster,
    desk::Desk,
    open,
    support::{Dispatcher, at, closed, exited, launched, submission},
};

pub(crate) const TESTS: &[Test] = &tests![nothing_acknowledged_is_lost_and_nothing_runs_twice];

/// How many submit at once, and how many jobs each.
const SUBMITTERS: usize = 3;
const JOBS: usize = 150;

async fn nothing_acknowledged_is_lost_and_nothing_runs_twice() {
    let cluster = Arc::new(Cluster::start().unwrap());
    let url = cluster.database().await;
    let store = open(&url).await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let submitters: Vec<_> =
        (0..SUBMITTERS).map(|_| tokio::spawn(submit_all(Arc::clone(&store), Arc::clone(&acknowledged)))).collect();
    let dispatcher = tokio::spawn(dispatch(open(&url).await, SUBMITTERS * JOBS));
    for (share, signal) in [(4, Signal::INT), (2, Signal::QUIT)] {
        reaches(&acknowledged, SUBMITTERS * JOBS / share).await;
        let cluster = Arc::clone(&cluster);
        let restarted = move || {
            cluster.stop(signal);
            cluster.launch();
        };
        tokio::task::spawn_blocking(restarted).await.unwrap();
    }
    let mut ledger = BTreeSet::new();
    for submitter in submitters {
        ledger.extend(submitter.await.unwrap());
    }
    let started = dispatcher.await.unwrap();
    assert_eq!(ledger.len(), SUBMITTERS * JOBS);
    assert_eq!(started.iter().map(LaunchToken::job).collect::<BTreeSet<_>>(), ledger);
    for job in &ledger {
        assert_eq!(
            crate::support::history(&store, *job).await,
            ["submitted", "claimed", "launched", "ended", "closed"]
        );
    }
    assert_eq!(store.check().await.unwrap(), [""; 0]);
}

async fn reaches(counter: &AtomicUsize, wanted: usize) {
    while counter.load(Ordering::Relaxed) < wanted {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Asks again for as long as nothing is known.
async fn insist<T, F: Future<Output = Result<T>>>(mut ask: impl FnMut() -> F) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_lost_contact(), "{error:?}"),
        }
    }
}

async fn submit_all(store: Arc<dyn JobStore>, acknowledged: Arc<AtomicUsize>) -> Vec<JobId> {
    let mut ledger = Vec::new();
    for _ in 0..JOBS {
        let job: Submission = submission("on-a");
        let answers = insist(|| store.submit(vec![job.clone()], at(0))).await;
        ledger.push(answers.into_iter().next().unwrap().unwrap().id());
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    ledger
}

/// Takes so many jobs to their end. What a lost answer told of is read again.
async fn dispatch(store: Arc<dyn JobStore>, jobs: usize) -> BTreeSet<LaunchToken> {
    let dispatcher = Dispatcher::new(&store).await;
    let mut started = BTreeSet::new();
    let mut second = 1;
    while started.len() < jobs {
        let claimed = dispatcher.try_claim(Desk::with(&[("a", 100)]), 50, second).await;
        let held = match claimed {
            Ok(claimed) => claimed.held,
            Err(error) => {
                assert!(error.is_lost_contact(), "{error:?}");
                insist(|| store.held(dispatcher.session)).await
            }
        };
        let tokens: Vec<LaunchToken> = held.iter().map(|held| held.attempt.token()).collect();
        for token in &tokens {
            assert!(started.insert(*token), "{token} was given twice");
        }
        let of = |change: fn(LaunchToken, i64) -> Change| {
            tokens.iter().map(|token| change(*token, second)).collect::<Vec<_>>()
        };
        for changes in [of(launched), of(|token, second| exited(token, 0, second)), of(closed)] {
            let answers = insist(|| store.record(dispatcher.session, changes.clone())).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
        let others: Vec<Beat> = insist(|| store.beat(dispatcher.session)).await;
        assert_eq!(others, []);
        second += 1;
    }
    started
}
