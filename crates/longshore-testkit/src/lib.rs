//! What proves an executor: the conformance kit ([`kit`]), faults between a client and its engine, injected on purpose
//! ([`proxy`]), and tests that need a service which not every machine has ([`suite`]).

pub mod kit;
pub mod proxy;
pub mod suite;

pub use proxy::{Address, Answer, Fault, FaultHandle, FaultProxy, ListenError, RecordedRequest, Rule, Upstream};
