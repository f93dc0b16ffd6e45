//! Each planted bug is caught by the simulation, within so many seeds.
//!
//! - `cargo test -p longshore-dispatcher --features planted --test planted` tries all of them.
//! - `SIMULATION_SECONDS=30` stops after that time, having tried as many as it could; where it begins `SIMULATION_FROM` says.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and tells by printing"
)]

mod crew;
mod dice;
mod executor;
mod flaw;
mod keeper;
mod ledger;
mod life;
mod limits;
mod oracle;
mod people;
#[expect(dead_code, reason = "only the other test looks at traces")]
mod run;
mod script;
mod store;
mod variables;
mod world;

use flaw::{Flaw, Planted};
use longshore_dispatcher::planted::Bug;
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How many seeds a bug may survive.
const MOST: u64 = 3_000;

/// The seed that catches it, and the rule that it breaks.
fn caught(planted: Planted) -> Option<(u64, &'static str)> {
    (0..MOST).find_map(|seed| run::run(seed, Some(planted), false).broken.map(|(rule, _)| (seed, rule)))
}

#[test]
fn every_planted_bug_is_caught() {
    let bugs = Bug::ALL.into_iter().map(Planted::Bug);
    let mut all: Vec<_> = bugs.chain(Flaw::ALL.into_iter().map(Planted::Flaw)).collect();
    let first = usize::try_from(variables::number("SIMULATION_FROM").unwrap_or_default()).unwrap();
    let end = first % all.len();
    all.rotate_left(end);
    let limit = variables::number("SIMULATION_SECONDS").map_or(Duration::MAX, Duration::from_secs);
    let (next, missed, began) = (AtomicUsize::new(0), Mutex::new(Vec::new()), std::time::Instant::now());
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        for _ in 0..threads {
            scope.spawn(|| {
                while began.elapsed() < limit
                    && let Some(planted) = all.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    match caught(*planted) {
                        Some((seed, rule)) => println!("{planted:?}: seed {seed} breaks: {rule}"),
                        None => missed.lock().unwrap().push(*planted),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not caught by {MOST} seeds: {missed:?}");
}
