//! The whole life of jobs through the store in PostgreSQL, against a bare client that writes the same rows in the same batches
//! and asks nothing: in turn, in one server with `fsync` on. The bare client's rows are made before its time begins.
//!
//! `cargo bench -p longshore-store --features postgres --bench postgres [-- JOBS PAIRS BATCH LANES]` prints a line of JSON for
//! each pair, and the median of the ratios.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement fails by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what was measured is printed")]

mod bare;
#[path = "../../tests/cluster/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod cluster;
#[path = "../../tests/stores/desk.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod desk;
#[path = "../../tests/stores/support.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod support;

use cluster::Cluster;
use desk::Desk;
use longshore_core::LaunchToken;
use longshore_store::{Change, JobStore, PostgresOptions, PostgresStore, Submission};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::{Dispatcher, at, closed, exited, launched, submission};

/// How much, how often, how many at once.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    jobs: usize,
    pairs: usize,
    batch: usize,
    lanes: usize,
}

fn main() {
    let mut given = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let mut next = |otherwise| given.next().unwrap_or(otherwise);
    let size = Size { jobs: next(10_000), pairs: next(6), batch: next(500), lanes: next(2) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(size));
}

async fn measure(size: Size) {
    let cluster = Cluster::start().expect("a server");
    let (ours, bare) = (cluster.database().await, cluster.database().await);
    let store = open(&ours).await;
    drop(open(&bare).await);
    let mut ratios = Vec::new();
    for pair in 0..size.pairs {
        let rows = bare::rows(size);
        let (a, b) = if pair % 2 == 0 {
            let a = through_the_store(&store, size).await;
            (a, bare::write(&bare, size, rows).await)
        } else {
            let b = bare::write(&bare, size, rows).await;
            (through_the_store(&store, size).await, b)
        };
        let rate = |time: Duration| size.jobs as f64 / time.as_secs_f64();
        let ratio = b.as_secs_f64() / a.as_secs_f64();
        ratios.push(ratio);
        println!(
            "{{\"case\":\"postgres\",\"jobs\":{},\"store_per_s\":{:.0},\"bare_per_s\":{:.0},\"ratio\":{ratio:.2}}}",
            size.jobs,
            rate(a),
            rate(b)
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("{{\"case\":\"postgres\",\"median_ratio\":{:.2}}}", ratios[ratios.len() / 2]);
    let counts = store.counts().await.expect("counts");
    eprintln!("in the end {counts:?}");
}

async fn open(url: &str) -> Arc<dyn JobStore> {
    Arc::new(PostgresStore::connect(url, PostgresOptions::default()).await.expect("a store"))
}

/// Submits, claims, and takes every job to its end; each lane by its own session.
async fn through_the_store(store: &Arc<dyn JobStore>, size: Size) -> Duration {
    let jobs: Vec<Submission> = (0..size.jobs).map(|_| submission("on-a")).collect();
    let shares: Vec<Vec<Submission>> = jobs.chunks(size.jobs.div_ceil(size.lanes)).map(<[_]>::to_vec).collect();
    let left = Arc::new(AtomicUsize::new(size.jobs));
    let began = Instant::now();
    let lanes: Vec<_> = shares
        .into_iter()
        .map(|share| tokio::spawn(lane(Arc::clone(store), share, size.batch, Arc::clone(&left))))
        .collect();
    for lane in lanes {
        lane.await.expect("a lane");
    }
    began.elapsed()
}

async fn lane(store: Arc<dyn JobStore>, share: Vec<Submission>, batch: usize, left: Arc<AtomicUsize>) {
    let dispatcher = Dispatcher::new(&store).await;
    let mut share = share.chunks(batch).map(<[_]>::to_vec).collect::<Vec<_>>();
    while left.load(Ordering::Relaxed) > 0 {
        if let Some(jobs) = share.pop() {
            store.submit(jobs, at(0)).await.expect("an answer");
        }
        let held = dispatcher.claim(Desk::with(&[("a", 100_000)]), batch, 1).await;
        let tokens: Vec<LaunchToken> = held.iter().map(|held| held.attempt.token()).collect();
        let of =
            |change: fn(LaunchToken, i64) -> Change| tokens.iter().map(|token| change(*token, 2)).collect::<Vec<_>>();
        for changes in [of(launched), of(|token, at| exited(token, 0, at)), of(closed)] {
            let answers = store.record(dispatcher.session, changes).await.expect("an answer");
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
        left.fetch_sub(tokens.len(), Ordering::Relaxed);
    }
    store.close_session(dispatcher.session).await.expect("an answer");
}
