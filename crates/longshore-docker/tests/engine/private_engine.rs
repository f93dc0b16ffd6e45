//! A Docker Engine that a test may end and start at will.

use bollard::Docker;
use std::{io::Write, path::PathBuf, process::Command};
use tempfile::TempDir;

use crate::{
    service::{Service, await_answer, is_installed, is_root, unmount_below},
    support,
};

/// A Docker Engine of the test's own: its own socket, data and containerd, without a bridge.
pub(crate) struct PrivateEngine {
    folder: TempDir,
    options: Vec<String>,
    daemon: Option<Service>,
}

impl PrivateEngine {
    /// Why there can be none, if so.
    pub(crate) fn missing() -> Option<String> {
        (!is_root() || !is_installed("dockerd")).then(|| {
            "a Docker Engine of the test's own needs root, dockerd and unshare; install docker.io and util-linux"
                .to_owned()
        })
    }

    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::start_in(Self::folder(), options).await
    }

    /// With room for so many MiB of images, containers and logs.
    pub(crate) async fn start_small(mebibytes: u32) -> Self {
        let folder = Self::folder();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&data).status().unwrap();
        assert!(mounted.success(), "a small disk can't be mounted");
        Self::start_in(folder, &[]).await
    }

    /// Leaves no room on a small disk; removing the file that is returned gives it back.
    pub(crate) fn fill_disk(&self) -> PathBuf {
        let path = self.folder.path().join("data/filler");
        let mut filler = std::fs::File::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        path
    }

    fn folder() -> TempDir {
        tempfile::Builder::new().prefix("ls-engine-").tempdir().unwrap()
    }

    async fn start_in(folder: TempDir, options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut engine = Self { folder, options, daemon: None };
        engine.restart().await;
        support::load(&engine.socket()).await.unwrap();
        engine
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("d.sock")
    }

    pub(crate) fn docker(&self) -> Docker {
        support::docker(&self.socket()).unwrap()
    }

    /// Starts the daemon on what it has kept, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        let path = |name: &str| self.folder.path().join(name);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path("log")).unwrap();
        // In a network of its own: a daemon without a bridge removes the bridge of every other daemon.
        let mut command = Command::new("unshare");
        command
            .args(["--net", "dockerd"])
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .args(["--bridge=none", "--iptables=false", "--ip-masq=false", "--shutdown-timeout=2"])
            .args(&self.options)
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.daemon = Some(Service::start(&mut command));
        await_answer(&path("log"), || self.answers()).await;
    }

    async fn answers(&self) -> bool {
        match support::docker(&self.socket()) {
            Ok(docker) => docker.ping().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Ends the daemon by the signal; what runs in containers is not asked.
    pub(crate) fn end(&mut self, signal: &str) {
        self.daemon.take().unwrap().end(signal);
        // Its containerd dies with it; where nobody reaps that, the next daemon would take it for alive.
        for name in ["pid", "exec/containerd/containerd.pid"] {
            let _ = std::fs::remove_file(self.folder.path().join(name));
        }
    }
}

impl Drop for PrivateEngine {
    /// A daemon that is told to end also ends its containerd and its containers.
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            drop(daemon);
        }
        unmount_below(self.folder.path());
    }
}
