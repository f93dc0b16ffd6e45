//! An order as an OCI runtime specification. Pure.

use libcontainer::oci_spec::{
    OciSpecError,
    runtime::{
        Capabilities, Linux, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxCpuBuilder, LinuxIdMapping,
        LinuxIdMappingBuilder, LinuxMemoryBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType,
        LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder, Mount, MountBuilder, Process, ProcessBuilder,
        RootBuilder, Spec, SpecBuilder, UserBuilder,
    },
};
use longshore_core::ByteSize;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    cgroup::PLACEHOLDER,
    files::Given,
    order::{Limits, NetworkOrder, Order},
    users::User,
};

/// The version of the specification that this follows.
const VERSION: &str = "1.0.2";
/// The period over which a CPU quota is counted, in microseconds.
const CPU_PERIOD: u64 = 100_000;
/// What a hardened container may write to `/tmp`.
const SCRATCH: u64 = 64 << 20;

/// What tells secrets of the host, or lets a container change it: Docker's list.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// How many inotify instances a container may have. They count against the user that Longshore runs as, who has 128 by
/// default and needs one.
pub(super) const INOTIFY: &str = "user.max_inotify_instances";
pub(super) const INOTIFY_INSTANCES: &str = "32";

/// The hierarchies of version 1, each mounted on its own, which libcontainer leaves open to writing.
fn control_groups() -> Vec<String> {
    let folder = Path::new("/sys/fs/cgroup");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let hierarchies = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("tasks").exists());
    hierarchies.map(|path| path.to_string_lossy().into_owned()).collect()
}

/// What the machine lets a container have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// The group 5, which terminals belong to, exists in the container.
    pub(super) has_terminal_group: bool,
    /// Swap is counted, so that a limit on memory can hold for both.
    pub(super) counts_swap: bool,
}

/// Where what is mounted lies.
pub(super) struct Sources<'a> {
    pub(super) rootfs: &'a Path,
    pub(super) given: &'a [Given],
    /// The order's mounts, one each.
    pub(super) binds: &'a [PathBuf],
}

/// The specification of the order, for the user.
pub(super) fn spec(
    order: &Order,
    user: &User,
    sources: &Sources<'_>,
    circumstances: Circumstances,
) -> Result<Spec, OciSpecError> {
    SpecBuilder::default()
        .version(VERSION)
        .hostname(&order.program.hostname)
        .root(RootBuilder::default().path(sources.rootfs).readonly(order.root.read_only).build()?)
        .process(process(order, user)?)
        .mounts(mounts(order, sources, circumstances)?)
        .linux(linux(order, circumstances)?)
        .build()
}

/// The program's variables are not in it: it is written to a file, and they may hold secrets.
fn process(order: &Order, user: &User) -> Result<Process, OciSpecError> {
    let held: Capabilities = order
        .capabilities
        .iter()
        .filter_map(|name| serde_json::from_value(format!("CAP_{name}").into()).ok())
        .collect();
    let capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(held.clone())
        .effective(held.clone())
        .permitted(held)
        .inheritable(Capabilities::new())
        .ambient(Capabilities::new())
        .build()?;
    let user = UserBuilder::default().uid(user.uid).gid(user.gid).additional_gids(user.groups.clone()).umask(0o022u32);
    ProcessBuilder::default()
        .args(order.program.arguments.clone())
        .env(Vec::new())
        .cwd(&order.program.working_directory)
        .user(user.build()?)
        .no_new_privileges(true)
        .capabilities(capabilities)
        .rlimits(Vec::new())
        .build()
}

fn linux(order: &Order, circumstances: Circumstances) -> Result<Linux, OciSpecError> {
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(order)?)
        .masked_paths(paths(&MASKED))
        .readonly_paths(paths(&READ_ONLY).into_iter().chain(control_groups()).collect::<Vec<_>>());
    if !order.rootless {
        let inotify = HashMap::from([(INOTIFY.to_owned(), INOTIFY_INSTANCES.to_owned())]);
        linux = linux.uid_mappings(everybody()?).gid_mappings(everybody()?).sysctl(inotify);
    }
    if let Some(group) = &order.cgroup {
        linux = linux.cgroups_path(group).resources(resources(&order.limits, circumstances)?);
    } else {
        linux = linux.cgroups_path(format!("/{PLACEHOLDER}"));
    }
    let mut linux = linux.build()?;
    if order.cgroup.is_none() {
        linux.set_resources(None);
    }
    Ok(linux)
}

/// A rootless supervisor is in a user namespace already. As root the container gets one in which every user is itself:
/// what it may do, it may do in its namespaces only.
fn namespaces(order: &Order) -> Result<Vec<LinuxNamespace>, OciSpecError> {
    use LinuxNamespaceType as N;
    let mut kinds = vec![N::Pid, N::Mount, N::Ipc, N::Uts, N::Cgroup];
    kinds.extend((order.network != NetworkOrder::Host).then_some(N::Network));
    kinds.extend((!order.rootless).then_some(N::User));
    kinds.into_iter().map(|kind| LinuxNamespaceBuilder::default().typ(kind).build()).collect()
}

