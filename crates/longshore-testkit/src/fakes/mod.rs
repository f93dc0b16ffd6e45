//! Providers that live in this process: servers that speak a provider's own protocol, refuse what the provider
//! refuses, and run nothing but the probe's language.
//!
//! Each fake is behind a feature of its own. What they share: a clock that runs faster than the machine's
//! ([`ScaledClock`]), a simulated container, and a [`FaultProxy`](crate::FaultProxy) in front of each server, so that
//! everything that a network does can be injected.

mod clock;
pub mod cloudrun;
mod process;
mod served;

pub use clock::ScaledClock;
