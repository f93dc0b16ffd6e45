//! What this machine gives to containers, found out by trying.

use jiff::Timestamp;
use longshore_core::{ByteSize, Cpu, Error, ErrorKind, HostFacts, Platform, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::Access;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::Path};

use crate::{
    config::{EmbeddedConfig, RootFilesystem},
    groups,
    helper::Helpers,
    machine,
    state::{Home, RuntimeId},
    supervisor::{NetworkHelper, Task},
};

/// Keys of [`HostFacts::details`] that plans look at.
pub(crate) const LIMITS: &str = "limits";
pub(crate) const ROOT: &str = "root_filesystem";
pub(crate) const NETWORK: &str = "network_helper";
pub(crate) const NO_NETWORK: &str = "network_missing";
pub(crate) const USERS: &str = "users";
pub(crate) const RUNTIME: &str = "runtime_id";

/// What a try found out.
#[derive(Debug, Serialize, Deserialize)]
struct Tried {
    /// Why overlayfs can't be had, if it can't.
    overlay: Option<String>,
}

/// Looks at this machine, and tries in a process of its own what only trying tells.
///
/// # Errors
/// `Unsupported` where no container can be run by this user, and the way out.
pub(crate) async fn discover(
    config: &EmbeddedConfig,
    helpers: &Helpers,
    home: &Home,
    now: Timestamp,
) -> Result<HostFacts> {
    home.open()?;
    let runtime = home.id()?;
    let trial = home.path().join(format!("try.{}", uuid::Uuid::new_v4().simple()));
    let answer = helpers.perform(&Task::Try(trial), None).await.map_err(no_containers)?;
    let tried: Tried = serde_json::from_str(&answer).map_err(|error| {
        let program = helpers.program().map(|program| program.display().to_string()).unwrap_or_default();
        let message = format!("the supervisor {program} answered {answer:?}; is it the Longshore of this program?");
        Error::new(ErrorKind::Unexpected, message).with_source(error)
    })?;
    let platform: Option<Platform> = format!("linux/{}", architecture()).parse().ok();
    Ok(HostFacts::builder()
        .discovered_at(now)
        .engine(format!("Longshore embedded {}", env!("CARGO_PKG_VERSION")))
        .platforms(platform.into_iter().collect())
        .maybe_cpu(cpus())
        .maybe_memory(memory())
        .details(details(config, helpers, &tried, &runtime))
        .build())
}

fn no_containers(error: Error) -> Error {
    if error.kind() == ErrorKind::Unsupported {
        return error;
    }
    let message = "this user can't run containers here; allow unprivileged user namespaces (sysctl \
                   user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), \
                   or run as root outside of a container";
    Error::new(ErrorKind::Unsupported, message).with_source(error)
}

fn details(config: &EmbeddedConfig, helpers: &Helpers, tried: &Tried, runtime: &RuntimeId) -> BTreeMap<String, String> {
    let overlay = config.root_filesystem != RootFilesystem::Copy && tried.overlay.is_none();
    let network = network_helper(config.network_helper.as_deref());
    let limits = groups::parent(config, helpers)
        .map(|parent| groups::limits(&parent, helpers.identity.is_rootless()))
        .unwrap_or_default();
    let pairs = [
        (LIMITS, Some(limits.join(","))),
        (ROOT, Some(if overlay { "overlay" } else { "copy" }.to_owned())),
        ("overlay_missing", tried.overlay.clone()),
        (NETWORK, network.as_ref().ok().map(|helper| helper.path().display().to_string())),
        (NO_NETWORK, network.err().map(str::to_owned)),
        (RUNTIME, Some(runtime.to_string())),
        (USERS, Some(helpers.identity.users().to_string())),
        ("rootless", Some(helpers.identity.is_rootless().to_string())),
        ("cgroups", Some(groups::hierarchy().to_owned())),
        ("kernel", kernel()),
    ];
    pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// The kernel's name for a machine as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn cpus() -> Option<Cpu> {
    let cores = std::thread::available_parallelism().ok()?.get();
    Cpu::from_millis(u32::try_from(cores).ok()?.saturating_mul(1000))
}

fn memory() -> Option<ByteSize> {
    let table = fs::read_to_string("/proc/meminfo").ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    ByteSize::from_bytes(kibibytes * 1024)
}

fn kernel() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|release| release.trim().to_owned())
}

/// What gives a container's own network a way out, or what is missing for it.
pub(crate) fn network_helper(configured: Option<&Path>) -> Result<NetworkHelper, &'static str> {
    let helper = match configured {
        Some(path) => named(path).ok_or(
            "executor_config.network_helper names neither a slirp4netns nor a pasta that can be executed; correct it",
        )?,
        None => ["slirp4netns", "pasta"]
            .iter()
            .find_map(|name| named(&machine::program(name)?))
            .ok_or("neither slirp4netns nor pasta is installed; install one of them (Debian: slirp4netns, or passt)")?,
    };
    rustix::fs::access("/dev/net/tun", Access::READ_OK | Access::WRITE_OK).map_err(
        |_| "/dev/net/tun is not there or not open to this user; load the module tun, and chmod 666 /dev/net/tun",
    )?;
    Ok(helper)
}

fn named(path: &Path) -> Option<NetworkHelper> {
    rustix::fs::access(path, Access::EXEC_OK).ok()?;
    NetworkHelper::of_path(path)
}

/// What was found to give a network a way out, or to be missing for it.
pub(crate) fn helper_of(facts: &HostFacts) -> Result<NetworkHelper, String> {
    let missing = || facts.details.get(NO_NETWORK).cloned().unwrap_or_else(|| "discover the host again".to_owned());
    facts.details.get(NETWORK).and_then(|path| NetworkHelper::of_path(Path::new(path))).ok_or_else(missing)
}

impl NetworkHelper {
    fn of_path(path: &Path) -> Option<Self> {
        match path.file_name()?.to_str()? {
            "slirp4netns" => Some(Self::Slirp(path.to_owned())),
            "pasta" => Some(Self::Pasta(path.to_owned())),
            _ => None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Pasta(path) | Self::Slirp(path) => path,
        }
    }
}

/// True when a comma-separated detail holds the word.
pub(crate) fn detail_has(facts: &HostFacts, key: &str, word: &str) -> bool {
    facts.details.get(key).is_some_and(|list| list.split(',').any(|item| item == word))
}

/// Tries in this process, which is there for nothing else, what containers need: a mount namespace, and overlayfs on the
/// file system of the folder.
pub(crate) fn try_here(folder: &Path, rootless: bool) -> io::Result<String> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
    for name in ["lower", "upper", "work", "root"] {
        fs::create_dir_all(folder.join(name))?;
    }
    std::env::set_current_dir(folder)?;
    let user = if rootless { ",userxattr" } else { "" };
    let options = format!("lowerdir=lower,upperdir=upper,workdir=work{user}");
    let mounted = mount(Some("overlay"), "root", Some("overlay"), MsFlags::empty(), Some(options.as_str()));
    let overlay = mounted.and_then(|()| umount2("root", MntFlags::MNT_DETACH)).err();
    std::env::set_current_dir("/")?;
    crate::remove::tree(folder)?;
    let tried = Tried { overlay: overlay.map(|error| error.desc().to_owned()) };
    serde_json::to_string(&tried).map_err(io::Error::other)
}
