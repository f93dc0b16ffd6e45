#![doc = include_str!("docs.md")]

mod cleanup;
mod client;
mod config;
mod credentials;
mod executor;
mod gather;
mod health;
mod launch;
mod logs;
mod mapping;
mod notes;
mod owned;
mod plan;
mod quotas;
mod status;
mod stop;

pub use config::{CloudRunConfig, CloudRunOptions, Credentials, Egress, ExecutionEnvironment, Quotas, Vpc};
pub use executor::CloudRunExecutor;
pub use longshore_http::Traffic;

use longshore_core::{
    ContainerExecutor, ExecutionHost, ExecutorContext, ExecutorKind, ExecutorRegistry, ExecutorType, Result,
};
use std::sync::Arc;

/// The name of this kind of executor in configurations.
pub const EXECUTOR_TYPE: &str = "cloudrun";

/// Makes this kind of executor known.
pub fn register(registry: &mut ExecutorRegistry) {
    if let Ok(executor_type) = ExecutorType::new(EXECUTOR_TYPE) {
        registry.register(ExecutorKind::new(
            executor_type,
            "Google Cloud Run Jobs",
            build,
            || schemars::schema_for!(CloudRunConfig),
            || schemars::schema_for!(CloudRunOptions),
        ));
    }
}

fn build(host: &ExecutionHost, context: &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>> {
    let config = CloudRunConfig::from_value(&host.executor_config)?;
    Ok(Arc::new(CloudRunExecutor::new(host, config, context)?))
}
