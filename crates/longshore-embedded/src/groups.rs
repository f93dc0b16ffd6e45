//! Which limits hold here: found out by making a control group, as libcontainer would.

use std::{
    fs,
    path::{Path, PathBuf},
};
use uuid::Uuid;

use crate::{config::EmbeddedConfig, helper::Helpers};

/// Where hierarchies are mounted (`cgroups(7)`).
const ROOT: &str = "/sys/fs/cgroup";
/// Where root's containers have their control groups.
const PARENT: &str = "/longshore";
/// The resources that can be limited, by their controllers' names, and the file that limits them in version 2.
const LIMITS: [(&str, &str); 3] = [("memory", "memory.max"), ("cpu", "cpu.max"), ("pids", "pids.max")];

/// The control group in which containers get groups of their own; `None` where they can't.
pub(crate) fn parent(config: &EmbeddedConfig, helpers: &Helpers) -> Option<PathBuf> {
    match &config.cgroup_parent {
        Some(parent) => Some(parent.clone()),
        None => (!helpers.identity.is_rootless()).then(|| PathBuf::from(PARENT)),
    }
}

/// Which limits hold in groups below the parent. None at all where one hierarchy takes no group: a container is in a group
/// of every hierarchy, or of none.
pub(crate) fn limits(parent: &Path, rootless: bool) -> Vec<&'static str> {
    let trial = parent.strip_prefix("/").unwrap_or(parent).join(format!("try-{}", Uuid::new_v4().simple()));
    if is_unified() { in_unified(&trial) } else { in_hierarchies(&trial, rootless) }
}

/// The version of control groups, as people call it.
pub(crate) fn hierarchy() -> &'static str {
    let unified = Path::new(ROOT).join("unified").is_dir();
    match (is_unified(), unified) {
        (true, _) => "v2",
        (false, true) => "hybrid",
        (false, false) => "v1",
    }
}

fn is_unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

fn in_hierarchies(trial: &Path, rootless: bool) -> Vec<&'static str> {
    let Ok(hierarchies) = fs::read_dir(ROOT) else { return Vec::new() };
    let folders = hierarchies.filter_map(|entry| Some(entry.ok()?.path()));
    let mounted: Vec<PathBuf> = folders.filter(|folder| folder.join("cgroup.procs").exists()).collect();
    // libcontainer uses neither version 2 beside version 1, nor the init system's hierarchy, and nobody delegates devices.
    let unused: &[&str] = if rootless { &["unified", "systemd", "devices"] } else { &["unified", "systemd"] };
    let used = mounted.iter().filter(|folder| !unused.iter().any(|name| folder.ends_with(name)));
    let takes = |folder: &PathBuf| {
        let group = folder.join(trial);
        let made = fs::create_dir_all(&group).is_ok();
        let _ = fs::remove_dir(group);
        made
    };
    if !used.clone().all(takes) {
        return Vec::new();
    }
    LIMITS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| Path::new(ROOT).join(name).join("cgroup.procs").exists())
        .collect()
}

/// A controller must be handed down by every group above.
fn in_unified(trial: &Path) -> Vec<&'static str> {
    let group = Path::new(ROOT).join(trial);
    let mut above = PathBuf::from(ROOT);
    for part in trial {
        for (name, _) in LIMITS {
            let _ = fs::write(above.join("cgroup.subtree_control"), format!("+{name}"));
        }
        above.push(part);
        if fs::create_dir(&above).is_err() && !above.is_dir() {
            return Vec::new();
        }
    }
    let held = LIMITS.iter().filter(|(_, file)| group.join(file).exists()).map(|(name, _)| *name).collect();
    let _ = fs::remove_dir(group);
    held
}
