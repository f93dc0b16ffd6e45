//! A real engine, as the conformance kit wants it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use bollard::{
    Docker,
    query_parameters::{KillContainerOptionsBuilder, RemoveContainerOptionsBuilder},
};
use hyper::Method;
use longshore_core::{
    Clock, ContainerExecutor, Error, ErrorKind, ExecutionHandle, JobTemplate, PullPolicy, Result, SystemClock,
};
use longshore_testkit::{
    kit::{Harness, Loss, Outside, SetupError},
    proxy::{Fault, FaultProxy},
};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

use crate::support;

/// An engine at a socket, which has the probe's image.
pub(crate) struct DockerHarness {
    socket: PathBuf,
    docker: Docker,
    state: TempDir,
    allowed: TempDir,
    proxies: Mutex<Vec<(FaultProxy, TempDir)>>,
}

impl DockerHarness {
    /// Not available when no engine answers there.
    pub(crate) async fn at(socket: &Path) -> Result<Self, SetupError> {
        let docker = support::engine_at(socket).await.map_err(SetupError::unavailable)?;
        let broken = |error: std::io::Error| SetupError::broken(error.to_string());
        let (state, allowed) = (TempDir::new().map_err(broken)?, TempDir::new().map_err(broken)?);
        std::fs::write(allowed.path().join("kit"), "mounted").map_err(broken)?;
        Ok(Self { socket: socket.to_owned(), docker, state, allowed, proxies: Mutex::default() })
    }

    fn executor_at(&self, address: &str) -> Result<Arc<dyn ContainerExecutor>> {
        support::executor(address, json!({ "allow": { "bind_mounts": [self.allowed.path()] } }), self.state.path())
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unexpected, "the harness failed").with_source(error)
}

#[async_trait]
impl Harness for DockerHarness {
    async fn executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        self.executor_at(&format!("unix://{}", self.socket.display()))
    }

    async fn unreachable_executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        self.executor_at(&format!("unix://{}/nobody.sock", self.state.path().display()))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    fn probe(&self) -> JobTemplate {
        support::probe()
    }

    fn missing_image(&self) -> JobTemplate {
        let image: longshore_core::ImageSource = "longshore.test/nothing:1".parse().unwrap();
        JobTemplate::builder().name("missing".parse().unwrap()).image(image).pull_policy(PullPolicy::Never).build()
    }

    /// Before the effect, the engine never hears of the launch. After it, the answer to the start is lost, and so is
    /// the look at what it did.
    async fn lossy_executor(&self, loss: Loss) -> Result<Arc<dyn ContainerExecutor>> {
        let folder = TempDir::new().map_err(failed)?;
        let proxy = FaultProxy::to_unix(&self.socket).listen_unix(folder.path()).await.map_err(failed)?;
        let executor = self.executor_at(&proxy.uri())?;
        executor.discover().await?;
        match loss {
            Loss::BeforeEffect => drop(proxy.inject(Fault::on(Method::POST, "/containers/create").reset_before())),
            Loss::AfterEffect => {
                drop(proxy.inject(Fault::on(Method::POST, "/containers/*/start").reset_after()));
                drop(proxy.inject(Fault::on(Method::GET, "/containers/*/json").reset_before()));
            }
            other => {
                return Err(Error::new(ErrorKind::Unsupported, format!("the harness can't lose a launch {other:?}")));
            }
        }
        self.proxies.lock().unwrap().push((proxy, folder));
        Ok(executor)
    }

    async fn kill_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        let options = KillContainerOptionsBuilder::new().signal("KILL").build();
        self.docker.kill_container(&handle.external_execution_id, Some(options)).await.map_err(failed)?;
        Ok(Outside::Done)
    }

    async fn remove_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        self.docker.remove_container(&handle.external_execution_id, Some(options)).await.map_err(failed)?;
        Ok(Outside::Done)
    }

    /// Version 1 held the container's id and nothing else.
    fn older_handles(&self, handle: &ExecutionHandle) -> Vec<ExecutionHandle> {
        let mut old = handle.clone();
        old.version = 1;
        old.executor_metadata = serde_json::Value::Null;
        vec![old]
    }

    fn bind_folder(&self) -> Option<String> {
        Some(self.allowed.path().to_string_lossy().into_owned())
    }
}
