//! Services of a test's own, on free addresses, ended by their process ids when the test ends.

use bollard::Docker;
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

use crate::support;

/// How long a service may take to answer.
const READY: Duration = Duration::from_secs(60);

/// True when a program of this name is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    let looked = Command::new("which").arg(program).stdout(Stdio::null()).stderr(Stdio::null()).status();
    looked.is_ok_and(|status| status.success())
}

/// A process that ends with its owner.
struct Service(Child);

impl Service {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).process_group(0).spawn().unwrap())
    }

    /// Sends a signal by the process id, and waits for the end.
    fn end(&mut self, signal: &str) {
        let pid = self.0.id().to_string();
        if self.0.try_wait().unwrap().is_none() {
            Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        }
        self.0.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end("TERM");
    }
}

/// A Docker Engine of the test's own: its own socket, data and containerd, without a bridge.
pub(crate) struct PrivateEngine {
    folder: TempDir,
    options: Vec<String>,
    daemon: Option<Service>,
}

impl PrivateEngine {
    /// Why there can be none, if so.
    pub(crate) fn missing() -> Option<String> {
        let root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        (!root || !is_installed("dockerd")).then(|| {
            "a Docker Engine of the test's own needs root, dockerd and unshare; install docker.io and util-linux"
                .to_owned()
        })
    }

    pub(crate) async fn start(options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("ls-engine-").tempdir().unwrap();
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
        let began = Instant::now();
        while !self.answers().await {
            let log = || std::fs::read_to_string(path("log")).unwrap_or_default();
            let last = || log().lines().rev().take(5).collect::<Vec<_>>().join("\n");
            assert!(began.elapsed() < READY, "the private engine does not answer: {}", last());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
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
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|path| path.starts_with(&*self.folder.path().to_string_lossy()));
        for mount in below.collect::<Vec<_>>().into_iter().rev() {
            let _ = Command::new("umount").arg("-l").arg(mount).stderr(Stdio::null()).status();
        }
    }
}

/// An image registry of the test's own on loopback; with a user and a password when it is locked.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    _folder: TempDir,
    _service: Service,
}

impl Registry {
    pub(crate) const USER: &str = "tester";
    pub(crate) const PASSWORD: &str = "open-sesame";
    /// The password above as `htpasswd -B` writes it.
    const HTPASSWD: &str = "tester:$2b$04$vkXzo2Ai8ioH71RP3vggiuxX1j6vYHAxF4Bz7cbEiqT49VCCnYCMu\n";

    /// Why there can be none, if so.
    pub(crate) fn missing() -> Option<String> {
        (!is_installed("docker-registry"))
            .then(|| "a registry of the test's own needs docker-registry; install docker-registry".to_owned())
    }

    pub(crate) async fn start(locked: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (storage, users) = (folder.path().join("storage"), folder.path().join("users"));
        std::fs::write(&users, Self::HTPASSWD).unwrap();
        let auth = if locked {
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display())
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{auth}",
            storage.display()
        );
        let path = folder.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let service = Service::start(&mut command);
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < READY, "the registry does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { address, _folder: folder, _service: service }
    }
}
