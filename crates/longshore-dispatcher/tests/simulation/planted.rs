//! Each planted bug is caught by the simulation, within so many seeds.
//!
//! - `cargo test -p longshore-dispatcher --features planted --test planted` tries all of them.
//! - `SIMULATION_SECONDS=30` stops after that time. All are tried by turns, so only those that hide well are left then.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
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
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many seeds a bug may survive.
const MOST: u64 = 3_000;
/// After how many seeds it is another's turn.
const TURN: u64 = 20;

/// The bugs that are looked for, each with the next seed, and what became of the others.
#[derive(Debug, Default)]
struct Hunt {
    hiding: VecDeque<(Planted, u64)>,
    caught: usize,
    missed: Vec<Planted>,
}

/// Looks for the next one, for a while. False when there is none.
fn look(hunt: &Mutex<Hunt>) -> bool {
    let hunt = || hunt.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((planted, first)) = hunt().hiding.pop_front() else { return false };
    let end = first + TURN;
    match (first..end).find_map(|seed| run::run(seed, Some(planted), false).broken.map(|(rule, _)| (seed, rule))) {
        Some((seed, rule)) => {
            println!("{planted:?}: seed {seed} breaks: {rule}");
            hunt().caught += 1;
        }
        None if end >= MOST => hunt().missed.push(planted),
        None => hunt().hiding.push_back((planted, end)),
    }
    true
}

#[test]
fn every_planted_bug_is_caught() {
    let all = Bug::ALL.into_iter().map(Planted::Bug).chain(Flaw::ALL.into_iter().map(Planted::Flaw));
    let hunt = Mutex::new(Hunt { hiding: all.map(|planted| (planted, 0)).collect(), ..Hunt::default() });
    let limit = variables::number("SIMULATION_SECONDS").map_or(Duration::MAX, Duration::from_secs);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        for _ in 0..threads {
            scope.spawn(|| while began.elapsed() < limit && look(&hunt) {});
        }
    });
    let Hunt { hiding, caught, missed } = hunt.into_inner().unwrap();
    println!("caught {caught}, still looking for {hiding:?}");
    assert!(missed.is_empty(), "not caught by {MOST} seeds: {missed:?}");
    assert!(caught > 0, "nothing was caught in {limit:?}");
}
