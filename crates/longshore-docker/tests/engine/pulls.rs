//! Pulling images, from a registry on loopback.

use base64::{Engine, prelude::BASE64_STANDARD};
use bollard::{
    auth::DockerCredentials,
    query_parameters::{PushImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder},
};
use futures::TryStreamExt;
use hyper::StatusCode;
use longshore_core::{
    Advice, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ImageSource, JobTemplate, PrepareProgress,
    Progress, PullPolicy, RegistryCredentials, Runner, SystemClock,
};
use longshore_testkit::{
    proxy::{Answer, Fault, FaultProxy},
    suite::Test,
    tests,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tempfile::TempDir;

use crate::{launching::request, local, registry::Registry, support};

pub(crate) const TESTS: &[Test] = &tests![
    an_image_that_is_missing_is_pulled_with_progress,
    the_policy_never_pulls_nothing_and_says_so,
    the_policy_always_pulls_again,
    the_jobs_own_credentials_open_a_locked_registry,
    the_users_docker_configuration_opens_a_locked_registry,
    wrong_or_missing_credentials_are_fatal,
    an_image_that_the_registry_does_not_have_is_fatal,
    a_registry_that_is_down_is_temporary,
    a_registry_that_refuses_for_now_is_temporary,
    a_pull_that_stalls_ends_at_the_start_timeout,
];

/// Puts the probe's image into the registry under a name that nobody else uses, and forgets it in the engine.
async fn pushed(registry: &Registry, through: SocketAddr) -> String {
    let docker = support::engine_at(&local::socket()).await.unwrap();
    let name = format!("{}/probe-{}", registry.address, unique());
    let tag = TagImageOptionsBuilder::new().repo(&name).tag("1").build();
    docker.tag_image(support::IMAGE, Some(tag)).await.unwrap();
    let credentials = DockerCredentials {
        username: Some(Registry::USER.to_owned()),
        password: Some(Registry::PASSWORD.to_owned()),
        ..DockerCredentials::default()
    };
    let options = PushImageOptionsBuilder::new().tag("1").build();
    docker.push_image(&name, Some(options), Some(credentials)).try_collect::<Vec<_>>().await.unwrap();
    forget(&format!("{name}:1")).await;
    format!("{name}:1").replace(&registry.address.to_string(), &through.to_string())
}

fn unique() -> String {
    longshore_core::JobId::new(SystemClock.now()).as_uuid().simple().to_string()
}

async fn forget(image: &str) {
    let docker = support::engine_at(&local::socket()).await.unwrap();
    let _ = docker.remove_image(image, None::<RemoveImageOptions>, None).await;
}

struct Puller {
    executor: Arc<dyn ContainerExecutor>,
    _state: TempDir,
}

impl Puller {
    async fn new(settings: Value) -> Self {
        let state = TempDir::new().unwrap();
        let address = format!("unix://{}", local::socket().display());
        let mut config = json!({ "docker_config": state.path().join("none.json") });
        config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let executor = support::executor(&address, config, state.path()).unwrap();
        executor.discover().await.unwrap();
        Self { executor, _state: state }
    }

    /// Prepares the template's launch; what was reported meanwhile comes with the result.
    async fn prepare(&self, template: JobTemplate) -> (Result<(), Error>, Vec<PrepareProgress>) {
        let (progress, mut reports) = Progress::channel();
        let request = request(self.executor.as_ref(), template);
        let prepared = self.executor.prepare(&request, progress).await;
        let mut reported = Vec::new();
        while let Ok(report) = reports.try_recv() {
            reported.push(report);
        }
        (prepared, reported)
    }
}

fn template(image: &str) -> JobTemplate {
    JobTemplate::builder().name("pull".parse().unwrap()).image(image.parse::<ImageSource>().unwrap()).build()
}

async fn an_image_that_is_missing_is_pulled_with_progress() {
    let registry = Registry::start(false).await;
    let image = pushed(&registry, registry.address).await;
    let puller = Puller::new(json!({})).await;
    let (prepared, reported) = puller.prepare(template(&image)).await;
    prepared.unwrap();
    assert!(!reported.is_empty());
    let (again, reported) = puller.prepare(template(&image)).await;
    again.unwrap();
    assert!(reported.is_empty(), "it is there: {reported:?}");
    forget(&image).await;
}

async fn the_policy_never_pulls_nothing_and_says_so() {
    let registry = Registry::start(false).await;
    let image = pushed(&registry, registry.address).await;
    let puller = Puller::new(json!({})).await;
    let mut template = template(&image);
    template.pull_policy = PullPolicy::Never;
    let error = puller.prepare(template).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageUnavailable);
    assert!(error.message().contains(&image) && error.message().contains("never"), "{error}");
}

