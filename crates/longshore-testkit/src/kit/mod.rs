#![doc = include_str!("docs.md")]

mod altered;
mod case;
mod cases;
mod failure;
mod harness;
mod log;
mod proof;
mod runner;
mod steps;
mod sweep;
mod traces;
mod witness;
mod workload;

pub use harness::{Harness, Loss, Outside, SetupError};
pub use runner::{Verdict, cases, main, main_without, run_case};
