//! A machine's own containers, and what the tests need of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod images;

use longshore_core::{ContainerExecutor, ExecutionHost, ExecutorContext, ExecutorRegistry, JobTemplate, Result};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

/// An executor with its state in the folder, which may run images and mount folders of `allowed`.
pub(crate) fn executor(state: &Path, allowed: &Path, config: Value) -> Result<Arc<dyn ContainerExecutor>> {
    executor_in(&ExecutorContext::new(state), allowed, config)
}

/// The same in a context of the test's own.
pub(crate) fn executor_in(
    context: &ExecutorContext,
    allowed: &Path,
    config: Value,
) -> Result<Arc<dyn ContainerExecutor>> {
    let mut registry = ExecutorRegistry::new();
    longshore_embedded::register(&mut registry);
    let allow = json!({ "bind_mounts": [allowed], "image_folders": [allowed], "host_network": true });
    let host = ExecutionHost::builder()
        .name("kit".parse()?)
        .executor_type("embedded".parse()?)
        .executor_config(config)
        .allow(serde_json::from_value(allow).unwrap())
        .build();
    registry.build(&host, context)
}

/// The least template that runs the probe.
pub(crate) fn probe(image: &str) -> JobTemplate {
    JobTemplate::builder()
        .network(longshore_core::Network::None)
        .name("kit".parse().unwrap())
        .image(image.parse::<longshore_core::ImageSource>().unwrap())
        .build()
}
