//! The fake of Cloud Run as the kit sees it: one for each case.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use longshore_cloudrun::{CloudRunConfig, CloudRunExecutor};
use longshore_core::{
    ByteSize, Clock, ContainerExecutor, Error, ErrorKind, ExecutionHandle, ExecutionHost, ExecutorContext, ImageSource,
    JobTemplate, LaunchToken, Result, SecretReference, Signal,
};
use longshore_testkit::{
    Fault,
    fakes::{
        ScaledClock,
        cloudrun::{FakeCloudRun, Options},
    },
    kit::{Harness, Loss, Outside, SetupError},
};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

/// How many times faster than ours the fake's time runs.
const SPEED: u32 = 40;
/// How many times slower than a container engine Cloud Run is.
const PACE: u32 = 10;
/// How long a token lasts, at that speed.
const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Where jobs are created.
const JOBS: &str = "/v2/projects/*/locations/*/jobs";

/// A fake, its clock, and the folder that each of its executors is given.
pub(crate) struct FakeHarness {
    pub(crate) fake: FakeCloudRun,
    clock: Arc<dyn Clock>,
    pub(crate) state: TempDir,
}

impl FakeHarness {
    pub(crate) async fn start() -> Result<Self, SetupError> {
        Self::with(Options::default()).await
    }

    /// A fake that is set up in a way of its own.
    pub(crate) async fn with(options: Options) -> Result<Self, SetupError> {
        let broken = |error: String| SetupError::broken(error);
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::times(SPEED));
        let fake = FakeCloudRun::start(Arc::clone(&clock), options).await.map_err(|error| broken(error.to_string()))?;
        let state = TempDir::new().map_err(|error| broken(error.to_string()))?;
        let this = Self { fake, clock, state };
        this.write_token().map_err(|error| broken(error.to_string()))?;
        Ok(this)
    }

    /// Puts a token that is good now where the executors read it.
    pub(crate) fn write_token(&self) -> std::io::Result<()> {
        std::fs::write(self.state.path().join("token"), self.fake.issue_token(TOKEN_LIFETIME))
    }

    /// An executor that asks at the given address.
    pub(crate) fn at(&self, endpoint: &str) -> Result<CloudRunExecutor> {
        let mut config = self.config();
        if endpoint != self.fake.endpoint() {
            config["endpoint"] = endpoint.into();
            config["logging_endpoint"] = endpoint.into();
        }
        self.of(&config)
    }

    pub(crate) fn config(&self) -> serde_json::Value {
        let token = self.state.path().join("token");
        serde_json::json!({
            "project": self.fake.project(),
            "region": self.fake.region(),
            "endpoint": self.fake.endpoint(),
            "logging_endpoint": self.fake.logging_endpoint(),
            // The network is not faster than the machine's time.
            "request_timeout": "1h",
            "credentials": { "token": format!("file:{}", token.display()) },
        })
    }

    pub(crate) fn of(&self, config: &serde_json::Value) -> Result<CloudRunExecutor> {
        let host = ExecutionHost::builder().name("kit".parse()?).executor_type("cloudrun".parse()?).build();
        let context = ExecutorContext::new(self.state.path()).with_clock(Arc::clone(&self.clock));
        CloudRunExecutor::new(&host, CloudRunConfig::from_value(config)?, &context)
    }
}

fn template(image: &str) -> JobTemplate {
    let image: ImageSource = image.parse().expect("the harness writes its images well");
    JobTemplate::builder().name("kit".parse().expect("a name of letters")).image(image).build()
}

fn done(happened: bool) -> Result<Outside> {
    if happened { Ok(Outside::Done) } else { Err(Error::new(ErrorKind::NotFound, "nothing runs under this name")) }
}

#[async_trait]
impl Harness for FakeHarness {
    async fn executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        Ok(Arc::new(self.at(&self.fake.endpoint())?))
    }

    async fn unreachable_executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        Ok(Arc::new(self.at(&self.fake.unreachable_endpoint())?))
    }

    /// The loss is between the executor and Cloud Run: of the creation itself, or of its answer.
    async fn lossy_executor(&self, loss: Loss) -> Result<Arc<dyn ContainerExecutor>> {
        let create = Fault::on(longshore_http::Method::POST, JOBS);
        self.fake.api().inject(match loss {
            Loss::BeforeEffect => create.reset_before(),
            _ => create.reset_after(),
        });
        self.executor().await
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    fn probe(&self) -> JobTemplate {
        template(self.fake.probe_image())
    }

    fn missing_image(&self) -> JobTemplate {
        template(self.fake.missing_image())
    }

    async fn kill_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        done(self.fake.kill(&handle.external_execution_id, Signal::KILL))
    }

    async fn remove_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        done(self.fake.remove_job(&handle.token.to_string()))
    }

    async fn starts(&self, token: &LaunchToken) -> Result<Option<u32>> {
        Ok(Some(self.fake.starts(&token.to_string())))
    }

    async fn store_secret(&self, value: &[u8]) -> Result<Option<SecretReference>> {
        self.fake.add_secret("kit", value);
        Ok(Some("provider:kit".parse()?))
    }

    fn memory_limit(&self) -> ByteSize {
        ByteSize::from_mib(512)
    }

    fn pace(&self) -> u32 {
        PACE
    }
}
