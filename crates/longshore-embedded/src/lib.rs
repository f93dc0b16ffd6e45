#![doc = include_str!("docs.md")]
#![cfg(target_os = "linux")]

mod allowed;
mod blocking;
mod config;
mod events;
mod execution;
mod executor;
mod facts;
mod groups;
mod health;
mod helper;
mod image;
mod launch;
mod logs;
mod machine;
mod mapping;
mod plan;
mod remove;
mod seccomp;
mod state;
mod supervisor;
mod sweep;
mod unpacker;
mod watch;

pub use config::{EmbeddedConfig, EmbeddedOptions, RootFilesystem};
pub use executor::EmbeddedExecutor;
pub use supervisor::supervise;

use longshore_core::{
    ContainerExecutor, ExecutionHost, ExecutorContext, ExecutorKind, ExecutorRegistry, ExecutorType, Result,
};
use std::sync::Arc;

/// The name of this kind of executor in configurations.
pub const EXECUTOR_TYPE: &str = "embedded";

/// Makes this kind of executor known.
pub fn register(registry: &mut ExecutorRegistry) {
    if let Ok(executor_type) = ExecutorType::new(EXECUTOR_TYPE) {
        registry.register(ExecutorKind::new(
            executor_type,
            "containers of this machine, without a daemon",
            build,
            || schemars::schema_for!(EmbeddedConfig),
            || schemars::schema_for!(EmbeddedOptions),
        ));
    }
}

fn build(host: &ExecutionHost, context: &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>> {
    let config = EmbeddedConfig::from_value(&host.executor_config)?;
    Ok(Arc::new(EmbeddedExecutor::new(host, config, context)))
}
