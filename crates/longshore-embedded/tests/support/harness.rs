//! Containers of this machine, as the conformance kit wants them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use longshore_core::{
    Clock, ContainerExecutor, Error, ErrorKind, ExecutionHandle, ImageFormat, JobTemplate, PullPolicy, Result,
    SystemClock,
};
use longshore_testkit::kit::{Harness, Outside, SetupError};
use rustix::{
    event::{PollFd, PollFlags},
    process::{Pid, PidfdFlags, Signal, kill_process},
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};
use tempfile::TempDir;

use crate::support;

/// A state folder, and a folder that jobs may reach, with the probe's image in it.
pub(crate) struct EmbeddedHarness {
    state: TempDir,
    allowed: TempDir,
    image: String,
}

impl EmbeddedHarness {
    pub(crate) fn new() -> Result<Self, SetupError> {
        let broken = |error: std::io::Error| SetupError::broken(error.to_string());
        let (state, allowed) = (TempDir::new().map_err(broken)?, TempDir::new().map_err(broken)?);
        fs::write(allowed.path().join("kit"), "mounted").map_err(broken)?;
        let image = support::images::image(allowed.path(), ImageFormat::DockerArchive);
        Ok(Self { state, allowed, image })
    }

    fn folder(&self, handle: &ExecutionHandle) -> PathBuf {
        self.state.path().join("embedded/executions").join(handle.token.to_string())
    }

    /// The number of a process of the execution.
    fn process(&self, handle: &ExecutionHandle, which: &str) -> Pid {
        let record: Value =
            serde_json::from_slice(&fs::read(self.folder(handle).join("started.json")).unwrap()).unwrap();
        Pid::from_raw(record[which]["pid"].as_i64().unwrap().try_into().unwrap()).unwrap()
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unexpected, "the harness failed").with_source(error)
}

#[async_trait]
impl Harness for EmbeddedHarness {
    async fn executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        support::executor(self.state.path(), self.allowed.path(), json!({}))
    }

    async fn unreachable_executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        let state = self.allowed.path().join("kit/below-a-file");
        support::executor(self.state.path(), self.allowed.path(), json!({ "state_dir": state }))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    fn probe(&self) -> JobTemplate {
        support::probe(&self.image)
    }

    fn missing_image(&self) -> JobTemplate {
        let image: longshore_core::ImageSource = "longshore.test/nothing:1".parse().unwrap();
        JobTemplate::builder().name("missing".parse().unwrap()).image(image).pull_policy(PullPolicy::Never).build()
    }

    fn probe_from(&self, format: ImageFormat) -> Option<JobTemplate> {
        let mut template = support::probe(&support::images::image(self.allowed.path(), format));
        if format == ImageFormat::RootFolder {
            template.entrypoint = Some(vec!["/probe".to_owned()]);
        }
        Some(template)
    }

    async fn kill_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        kill_process(self.process(handle, "init"), Signal::KILL).map_err(failed)?;
        Ok(Outside::Done)
    }

    async fn remove_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        let record: Value =
            serde_json::from_slice(&fs::read(self.folder(handle).join("started.json")).unwrap()).unwrap();
        let init = rustix::process::pidfd_open(self.process(handle, "init"), PidfdFlags::empty()).map_err(failed)?;
        kill_process(self.process(handle, "supervisor"), Signal::KILL).map_err(failed)?;
        // What overlayfs keeps for itself nobody else may enter, until the folder's owner allows it.
        let own = self.folder(handle).join("work/work");
        let _ = fs::set_permissions(own, fs::Permissions::from_mode(0o700));
        fs::remove_dir_all(self.folder(handle)).map_err(failed)?;
        // The container dies with its supervisor, and nobody knows of its control groups any more.
        let ended = || rustix::event::poll(&mut [PollFd::new(&init, PollFlags::IN)], None);
        rustix::io::retry_on_intr(ended).map_err(failed)?;
        for group in record["cgroups"].as_array().into_iter().flatten() {
            let _ = fs::remove_dir(group.as_str().unwrap());
        }
        Ok(Outside::Done)
    }

    fn bind_folder(&self) -> Option<String> {
        Some(self.allowed.path().to_string_lossy().into_owned())
    }
}
