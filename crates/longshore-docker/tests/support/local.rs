//! The machine's own Docker Engine.

use std::path::PathBuf;

/// The engine's unix socket: what `DOCKER_HOST` names, else the usual one.
#[expect(clippy::disallowed_methods, reason = "DOCKER_HOST is where the engine is, by convention")]
pub(crate) fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").ok();
    PathBuf::from(host.as_deref().and_then(|host| host.strip_prefix("unix://")).unwrap_or("/var/run/docker.sock"))
}
