#![doc = include_str!("docs.md")]

mod bulk;
mod check;
mod condition;
mod context;
mod eval;
mod fault;
mod functions;
mod names;
mod tree;

pub use condition::Condition;
pub use context::{HostLoad, JobContext, Scope};
pub use fault::{Fault, Faults};
pub use names::{VARIABLES, Variable};
