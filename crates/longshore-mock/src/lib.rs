#![doc = include_str!("docs.md")]

mod behaviour;
mod changes;
mod config;
mod due;
mod events;
mod execution;
mod executor;
mod files;
mod handles;
mod launch;
mod logs;
mod mapping;
mod plan;
mod prepare;
mod process;
mod program;
mod provider;
mod search;
mod secrets;
mod timeline;
mod world;

pub use behaviour::{Behaviour, Interruption, Loss, LostLaunches, Refusal, Rule};
pub use config::{EventFaults, Images, MockConfig, Outage};
pub use executor::MockExecutor;
pub use provider::MockProvider;

use longshore_core::{
    ContainerExecutor, ExecutionHost, ExecutorContext, ExecutorKind, ExecutorRegistry, ExecutorType, Result,
};
use std::sync::Arc;

/// The name of this kind of executor in configurations.
pub const EXECUTOR_TYPE: &str = "mock";

/// Makes this kind of executor known. Each executor that the registry builds has a provider of its own.
pub fn register(registry: &mut ExecutorRegistry) {
    if let Ok(executor_type) = ExecutorType::new(EXECUTOR_TYPE) {
        registry.register(ExecutorKind::new(
            executor_type,
            "a scripted place in memory, for tests: runs no containers",
            build,
            || schemars::schema_for!(MockConfig),
            || schemars::schema_for!(Behaviour),
        ));
    }
}

fn build(host: &ExecutionHost, context: &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>> {
    Ok(Arc::new(MockExecutor::new(host, MockConfig::from_value(&host.executor_config)?, context)))
}
