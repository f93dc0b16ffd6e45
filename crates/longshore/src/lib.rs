//! Run container jobs anywhere through one Rust interface.
//!
//! This crate only gathers: everything of the contract ([`longshore_core`]), and each executor whose feature is
//! enabled, in a module of its own. No feature is enabled by default.
//!
//! | feature | executor |
//! |---|---|
//! | `cloudrun` | [`cloudrun`](https://docs.rs/longshore-cloudrun): Google Cloud Run Jobs |
//! | `docker` | [`docker`](https://docs.rs/longshore-docker): a local or remote Docker Engine, or Podman's service |
//! | `embedded` | [`embedded`](https://docs.rs/longshore-embedded): containers of this machine without a daemon; Linux only |
//! | `mock` | [`mock`](https://docs.rs/longshore-mock): scripted, in memory, for tests |
//!
//! The feature `dispatcher` adds durable jobs: [`Longshore`](https://docs.rs/longshore-dispatcher) for services, the
//! `dispatcher` behind it and the `store` that keeps jobs; `sqlite` and `postgres` add stores that outlive the process, and
//! `s3`, `gcs` and `azure` places for logs that many machines share.
//!
//! The feature `rules` adds routing rules in CEL to the router; the feature `config` adds them with
//! [`config`](https://docs.rs/longshore-config), which reads hosts, rules and budgets from `longshore.toml`.

pub use longshore_core::*;

#[cfg(feature = "cloudrun")]
pub use longshore_cloudrun as cloudrun;
#[cfg(feature = "config")]
pub use longshore_config as config;
#[cfg(feature = "dispatcher")]
pub use longshore_dispatcher as dispatcher;
#[cfg(feature = "dispatcher")]
pub use longshore_dispatcher::Longshore;
#[cfg(feature = "docker")]
pub use longshore_docker as docker;
#[cfg(all(feature = "embedded", target_os = "linux"))]
pub use longshore_embedded as embedded;
#[cfg(feature = "mock")]
pub use longshore_mock as mock;
#[cfg(feature = "dispatcher")]
pub use longshore_store as store;

/// A registry that knows the executors whose features are enabled, and tells of those whose are not.
#[must_use]
pub fn registry() -> ExecutorRegistry {
    let mut registry = ExecutorRegistry::new();
    #[cfg(feature = "cloudrun")]
    cloudrun::register(&mut registry);
    #[cfg(not(feature = "cloudrun"))]
    absent(&mut registry, "cloudrun", "the feature `cloudrun` of longshore");
    #[cfg(feature = "docker")]
    docker::register(&mut registry);
    #[cfg(not(feature = "docker"))]
    absent(&mut registry, "docker", "the feature `docker` of longshore");
    #[cfg(all(feature = "embedded", target_os = "linux"))]
    embedded::register(&mut registry);
    #[cfg(all(not(feature = "embedded"), target_os = "linux"))]
    absent(&mut registry, "embedded", "the feature `embedded` of longshore");
    #[cfg(not(target_os = "linux"))]
    absent(
        &mut registry,
        "embedded",
        "it needs the kernel's namespaces: Linux, and there the feature `embedded` of longshore,",
    );
    #[cfg(feature = "mock")]
    mock::register(&mut registry);
    #[cfg(not(feature = "mock"))]
    absent(&mut registry, "mock", "the feature `mock` of longshore");
    registry
}

#[cfg(not(all(
    feature = "cloudrun",
    feature = "docker",
    feature = "embedded",
    feature = "mock",
    target_os = "linux"
)))]
fn absent(registry: &mut ExecutorRegistry, kind: &str, added_by: &'static str) {
    if let Ok(kind) = kind.parse() {
        registry.tell_absent(kind, added_by);
    }
}

/// The README's example compiles.
#[cfg(all(doctest, feature = "docker"))]
#[doc = include_str!("../../../README.md")]
mod readme {}
