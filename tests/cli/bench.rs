//! Where a test runs the program: a home of its own, an owner of its own, and the engine behind its back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bollard::{
    Docker,
    errors::Error,
    models::{ContainerInspectResponse, ContainerSummary},
    query_parameters::{KillContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder},
};
use longshore_docker::DockerConfig;
use longshore_testkit::proxy::FaultProxy;
use std::{collections::HashMap, path::PathBuf};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::program::Run;

/// The probe's image under a name that no registry has.
pub(crate) const IMAGE: &str = "longshore.test/end-to-end:1";

/// The engine's unix socket: what `DOCKER_HOST` names, else the usual one.
#[expect(clippy::disallowed_methods, reason = "DOCKER_HOST is where the engine is, by convention")]
fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").ok();
    PathBuf::from(host.as_deref().and_then(|host| host.strip_prefix("unix://")).unwrap_or("/var/run/docker.sock"))
}

/// The engine, with the probe's image, or why there is none.
pub(crate) async fn engine() -> Result<Docker, String> {
    static LOADED: OnceCell<()> = OnceCell::const_new();
    let socket = socket();
    let unavailable = |error: Error| {
        format!("no engine answers at {} ({error}); `scripts/engine start` starts one", socket.display())
    };
    let docker = Docker::connect_with_unix(&socket.to_string_lossy(), 120, bollard::API_DEFAULT_VERSION);
    let docker = docker.map_err(unavailable)?.negotiate_version().await.map_err(unavailable)?;
    let load = || async {
        let mut config = DockerConfig::default();
        config.host = Some(format!("unix://{}", socket.display()));
        longshore_docker::load_image(&config, longshore_probe::image_archive(IMAGE).into()).await
    };
    LOADED.get_or_try_init(load).await.map_err(|error| format!("the probe's image can't be loaded: {error}"))?;
    Ok(docker)
}

/// A home, an owner, and an engine. All that the owner still has when the test ends is removed.
pub(crate) struct Bench {
    pub(crate) docker: Docker,
    pub(crate) home: TempDir,
    pub(crate) owner: String,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let owner = format!("e2e-{}", uuid::Uuid::now_v7().simple());
        Self { docker: engine().await.unwrap(), home: TempDir::new().unwrap(), owner }
    }

    /// `longshore run OPTIONS… IMAGE -- INSTRUCTIONS…`, with the probe's image.
    pub(crate) fn run(&self, options: &[&str], instructions: &[&str]) -> Run<'_> {
        self.run_image(options, IMAGE, instructions)
    }

    /// The same with another image.
    pub(crate) fn run_image(&self, options: &[&str], image: &str, command: &[&str]) -> Run<'_> {
        let mut words = vec!["run", "--owner", &self.owner];
        words.extend(options);
        words.extend([image, "--"]);
        words.extend(command);
        let address = format!("unix://{}", socket().display());
        Run::new(&words, self.home.path()).env("DOCKER_HOST", address).on(self)
    }

    /// A proxy in front of the engine, to be named by `--host`.
    pub(crate) async fn proxy(&self) -> FaultProxy {
        let folder = self.home.path().join("proxy");
        std::fs::create_dir(&folder).unwrap();
        FaultProxy::to_unix(socket()).listen_unix(folder).await.unwrap()
    }

    /// A path in the home, below which there is nothing yet.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What the owner has in the engine, running or not.
    pub(crate) async fn containers(&self) -> Vec<ContainerSummary> {
        containers(&self.docker, &self.owner).await.unwrap()
    }

    /// The owner's only container.
    pub(crate) async fn container(&self) -> ContainerInspectResponse {
        let containers = self.containers().await;
        assert_eq!(containers.len(), 1, "{containers:?}");
        self.docker.inspect_container(containers[0].id.as_ref().unwrap(), None).await.unwrap()
    }

    /// Somebody else sends the owner's only container a signal.
    pub(crate) async fn kill(&self, signal: &str) {
        let id = self.container().await.id.unwrap();
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        self.docker.kill_container(&id, Some(options)).await.unwrap();
    }

    /// Somebody removes the owner's only container, whatever it does.
    pub(crate) async fn remove(&self) {
        let id = self.container().await.id.unwrap();
        remove(&self.docker, &id).await.unwrap();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let (docker, owner) = (self.docker.clone(), self.owner.clone());
        // The test's own runtime is blocked by this very drop.
        let sweep = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for container in containers(&docker, &owner).await.unwrap_or_default() {
                    let _ = remove(&docker, &container.id.unwrap()).await;
                }
            });
        };
        let _ = std::thread::spawn(sweep).join();
    }
}

async fn containers(docker: &Docker, owner: &str) -> Result<Vec<ContainerSummary>, Error> {
    let filters = HashMap::from([("label", vec![format!("longshore.owner={owner}")])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    docker.list_containers(Some(options)).await
}

async fn remove(docker: &Docker, id: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    docker.remove_container(id, Some(options)).await
}