async fn the_policy_always_pulls_again() {
    let registry = Registry::start(false).await;
    let image = pushed(&registry, registry.address).await;
    let puller = Puller::new(json!({})).await;
    puller.prepare(template(&image)).await.0.unwrap();
    let mut always = template(&image);
    always.pull_policy = PullPolicy::Always;
    let (prepared, reported) = puller.prepare(always).await;
    prepared.unwrap();
    assert!(!reported.is_empty());
    forget(&image).await;
}

async fn the_jobs_own_credentials_open_a_locked_registry() {
    let registry = Registry::start(true).await;
    let image = pushed(&registry, registry.address).await;
    let folder = TempDir::new().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{}\n", Registry::PASSWORD)).unwrap();
    let mut template = template(&image);
    template.registry_credentials =
        Some(RegistryCredentials::new(Registry::USER, format!("file:{}", password.display()).parse().unwrap()));
    Puller::new(json!({})).await.prepare(template).await.0.unwrap();
    forget(&image).await;
}

async fn the_users_docker_configuration_opens_a_locked_registry() {
    let registry = Registry::start(true).await;
    let image = pushed(&registry, registry.address).await;
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config.json");
    let auth = BASE64_STANDARD.encode(format!("{}:{}", Registry::USER, Registry::PASSWORD));
    let stored = json!({ "auths": { registry.address.to_string(): { "auth": auth } } });
    std::fs::write(&config, stored.to_string()).unwrap();
    Puller::new(json!({ "docker_config": config })).await.prepare(template(&image)).await.0.unwrap();
    forget(&image).await;
}

async fn wrong_or_missing_credentials_are_fatal() {
    let registry = Registry::start(true).await;
    let image = pushed(&registry, registry.address).await;
    let folder = TempDir::new().unwrap();
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "canary-a81f").unwrap();
    let mut with_wrong = template(&image);
    with_wrong.registry_credentials =
        Some(RegistryCredentials::new(Registry::USER, format!("file:{}", wrong.display()).parse().unwrap()));
    let puller = Puller::new(json!({})).await;
    for template in [template(&image), with_wrong] {
        let error = puller.prepare(template).await.0.unwrap_err();
        assert_eq!(
            (error.kind(), error.advice()),
            (ErrorKind::ImageUnavailable, Advice::Permanent),
            "{}",
            error.chain()
        );
        assert!(!format!("{error:?}").contains("canary-a81f") && error.to_string().contains(&image), "{error}");
    }
}

async fn an_image_that_the_registry_does_not_have_is_fatal() {
    let registry = Registry::start(false).await;
    let error =
        Puller::new(json!({})).await.prepare(template(&format!("{}/nothing:1", registry.address))).await.0.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::ImageUnavailable, Advice::Permanent), "{}", error.chain());
}

async fn a_registry_that_is_down_is_temporary() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Puller::new(json!({})).await.prepare(template(&format!("{nobody}/nothing:1"))).await.0.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::ImageUnavailable, Advice::Temporary), "{}", error.chain());
}

async fn a_registry_that_refuses_for_now_is_temporary() {
    let registry = Registry::start(false).await;
    let proxy = FaultProxy::to_tcp(registry.address).listen_tcp().await.unwrap();
    let through = proxy.uri().trim_start_matches("tcp://").parse().unwrap();
    let image = pushed(&registry, through).await;
    let refusal = Answer::new(StatusCode::TOO_MANY_REQUESTS)
        .body(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#);
    proxy.inject(Fault::on_any_method("/v2/**").always().answer_before(refusal));
    let error = Puller::new(json!({})).await.prepare(template(&image)).await.0.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::RateLimited, Advice::Temporary), "{}", error.chain());
}

async fn a_pull_that_stalls_ends_at_the_start_timeout() {
    let registry = Registry::start(false).await;
    let proxy = FaultProxy::to_tcp(registry.address).listen_tcp().await.unwrap();
    let through = proxy.uri().trim_start_matches("tcp://").parse().unwrap();
    let image = pushed(&registry, through).await;
    let stall = proxy.inject(Fault::on_any_method("/v2/**").always().hang_before());
    let mut template = template(&image);
    template.start_timeout = Some(Duration::from_secs(2));
    let puller = Puller::new(json!({})).await;
    let job = ContainerJob::new(template, SystemClock.now());
    let error =
        Runner::new(puller.executor.clone()).run(&job, &longshore_core::CapturedLogs::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("start_timeout") && stall.hits() > 0, "{error}");
    stall.release();
}
