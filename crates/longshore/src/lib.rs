//! Run container jobs anywhere through one Rust interface.
//!
//! This crate only gathers: everything of the contract ([`longshore_core`]), and each executor whose feature is
//! enabled, in a module of its own. No feature is enabled by default.
//!
//! | feature | executor |
//! |---|---|
//! | `docker` | [`docker`](https://docs.rs/longshore-docker): a local or remote Docker Engine, or Podman's service |
//! | `mock` | [`mock`](https://docs.rs/longshore-mock): scripted, in memory, for tests |

pub use longshore_core::*;

#[cfg(feature = "docker")]
pub use longshore_docker as docker;
#[cfg(feature = "mock")]
pub use longshore_mock as mock;

/// A registry that knows the executors whose features are enabled.
#[must_use]
pub fn registry() -> ExecutorRegistry {
    #[cfg_attr(not(any(feature = "docker", feature = "mock")), expect(unused_mut, reason = "nothing is enabled"))]
    let mut registry = ExecutorRegistry::new();
    #[cfg(feature = "docker")]
    docker::register(&mut registry);
    #[cfg(feature = "mock")]
    mock::register(&mut registry);
    registry
}

/// The README's example compiles.
#[cfg(all(doctest, feature = "docker"))]
#[doc = include_str!("../../../README.md")]
mod readme {}
