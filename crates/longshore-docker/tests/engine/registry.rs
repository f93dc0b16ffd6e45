//! An image registry on loopback.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
};
use tempfile::TempDir;

use crate::service::{Service, await_answer, is_installed};

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
        command.arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let service = Service::start(&mut command);
        await_answer(&path, async || TcpStream::connect(address).is_ok()).await;
        Self { address, _folder: folder, _service: service }
    }
}