fn everybody() -> Result<Vec<LinuxIdMapping>, OciSpecError> {
    Ok(vec![LinuxIdMappingBuilder::default().container_id(0u32).host_id(0u32).size(u32::MAX).build()?])
}

fn resources(limits: &Limits, circumstances: Circumstances) -> Result<LinuxResources, OciSpecError> {
    let mut resources = LinuxResourcesBuilder::default();
    if let Some(bytes) = limits.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
        let mut memory = LinuxMemoryBuilder::default().limit(bytes);
        // Without swap of its own: a limit that spills into swap is none.
        if circumstances.counts_swap {
            memory = memory.swap(bytes);
        }
        resources = resources.memory(memory.build()?);
    }
    if let Some(millis) = limits.cpu_millis {
        let quota = i64::from(millis) * 100;
        resources = resources.cpu(LinuxCpuBuilder::default().quota(quota).period(CPU_PERIOD).build()?);
    }
    if let Some(pids) = limits.pids {
        resources = resources.pids(LinuxPidsBuilder::default().limit(pids).build()?);
    }
    resources.build()
}

fn mounts(order: &Order, sources: &Sources<'_>, circumstances: Circumstances) -> Result<Vec<Mount>, OciSpecError> {
    let terminals = if circumstances.has_terminal_group { "mode=0620,gid=5" } else { "mode=0620" };
    let shm = format!("mode=1777,size={}", order.shm_bytes);
    let mut mounts = vec![
        mount("proc", "proc", "/proc", "nosuid,noexec,nodev")?,
        mount("tmpfs", "tmpfs", "/dev", "nosuid,strictatime,mode=755,size=65536k")?,
        mount("devpts", "devpts", "/dev/pts", &format!("nosuid,noexec,newinstance,ptmxmode=0666,{terminals}"))?,
        mount("tmpfs", "shm", "/dev/shm", &format!("nosuid,noexec,nodev,{shm}"))?,
        mount("mqueue", "mqueue", "/dev/mqueue", "nosuid,noexec,nodev")?,
        system(order)?,
    ];
    if order.cgroup.is_some() && order.network != NetworkOrder::Host {
        mounts.push(mount("cgroup", "cgroup", "/sys/fs/cgroup", "nosuid,noexec,nodev,relatime,ro")?);
    }
    if order.network == NetworkOrder::Host {
        mounts.push(mount("tmpfs", "tmpfs", "/sys/fs/cgroup", "nosuid,noexec,nodev,ro,size=0k")?);
    }
    let mut own = Vec::new();
    for file in sources.given {
        own.push(bind(&file.source, file.target, file.read_only)?);
    }
    if order.root.read_only && !order.tmpfs.iter().any(|tmpfs| tmpfs.target == "/tmp") {
        own.push(scratch("/tmp", Some(SCRATCH))?);
    }
    for tmpfs in &order.tmpfs {
        own.push(scratch(&tmpfs.target, tmpfs.size.map(ByteSize::bytes))?);
    }
    for (asked, source) in order.mounts.iter().zip(sources.binds) {
        own.push(bind(source, &asked.target, asked.read_only)?);
    }
    // What is mounted below another must come after it.
    own.sort_by_key(|mount: &Mount| mount.destination().components().count());
    mounts.extend(own);
    Ok(mounts)
}

/// A view of the kernel's devices for the container's own network; with the host's network, the host's.
fn system(order: &Order) -> Result<Mount, OciSpecError> {
    match order.network {
        NetworkOrder::Host => mount("bind", "/sys", "/sys", "rbind,rnosuid,rnoexec,rnodev,rro"),
        _ => mount("sysfs", "sysfs", "/sys", "nosuid,noexec,nodev,ro"),
    }
}

fn scratch(target: &str, size: Option<u64>) -> Result<Mount, OciSpecError> {
    let size = size.map(|bytes| format!(",size={bytes}")).unwrap_or_default();
    mount("tmpfs", "tmpfs", target, &format!("nosuid,nodev,noexec,mode=1777{size}"))
}

fn bind(source: &Path, target: &str, read_only: bool) -> Result<Mount, OciSpecError> {
    let access = if read_only { "rro" } else { "rw" };
    let options = ["rbind", "rnosuid", "rnodev", access].map(str::to_owned).to_vec();
    MountBuilder::default().typ("bind").source(source).destination(target).options(options).build()
}

