//! What proves an executor: the conformance kit ([`kit`]), and faults between a client and its engine, injected on
//! purpose ([`proxy`]).

pub mod kit;
pub mod proxy;

pub use proxy::{Address, Answer, Fault, FaultHandle, FaultProxy, ListenError, RecordedRequest, Rule, Upstream};
