#![doc = include_str!("../README.md")]

#[cfg(not(target_os = "linux"))]
compile_error!("this example runs on Linux only: it relies on /proc, on flock(2) and on the tools of util-linux");

mod config;
mod executor;
mod folder;
mod logs;
mod supervisor;

pub use config::{ProgramsConfig, ProgramsOptions};
pub use executor::ProgramsExecutor;

use longshore_core::{
    ContainerExecutor, ExecutionHost, ExecutorContext, ExecutorKind, ExecutorRegistry, ExecutorType, Result,
};
use std::sync::Arc;

/// The name of this kind of executor in configurations.
pub const EXECUTOR_TYPE: &str = "programs";

/// Makes this kind of executor known.
pub fn register(registry: &mut ExecutorRegistry) {
    if let Ok(executor_type) = ExecutorType::new(EXECUTOR_TYPE) {
        registry.register(ExecutorKind::new(
            executor_type,
            "programs of this machine that its operator lists by name, without any isolation",
            build,
            || schemars::schema_for!(ProgramsConfig),
            || schemars::schema_for!(ProgramsOptions),
        ));
    }
}

fn build(host: &ExecutionHost, context: &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>> {
    let config = ProgramsConfig::from_value(&host.executor_config)?;
    Ok(Arc::new(ProgramsExecutor::new(host, config, context)))
}