fn mount(kind: &str, source: &str, target: &str, options: &str) -> Result<Mount, OciSpecError> {
    let options: Vec<String> = options.split(',').map(str::to_owned).collect();
    MountBuilder::default().typ(kind).source(source).destination(target).options(options).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::{Program, Root, RootForm};
    use longshore_core::{MountSource, Signal, Tmpfs};

    const CIRCUMSTANCES: Circumstances = Circumstances { has_terminal_group: true, counts_swap: true };

    fn order() -> Order {
        Order {
            folder: "/state/x".into(),
            rootless: false,
            start_by: std::time::Duration::ZERO,
            program: Program {
                arguments: vec!["/entry".to_owned()],
                env: vec!["KEY=hush".to_owned()],
                working_directory: "/srv".to_owned(),
                user: None,
                hostname: "host".to_owned(),
            },
            secrets: Vec::new(),
            root: Root { layers: Vec::new(), lock: None, form: RootForm::Overlay, read_only: false },
            mounts: Vec::new(),
            tmpfs: Vec::new(),
            shm_bytes: 1 << 20,
            limits: Limits { memory_bytes: Some(64 << 20), cpu_millis: Some(500), pids: Some(10) },
            cgroup: Some("/longshore/x".into()),
            capabilities: vec!["CHOWN".to_owned()],
            network: NetworkOrder::None,
            stop_signal: Signal::TERM,
            log_cap: 1,
        }
    }

    fn described(order: &Order) -> serde_json::Value {
        let user = User { uid: 7, gid: 8, groups: vec![9], home: "/".to_owned() };
        let given = [Given { source: "/files/secrets".into(), target: "/run/secrets", read_only: true }];
        let binds: Vec<PathBuf> = (0..order.mounts.len()).map(|number| format!("/binds/{number}").into()).collect();
        let sources = Sources { rootfs: Path::new("/rootfs"), given: &given, binds: &binds };
        serde_json::to_value(spec(order, &user, &sources, CIRCUMSTANCES).unwrap()).unwrap()
    }

    fn namespaces_of(order: &Order) -> Vec<String> {
        let described = described(order);
        let list = described["linux"]["namespaces"].as_array().unwrap();
        list.iter().map(|namespace| namespace["type"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn limits_are_the_kernels_figures() {
        let resources = &described(&order())["linux"]["resources"];
        assert_eq!(
            (resources["memory"]["limit"].as_u64(), resources["memory"]["swap"].as_u64()),
            (Some(64 << 20), Some(64 << 20))
        );
        assert_eq!(
            (resources["cpu"]["quota"].as_u64(), resources["cpu"]["period"].as_u64()),
            (Some(50_000), Some(100_000))
        );
        assert_eq!(resources["pids"]["limit"].as_u64(), Some(10));
        let unlimited = Order { cgroup: None, ..order() };
        assert!(described(&unlimited)["linux"]["resources"].is_null());
    }

    #[test]
    fn each_network_and_user_has_its_namespaces() {
        assert_eq!(namespaces_of(&order()), ["pid", "mount", "ipc", "uts", "cgroup", "network", "user"]);
        let host = Order { network: NetworkOrder::Host, ..order() };
        assert!(!namespaces_of(&host).contains(&"network".to_owned()));
        let rootless = Order { rootless: true, ..order() };
        assert!(!namespaces_of(&rootless).contains(&"user".to_owned()));
    }

    #[test]
    fn the_program_is_held_as_it_should_be_and_its_variables_are_not_told() {
        let described = described(&order());
        let process = &described["process"];
        assert_eq!(process["noNewPrivileges"], true);
        assert_eq!(process["capabilities"]["bounding"], serde_json::json!(["CAP_CHOWN"]));
        assert_eq!(process["capabilities"]["ambient"], serde_json::json!([]));
        assert_eq!((&process["user"]["uid"], &process["user"]["additionalGids"][0]), (&7.into(), &9.into()));
        assert!(!described.to_string().contains("hush"));
    }

    #[test]
    fn what_is_mounted_below_another_comes_after_it() {
        let mut order = order();
        order.root.read_only = true;
        order.tmpfs.push(Tmpfs::new("/run", None));
        order
            .mounts
            .push(longshore_core::Mount::new(MountSource::Bind("/host".to_owned()), "/run/secrets/more").read_only());
        let described = described(&order);
        let mounts = described["mounts"].as_array().unwrap();
        let at = |target: &str| mounts.iter().position(|mount| mount["destination"] == target).unwrap();
        assert!(at("/run") < at("/run/secrets") && at("/run/secrets") < at("/run/secrets/more"));
        assert!(at("/proc") < at("/run") && mounts[at("/tmp")]["type"] == "tmpfs");
        let bind = &mounts[at("/run/secrets/more")];
        assert_eq!(bind["source"], "/binds/0");
        assert!(bind["options"].as_array().unwrap().contains(&"rro".into()));
    }
}
