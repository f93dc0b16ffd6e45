//! What proves an executor: the conformance kit ([`kit`]), faults between a client and its engine, injected on purpose
//! ([`proxy`]), and tests that need a service which not every machine has ([`suite`]).
//!
//! Providers that live in the test's own process are behind a feature each (`cloudrun`), in the module `fakes`.

#[cfg(feature = "cloudrun")]
pub mod fakes;
pub mod kit;
pub mod proxy;
pub mod suite;

pub use proxy::{Address, Answer, Fault, FaultHandle, FaultProxy, ListenError, RecordedRequest, Rule, Upstream};
