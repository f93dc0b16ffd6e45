//! What the author of an executor tells the kit.

use async_trait::async_trait;
use longshore_core::{
    ByteSize, Clock, ContainerExecutor, Error, ExecutionHandle, ImageFormat, JobTemplate, LaunchToken, NetworkName,
    Result, SecretReference,
};
use std::{fmt, sync::Arc};

use super::altered::Altered;

/// A place to run containers, and the ways to trouble it.
///
/// A harness is made anew for each case, inside that case's own current-thread tokio runtime; cases run at the
/// same time and share nothing but the place. A place that lives in memory may call `tokio::time::pause()` in
/// its set-up: hours then take no time.
///
/// Five methods are needed. What the others leave at their default is either asserted in a simpler way, or its
/// case is shown as ignored together with the reason; each says which.
///
/// The executor must declare [`Capability::Command`](longshore_core::Capability::Command): the kit tells its
/// workload what to do by arguments.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A fresh instance, attached to the same place: what a restarted program would have. It has not discovered
    /// anything yet, and shares no memory with any other instance.
    ///
    /// # Errors
    /// When there is none; the case fails.
    async fn executor(&self) -> Result<Arc<dyn ContainerExecutor>>;

    /// An instance for the same host whose provider can't be reached, such as one aimed at a port where nobody
    /// listens.
    ///
    /// # Errors
    /// When there is none; the case fails.
    async fn unreachable_executor(&self) -> Result<Arc<dyn ContainerExecutor>>;

    /// The clock by which the executor works.
    fn clock(&self) -> Arc<dyn Clock>;

    /// The least template that runs the probe (`longshore-probe`): the image's entrypoint is the program, and
    /// each argument that the kit adds is one instruction of its language.
    fn probe(&self) -> JobTemplate;

    /// A template whose image does not exist.
    fn missing_image(&self) -> JobTemplate;

    /// A template whose program does not exist in its image. By default the probe's, with another entrypoint.
    fn missing_program(&self) -> JobTemplate {
        with_entrypoint(self.probe(), "/no/such/program")
    }

    /// A template whose program exists and can't be executed. By default the probe's, with a folder that every
    /// platform makes as its entrypoint.
    fn unexecutable_program(&self) -> JobTemplate {
        with_entrypoint(self.probe(), "/etc")
    }

    /// An instance that loses its next launch in the given way and then works as any other.
    ///
    /// By default the launch is lost between the kit and the executor, which proves that the executor finds what
    /// it launched. A harness that loses it between the executor and the provider proves also that the executor
    /// knows an ambiguous answer when it gets one.
    ///
    /// # Errors
    /// When there is none; the case fails.
    async fn lossy_executor(&self, loss: Loss) -> Result<Arc<dyn ContainerExecutor>> {
        Ok(Arc::new(Altered::losing(self.executor().await?, loss)))
    }

    /// Kills the execution's main process with SIGKILL behind the executor's back. By default nobody can, and the
    /// cases that need it are shown as ignored.
    ///
    /// # Errors
    /// When it fails; so does the case.
    async fn kill_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        let _ = handle;
        Ok(Outside::Impossible("this harness has no way to kill an execution behind the executor's back"))
    }

    /// Removes the execution behind the executor's back, running or not. By default nobody can, and the cases that
    /// need it are shown as ignored.
    ///
    /// # Errors
    /// When it fails; so does the case.
    async fn remove_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        let _ = handle;
        Ok(Outside::Impossible("this harness has no way to remove an execution behind the executor's back"))
    }

    /// The same execution's handle in the form of every older version. The kit asserts that there is one for each
    /// version from 1 up to the handle's own. By default there is none: the handle is of version 1.
    fn older_handles(&self, handle: &ExecutionHandle) -> Vec<ExecutionHandle> {
        let _ = handle;
        Vec::new()
    }

    /// How often the attempt's program was really started, by the provider's own record. By default nobody
    /// counts, and the kit concludes it from the log and from what the owner has.
    ///
    /// # Errors
    /// When it can't be told; the case fails.
    async fn starts(&self, token: &LaunchToken) -> Result<Option<u32>> {
        let _ = token;
        Ok(None)
    }

    /// Keeps the value where the provider resolves secrets itself, and returns its reference. By default `None`:
    /// the executor delivers secrets of the launching program, and the kit puts the value into a file.
    ///
    /// # Errors
    /// When it can't be kept; the case fails.
    async fn store_secret(&self, value: &[u8]) -> Result<Option<SecretReference>> {
        let _ = value;
        Ok(None)
    }

    /// A network that exists on the host. By default there is none, and the kit asserts that a name which nobody
    /// has made is refused.
    fn named_network(&self) -> Option<NetworkName> {
        None
    }

    /// A folder of the host that its operator allows to be mounted, with a file `kit` in it that holds `mounted`.
    /// By default there is none, and the kit asserts that a folder which nobody has allowed is refused.
    fn bind_folder(&self) -> Option<String> {
        None
    }

    /// A template that runs the probe as [`probe`](Self::probe) does, from an image in the given format that the
    /// host's operator allows. Nothing lies beside it under the name `no-such-image`. By default there is none, which
    /// fails the cases of each format that the executor declares.
    fn probe_from(&self, format: ImageFormat) -> Option<JobTemplate> {
        let _ = format;
        None
    }

    /// The memory limit under which the probe still runs, and which the kit makes it exceed. By default 64 MiB.
    fn memory_limit(&self) -> ByteSize {
        ByteSize::from_mib(64)
    }

    /// How many times slower the place is than a container engine on the same machine. Every limit that the kit
    /// sets is multiplied by it. By default 1.
    fn pace(&self) -> u32 {
        1
    }
}

fn with_entrypoint(mut template: JobTemplate, program: &str) -> JobTemplate {
    template.entrypoint = Some(vec![program.to_owned()]);
    template
}

/// In which way a launch is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Before it takes effect: the provider never hears of it.
    BeforeEffect,
    /// After it has taken effect: only the answer is lost.
    AfterEffect,
}

/// What became of something done behind the executor's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// It is done.
    Done,
    /// Nobody can do it to this provider, and why.
    Impossible(&'static str),
}

/// Why a harness is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// What it needs is not on this machine. The cases are shown as ignored with this reason; with
    /// `LONGSHORE_REQUIRE_ALL=1` in the environment they fail.
    Unavailable(String),
    /// It should be there, and is not. The cases fail.
    Broken(String),
}

impl SetupError {
    /// What is needed is not on this machine; the reason says what, and how to get it.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable(reason.into())
    }

    /// What should be there is not.
    pub fn broken(reason: impl Into<String>) -> Self {
        Self::Broken(reason.into())
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(reason) => f.write_str(reason),
            Self::Broken(reason) => write!(f, "the harness could not be set up: {reason}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl From<Error> for SetupError {
    fn from(error: Error) -> Self {
        Self::Broken(error.chain())
    }
}
