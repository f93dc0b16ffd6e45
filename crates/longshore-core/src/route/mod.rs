//! The right place for each job, and why.
//!
//! A [`RoutingTable`] is what a configuration says: hosts, rules, default, fallback, policy, budgets. A
//! [`RoutingSnapshot`] adds what is true now: what runs where, which circuits are open, what was spent. From a snapshot
//! and a job, [`RoutingSnapshot::route`] makes a [`RouteDecision`]: pure, synchronous, without a clock, and the same
//! for the same input. [`Router`] holds the newest snapshot for many readers.
//!
//! # The way to a decision
//! The places are asked in stages: the executor that binds the job; or the one that it prefers, then the target of each
//! rule whose condition holds, by priority and then in file order, then the default, then the fallback chain. In each
//! stage every host of the target is judged ([`Rejection`]), and the policy chooses among those that pass.
//!
//! - A stage whose host is full *waits*, unless its rule lets the job spill over.
//! - Refusal, ill health and incapability move on to the next stage.
//! - After the last one the answer is *not now* when any rejection may pass by itself, and *never* otherwise.
//! - A job that waits for a full host waits for another job's end, at a time that nobody knows. It is told to ask again
//!   earlier only when another host of the same stage recovers by itself ([`RouteOutcome::NotNow`]).
//!
//! # Choosing among equals
//! Each job draws a number for each host from its own id and the host's name, so that the draw is the same
//! everywhere, and a host that comes or goes moves only the jobs that it takes or had (weighted rendezvous hashing).

mod budget;
mod circuit;
mod decision;
mod judge;
mod memo;
mod policy;
mod router;
mod rule;
mod snapshot;
mod stages;
mod table;
mod target;

pub use budget::{Budget, BudgetName, BudgetPeriod};
pub use circuit::{CircuitState, Circuits};
pub use decision::{
    Candidate, Rejection, RejectionKind, RouteDecision, RouteOutcome, RuleNote, Stage, StageKind, Verdict,
};
pub use policy::Policy;
pub use router::{Route, RouteRequest, Router, RoutingStats};
pub use rule::{Condition, Rule, RuleName};
pub use snapshot::{HostState, RoutingSnapshot};
pub use table::{RoutedHost, RoutingTable, UnknownPrice};
pub use target::Target;
