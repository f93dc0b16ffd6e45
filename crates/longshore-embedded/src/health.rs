//! What containers need of a machine, looked at as a person would.

use longshore_core::{Finding, Health, HostFacts, find_logins};
use std::path::Path;

use crate::{
    facts::{LIMITS, NETWORK, NO_NETWORK, ROOT, USERS},
    helper::Helpers,
    state::Home,
};

/// What was found out, in the order in which a person would look.
pub(crate) async fn findings(
    facts: &HostFacts,
    helpers: &Helpers,
    home: &Home,
    docker_config: Option<&Path>,
) -> Health {
    let detail = |key: &str| facts.details.get(key).map_or("", String::as_str);
    let supervisor = helpers.program().map(|program| program.display().to_string()).unwrap_or_default();
    let limits = match detail(LIMITS) {
        "" => "none: this user has no control groups of its own; root has, or executor_config.cgroup_parent names some"
            .to_owned(),
        limits => format!("{limits} (control groups {})", detail("cgroups")),
    };
    let root = match (detail(ROOT), detail("overlay_missing")) {
        ("copy", why) if !why.is_empty() => format!("copied for each container: overlayfs says {why}"),
        (form, _) => form.to_owned(),
    };
    let network = match detail(NETWORK) {
        "" => format!("no way out: {}", detail(NO_NETWORK)),
        helper => format!("a way out through {helper}"),
    };
    let users = match detail(USERS) {
        "1" => "one: root; ranges in /etc/subuid and /etc/subgid and newuidmap give more".to_owned(),
        users => users.to_owned(),
    };
    Health::new(vec![
        Finding::new("engine", true, facts.engine.clone()),
        Finding::new("supervisor", true, supervisor),
        Finding::new("limits", !detail(LIMITS).is_empty() || helpers.identity.is_rootless(), limits),
        Finding::new("root", true, root),
        Finding::new("network", true, network),
        Finding::new("users", true, users),
        find_logins(docker_config).await,
        Finding::new("state", true, format!("{} can be written", home.path().display())),
    ])
}
