//! Dispatchers, the store in memory and scripted places in one process, on a clock that waits for nobody, with everything
//! going wrong that a seed says: processes die, freeze and are cut off, clocks jump, calls and answers are lost, late or
//! doubled, hosts refuse, forget and fail, people cancel and pause. In the end it is calm, one dispatcher lives, and what the
//! store says is held against what really happened.
//!
//! - `cargo test -p longshore-dispatcher --test simulation` runs a thousand seeds.
//! - `SIMULATION_SEEDS=100000` runs more, and `SIMULATION_FROM=100000` others. `--profile simulation` is faster.
//! - `SIMULATION_SEED=7` runs that seed alone and tells everything that happens in it.

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
#[cfg_attr(feature = "planted", expect(dead_code, reason = "only the other test plants anything"))]
mod flaw;
mod keeper;
mod ledger;
mod life;
mod limits;
mod oracle;
mod people;
mod run;
mod script;
mod store;
mod variables;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

/// How many seeds are run, unless something else is asked for.
const USUAL: u64 = 1_000;

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..12 {
        let (first, second) = (run::run(seed, None, true), run::run(seed, None, true));
        if first.hash != second.hash {
            let differs = first.lines.iter().zip(&second.lines).position(|(one, other)| one != other);
            let at = differs.unwrap_or_default();
            panic!("seed {seed} differs at line {at}:\n{:#?}\n{:#?}", first.lines.get(at), second.lines.get(at));
        }
        assert!(first.lines.len() > 20, "seed {seed} tells of nothing: {:#?}", first.lines);
    }
}

#[test]
fn whatever_goes_wrong_no_rule_is_broken() {
    if let Some(seed) = variables::number("SIMULATION_SEED") {
        return tell(seed);
    }
    let seeds = variables::number("SIMULATION_SEEDS").unwrap_or(USUAL);
    let first = variables::number("SIMULATION_FROM").unwrap_or_default();
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    if let Some((rule, how)) = run::run(seed, None, false).broken {
                        panic!("seed {seed} breaks a rule: {rule}\n{how}\nreplay it with SIMULATION_SEED={seed}");
                    }
                }
            });
        }
    });
}

/// Runs one seed and prints its trace.
fn tell(seed: u64) {
    let report = run::run(seed, None, true);
    for line in &report.lines {
        println!("{line}");
    }
    if let Some((rule, how)) = report.broken {
        panic!("seed {seed} breaks a rule: {rule}\n{how}");
    }
}
