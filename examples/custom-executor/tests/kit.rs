//! The conformance kit against programs of this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use longshore_core::{
    Clock, ContainerExecutor, Error, ErrorKind, ExecutionHandle, ExecutionHost, ExecutorContext, ExecutorRegistry,
    ImageSource, JobTemplate, Result, SystemClock,
};
use longshore_testkit::kit::{self, Harness, Outside, SetupError};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use tempfile::TempDir;

fn main() -> ExitCode {
    kit::main("programs", async || Programs::start().map_err(|error| SetupError::broken(error.to_string())))
}

/// A state folder and the probe as a program beside it.
struct Programs {
    folder: TempDir,
}

impl Programs {
    fn start() -> io::Result<Self> {
        let folder = TempDir::new()?;
        fs::create_dir(folder.path().join("state"))?;
        fs::write(folder.path().join("probe"), longshore_probe::BINARY)?;
        fs::set_permissions(folder.path().join("probe"), fs::Permissions::from_mode(0o755))?;
        Ok(Self { folder })
    }

    fn executor_in(&self, state: &Path) -> Result<Arc<dyn ContainerExecutor>> {
        let mut registry = ExecutorRegistry::new();
        longshore_example_programs::register(&mut registry);
        let config = serde_json::json!({ "programs": { "probe": self.folder.path().join("probe") } });
        let host = ExecutionHost::builder().name("kit".parse()?).executor_type("programs".parse()?);
        registry.build(&host.executor_config(config).build(), &ExecutorContext::new(state))
    }

    fn folder_of(&self, handle: &ExecutionHandle) -> PathBuf {
        self.folder.path().join("state/programs/kit").join(&handle.external_execution_id)
    }

    /// The program's process, which leads a group of its own.
    fn process(&self, handle: &ExecutionHandle) -> Result<Pid> {
        let stat = fs::read_to_string(self.folder_of(handle).join("process")).map_err(failed)?;
        let pid = stat.split(' ').next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        pid.ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
    }
}

fn template(image: &str) -> JobTemplate {
    JobTemplate::builder().name("kit".parse().unwrap()).image(image.parse::<ImageSource>().unwrap()).build()
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "the harness failed").with_source(error)
}

#[async_trait]
impl Harness for Programs {
    async fn executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        self.executor_in(&self.folder.path().join("state"))
    }

    /// Its state folder is below a file.
    async fn unreachable_executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        self.executor_in(&self.folder.path().join("probe"))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    fn probe(&self) -> JobTemplate {
        template("programs/probe")
    }

    fn missing_image(&self) -> JobTemplate {
        template("programs/nothing")
    }

    async fn kill_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        kill_process(self.process(handle)?, Signal::KILL).map_err(|error| failed(error.into()))?;
        Ok(Outside::Done)
    }

    async fn remove_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        kill_process_group(self.process(handle)?, Signal::KILL).map_err(|error| failed(error.into()))?;
        // Until its supervisor has ended, new files come.
        while let Err(error) = fs::remove_dir_all(self.folder_of(handle)) {
            if error.kind() != io::ErrorKind::DirectoryNotEmpty {
                return Err(failed(error));
            }
        }
        Ok(Outside::Done)
    }
}
