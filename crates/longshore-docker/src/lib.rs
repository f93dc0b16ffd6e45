#![doc = include_str!("docs.md")]

mod client;
mod config;
mod contact;
mod credentials;
mod events;
mod execution;
mod executor;
mod health;
mod identity;
mod image;
mod launch;
mod locks;
mod logs;
mod mapping;
mod memory;
mod notes;
mod plan;
mod secret_files;
mod stop;
mod transport;
mod usage;

pub use config::{DockerConfig, DockerOptions, TlsFiles};
pub use executor::DockerExecutor;
pub use image::load_image;

use longshore_core::{
    ContainerExecutor, ExecutionHost, ExecutorContext, ExecutorKind, ExecutorRegistry, ExecutorType, Result,
};
use std::sync::Arc;

/// The name of this kind of executor in configurations.
pub const EXECUTOR_TYPE: &str = "docker";

/// Makes this kind of executor known.
pub fn register(registry: &mut ExecutorRegistry) {
    if let Ok(executor_type) = ExecutorType::new(EXECUTOR_TYPE) {
        registry.register(ExecutorKind::new(
            executor_type,
            "a local or remote Docker Engine, or Podman's Docker-compatible service",
            build,
            || schemars::schema_for!(DockerConfig),
            || schemars::schema_for!(DockerOptions),
        ));
    }
}

fn build(host: &ExecutionHost, context: &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>> {
    let config = DockerConfig::from_value(&host.executor_config)?;
    Ok(Arc::new(DockerExecutor::new(host, config, context)?))
}
