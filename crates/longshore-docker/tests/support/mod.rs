//! The engines that the tests run against, and what those need of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bollard::Docker;
use longshore_core::{ContainerExecutor, ExecutionHost, ExecutorContext, ExecutorRegistry, JobTemplate, Result};
use longshore_docker::DockerConfig;
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};
use tokio::sync::OnceCell;

/// The probe's image under a name that no registry has.
pub(crate) const IMAGE: &str = "longshore.test/probe:1";

/// bollard of its own, for what tests do behind the executor's back.
pub(crate) fn docker(socket: &Path) -> Result<Docker, bollard::errors::Error> {
    Docker::connect_with_unix(&socket.to_string_lossy(), 120, bollard::API_DEFAULT_VERSION)
}

/// The engine at a socket, with the probe's image, or why there is none.
pub(crate) async fn engine_at(socket: &Path) -> Result<Docker, String> {
    static LOADED: OnceCell<()> = OnceCell::const_new();
    let unavailable = |error: &dyn std::fmt::Display| {
        format!("no engine answers at {} ({error}); start one, or point DOCKER_HOST at one", socket.display())
    };
    let docker = docker(socket).map_err(|error| unavailable(&error))?;
    let docker = docker.negotiate_version().await.map_err(|error| unavailable(&error))?;
    LOADED
        .get_or_try_init(|| load(socket))
        .await
        .map_err(|error| format!("the probe's image can't be loaded: {error}"))?;
    Ok(docker)
}

/// Loads the probe's image into the engine at the socket.
pub(crate) async fn load(socket: &Path) -> Result<()> {
    let config = DockerConfig::from_value(&json!({ "host": format!("unix://{}", socket.display()) }))?;
    longshore_docker::load_image(&config, longshore_probe::image_archive(IMAGE).into()).await
}

/// An executor for the engine at the given address, with further settings of the host; `allow` is the operator's.
pub(crate) fn executor(address: &str, mut settings: Value, state: &Path) -> Result<Arc<dyn ContainerExecutor>> {
    let allow = settings.as_object_mut().and_then(|settings| settings.remove("allow")).unwrap_or_else(|| json!({}));
    let mut config = json!({ "host": address });
    if let (Value::Object(config), Value::Object(settings)) = (&mut config, settings) {
        config.extend(settings);
    }
    let mut registry = ExecutorRegistry::new();
    longshore_docker::register(&mut registry);
    let host = ExecutionHost::builder()
        .name("kit".parse()?)
        .executor_type("docker".parse()?)
        .executor_config(config)
        .allow(serde_json::from_value(allow).unwrap())
        .build();
    registry.build(&host, &ExecutorContext::new(state))
}

/// The least template that runs the probe. It needs no network, and an engine is quicker without.
pub(crate) fn probe() -> JobTemplate {
    JobTemplate::builder()
        .network(longshore_core::Network::None)
        .name("kit".parse().unwrap())
        .image(IMAGE.parse::<longshore_core::ImageSource>().unwrap())
        .build()
}
