//! A real account as the kit sees it, with a ceiling on what it may cost.

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use longshore_cloudrun::{CloudRunConfig, CloudRunExecutor};
use longshore_core::{
    ByteSize, Clock, ContainerExecutor, Error, ErrorKind, ExecutionHost, ExecutorContext, ImageSource, JobTemplate,
    Result, SecretReference, SystemClock,
};
use longshore_testkit::kit::{Harness, SetupError};
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;

use crate::metered::{Budget, Metered};

/// How many times slower than a container engine the real service is.
const PACE: u32 = 10;
/// No job of the kit lives longer, whatever becomes of whoever launched it.
const LONGEST: Duration = Duration::from_secs(1_800);
/// How many jobs are created at most when the file does not say.
const MOST_JOBS: u32 = 600;

/// What the file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) project: String,
    pub(crate) region: String,
    /// The image of `longshore-probe`.
    pub(crate) probe_image: String,
    /// The file of a service account's key; absent, what is discovered.
    #[serde(default)]
    service_account_key: Option<PathBuf>,
    /// What the jobs run as.
    #[serde(default)]
    service_account: Option<String>,
    /// A secret of the project to which the kit may add versions; absent, the kit's secrets are refused as what they
    /// are, and its cases on them fail.
    #[serde(default)]
    secret: Option<String>,
    #[serde(default = "most_jobs")]
    pub(crate) most_jobs: u32,
    /// A token in place of all these, as `credentials` has it: `file:PATH` or `env:NAME`.
    #[serde(default)]
    token: Option<String>,
    /// The addresses of a gateway, or of a fake.
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    logging_endpoint: Option<String>,
}

const fn most_jobs() -> u32 {
    MOST_JOBS
}

/// An account as the kit sees it.
pub(crate) struct Live {
    account: Account,
    budget: Arc<Budget>,
    state: TempDir,
}

impl Live {
    pub(crate) fn start(account: Account, budget: Arc<Budget>) -> Result<Self, SetupError> {
        let state = TempDir::new().map_err(|error| SetupError::broken(error.to_string()))?;
        Ok(Self { account, budget, state })
    }

    fn at(&self, endpoint: Option<&str>) -> Result<Arc<dyn ContainerExecutor>> {
        let mut config = serde_json::json!({
            "project": self.account.project,
            "region": self.account.region,
            "max_run_time": format!("{}s", LONGEST.as_secs()),
        });
        let addresses = [("endpoint", &self.account.endpoint), ("logging_endpoint", &self.account.logging_endpoint)];
        for (name, own) in addresses {
            if let Some(address) = endpoint.or(own.as_deref()) {
                config[name] = address.into();
            }
        }
        if let Some(token) = &self.account.token {
            config["credentials"] = serde_json::json!({ "token": token });
        }
        if let Some(key) = &self.account.service_account_key {
            config["credentials"] = serde_json::json!({ "service_account_key": key });
        }
        if let Some(account) = &self.account.service_account {
            config["service_account"] = account.clone().into();
        }
        let host = ExecutionHost::builder().name("kit-live".parse()?).executor_type("cloudrun".parse()?).build();
        let context = ExecutorContext::new(self.state.path());
        let executor = CloudRunExecutor::new(&host, CloudRunConfig::from_value(&config)?, &context)?;
        Ok(Arc::new(Metered::new(Arc::new(executor), Arc::clone(&self.budget))))
    }

    fn template(&self, image: &str) -> JobTemplate {
        let image: ImageSource = image.parse().unwrap_or_else(|error| panic!("probe_image: {error}"));
        let name = "kit".parse().unwrap_or_else(|error| panic!("a name of letters: {error}"));
        JobTemplate::builder().name(name).image(image).build()
    }
}

#[async_trait]
impl Harness for Live {
    async fn executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        self.at(None)
    }

    async fn unreachable_executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        // Port 9 is nobody's on an ordinary machine.
        self.at(Some("http://127.0.0.1:9"))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    fn probe(&self) -> JobTemplate {
        self.template(&self.account.probe_image)
    }

    fn missing_image(&self) -> JobTemplate {
        let image = self.account.probe_image.split(['@', ':']).next().unwrap_or_default();
        self.template(&format!("{image}:no-such-tag-of-the-kit"))
    }

    async fn store_secret(&self, value: &[u8]) -> Result<Option<SecretReference>> {
        let Some(secret) = &self.account.secret else { return Ok(None) };
        let refused = |error| Error::new(ErrorKind::SecretUnavailable, format!("no version of the secret: {error}"));
        let provider = gcp_auth::provider().await.map_err(|error| refused(error.to_string()))?;
        let scopes = ["https://www.googleapis.com/auth/cloud-platform"];
        let token = provider.token(&scopes).await.map_err(|error| refused(error.to_string()))?;
        let address = format!(
            "https://secretmanager.googleapis.com/v1/projects/{}/secrets/{secret}:addVersion",
            self.account.project
        );
        let body = serde_json::json!({ "payload": { "data": BASE64_STANDARD.encode(value) } });
        let answer = reqwest::Client::new()
            .post(address)
            .bearer_auth(token.as_str())
            .body(body.to_string())
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(|error| refused(error.without_url().to_string()))?;
        let text = answer.text().await.map_err(|error| refused(error.to_string()))?;
        let version: serde_json::Value = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let number = version["name"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or("latest");
        Ok(Some(format!("provider:{secret}:{number}").parse()?))
    }

    fn memory_limit(&self) -> ByteSize {
        ByteSize::from_mib(512)
    }

    fn pace(&self) -> u32 {
        PACE
    }
}
