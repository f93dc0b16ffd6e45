//! The mock as the kit sees it: one provider for each case, on a clock that waits for nobody.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{
    Clock, ContainerExecutor, Error, ErrorKind, ExecutionHandle, ExecutionHost, ExecutorContext, ImageFormat,
    ImageSource, JobTemplate, LaunchIdempotency, LaunchToken, NetworkName, Result, SecretReference, Signal, TokioClock,
};
use longshore_mock::{Images, Loss as MockLoss, MockConfig, MockExecutor, MockProvider};
use longshore_testkit::kit::{Harness, Loss, Outside, SetupError};
use std::{collections::BTreeMap, sync::Arc};
use tempfile::TempDir;

/// A host of the operator's: its network, and its folders for jobs and for images.
const NETWORK: &str = "kit-network-of-the-host";
const FOLDER: &str = "/srv/kit";
const IMAGES: &str = "/srv/images";

/// A provider of the mock, its clock, and the folder that each of its executors is given.
pub(crate) struct MockHarness {
    provider: MockProvider,
    context: ExecutorContext,
    state: TempDir,
}

impl MockHarness {
    /// A place with the given settings; by default it can do everything.
    pub(crate) async fn start(mut config: MockConfig) -> Result<Self, SetupError> {
        tokio::time::pause();
        config.images = Images::builder().missing(["*/no-such-image:*", "*/no-such-image"]).build();
        config.networks.insert(NetworkName::new(NETWORK).map_err(Error::from)?);
        config.folders.insert(FOLDER.to_owned(), BTreeMap::from([("kit".to_owned(), "mounted".to_owned())]));
        let state = TempDir::new().map_err(|error| SetupError::broken(error.to_string()))?;
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::UNIX_EPOCH));
        let context = ExecutorContext::new(state.path()).with_clock(Arc::clone(&clock));
        Ok(Self { provider: MockProvider::new(config, clock), context, state })
    }

    fn over(&self, link: &MockProvider) -> Result<Arc<dyn ContainerExecutor>> {
        let context = ExecutorContext::new(self.state.path()).with_clock(Arc::clone(&self.context.clock));
        let mut host = ExecutionHost::builder().name("kit".parse()?).executor_type("mock".parse()?).build();
        host.allow.image_folders.insert(IMAGES.into());
        Ok(Arc::new(MockExecutor::attach(&host, link, &context)))
    }
}

fn template(image: &str) -> JobTemplate {
    let image: ImageSource = image.parse().expect("the harness writes its images well");
    JobTemplate::builder().name("kit".parse().expect("a name of letters")).image(image).build()
}

fn done(happened: bool) -> Result<Outside> {
    if happened { Ok(Outside::Done) } else { Err(Error::new(ErrorKind::NotFound, "nothing runs under this token")) }
}

#[async_trait]
impl Harness for MockHarness {
    async fn executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        self.over(&self.provider.another_link())
    }

    async fn unreachable_executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        let link = self.provider.another_link();
        link.lose_contact();
        self.over(&link)
    }

    async fn lossy_executor(&self, loss: Loss) -> Result<Arc<dyn ContainerExecutor>> {
        let link = self.provider.another_link();
        match loss {
            Loss::BeforeEffect => link.lose_launch(MockLoss::BeforeEffect),
            Loss::AfterEffect => link.lose_launch(MockLoss::AfterEffect),
            other => return Err(Error::new(ErrorKind::Unsupported, format!("a mock can't lose a launch {other:?}"))),
        }
        self.over(&link)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.context.clock)
    }

    fn probe(&self) -> JobTemplate {
        template("longshore.test/probe:1")
    }

    fn missing_image(&self) -> JobTemplate {
        template("longshore.test/no-such-image:1")
    }

    fn probe_from(&self, format: ImageFormat) -> Option<JobTemplate> {
        Some(template(&format!("{}:{IMAGES}/probe", format.scheme())))
    }

    async fn kill_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        done(self.provider.kill(&handle.token, Signal::KILL))
    }

    async fn remove_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        done(self.provider.remove(&handle.token))
    }

    /// Version 1 had no metadata.
    fn older_handles(&self, handle: &ExecutionHandle) -> Vec<ExecutionHandle> {
        let mut old = handle.clone();
        old.version = 1;
        old.executor_metadata = serde_json::Value::Null;
        vec![old]
    }

    async fn starts(&self, token: &LaunchToken) -> Result<Option<u32>> {
        Ok(Some(self.provider.launches(token)))
    }

    /// A place that knows a launch by its bytes takes no values, and keeps secrets itself.
    async fn store_secret(&self, value: &[u8]) -> Result<Option<SecretReference>> {
        let executor = self.executor().await?;
        if !matches!(executor.capabilities().launch, LaunchIdempotency::ByToken { .. }) {
            return Ok(None);
        }
        self.provider.store_secret("kit", value);
        Ok(Some("provider:kit".parse()?))
    }

    fn named_network(&self) -> Option<NetworkName> {
        NetworkName::new(NETWORK).ok()
    }

    fn bind_folder(&self) -> Option<String> {
        Some(FOLDER.to_owned())
    }
}
