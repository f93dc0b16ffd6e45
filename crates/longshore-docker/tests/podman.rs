//! The conformance kit against Podman's Docker-compatible service, less what `docs.md` names as different there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/harness.rs"]
mod harness;
#[path = "support/service.rs"]
mod service;
mod support;

use harness::DockerHarness;
use longshore_testkit::kit::{self, SetupError};
use service::{Service, await_answer, is_installed, is_root, unmount_below};
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use tempfile::TempDir;

/// What `docs.md` says of Podman: on cgroup v1 it does not tell a want of memory, and its stamps have whole seconds.
const DIFFERENT: [&str; 2] = ["exits::want_of_memory", "output::records_are_stamped_in_order"];

fn main() -> ExitCode {
    let podman = Podman::start();
    let place = podman.as_ref().map(Podman::socket).map_err(ToString::to_string);
    kit::main_without("podman", &DIFFERENT, move || harness(place.clone()))
}

async fn harness(place: Result<PathBuf, String>) -> Result<DockerHarness, SetupError> {
    DockerHarness::at(&place.map_err(SetupError::unavailable)?).await
}

/// Podman's service with folders and a network of its own.
struct Podman {
    folder: TempDir,
    service: Option<Service>,
}

impl Podman {
    /// As on a machine where neither systemd nor cgroup v2 is sure to be there.
    const CONFIG: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"#;

    fn start() -> Result<Self, String> {
        if !is_root() || !is_installed("podman") || !is_installed("runc") {
            return Err("a Podman service of the test's own needs root, podman, runc and unshare; \
                        install podman, runc and util-linux"
                .to_owned());
        }
        let folder = tempfile::Builder::new().prefix("ls-podman-").tempdir().map_err(|error| error.to_string())?;
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("containers.conf"), Self::CONFIG).map_err(|error| error.to_string())?;
        let log = std::fs::File::create(path("log")).map_err(|error| error.to_string())?;
        let mut command = Command::new("unshare");
        command.args(["--net", "podman", "--root"]).arg(path("root")).arg("--runroot").arg(path("run"));
        command.args(["system", "service", "--time=0"]).arg(format!("unix://{}", path("podman.sock").display()));
        command.env("CONTAINERS_CONF", path("containers.conf")).stdout(log.try_clone().unwrap()).stderr(log);
        let podman = Self { service: Some(Service::start(&mut command)), folder };
        podman.await_socket();
        Ok(podman)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("podman.sock")
    }

    fn await_socket(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answers = async || match support::docker(&self.socket()) {
            Ok(docker) => docker.ping().await.is_ok(),
            Err(_) => false,
        };
        runtime.block_on(await_answer(&self.folder.path().join("log"), answers));
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.service.take());
        unmount_below(Path::new(self.folder.path()));
    }
}
