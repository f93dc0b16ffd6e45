//! A launch request as the engine's body of `POST /containers/create`.

use bollard::models::{
    ContainerCreateBody, DeviceRequest, EndpointSettings, HostConfig, HostConfigLogConfig, Mount as DockerMount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountType, NetworkingConfig,
};
use longshore_core::{GpuRequest, JobTemplate, LaunchRequest, Mount, MountSource, Network, SecurityProfile};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

use super::labels::{self, Metadata};
use crate::{config::DockerOptions, identity::EngineId};

/// The host's settings that a plan freezes, so that a launch is the same whenever it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frozen {
    pub(crate) log_driver: String,
    pub(crate) pids_limit: u32,
    pub(crate) options: DockerOptions,
    /// The engine that it is for; absent in older plans, and for an engine that has no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) engine: Option<EngineId>,
}

impl Frozen {
    pub(crate) const VERSION: u32 = 1;
}

/// Where secrets are delivered as files.
pub(crate) const SECRETS: &str = "/run/secrets";

/// Capabilities that ordinary images do not miss, and intruders do. `NET_RAW` lets a container forge packets on
/// its bridge (CVE-2020-13401, Nomad CVE-2021-32575), `MKNOD` makes device nodes, `SYS_CHROOT` and `SETFCAP` are
/// steps in known escapes, `AUDIT_WRITE` forges the host's audit log.
const DROPPED: [&str; 6] = ["AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP", "SETPCAP", "SYS_CHROOT"];

/// The user of a hardened job whose template names none: `nobody` on every distribution.
const NOBODY: &str = "65534:65534";

/// The body of the request, with the values of secrets that are delivered as variables.
pub(crate) fn body(
    request: &LaunchRequest,
    frozen: &Frozen,
    metadata: &Metadata,
    secret_variables: Vec<String>,
) -> ContainerCreateBody {
    let template = &request.plan.template;
    let mut env: Vec<String> =
        template.env.iter().map(|variable| format!("{}={}", variable.name, variable.value)).collect();
    env.extend(secret_variables);
    ContainerCreateBody {
        image: Some(image_name(template)),
        entrypoint: template.entrypoint.clone(),
        cmd: command(template),
        env: Some(env),
        working_dir: template.working_directory.clone(),
        user: user(template),
        hostname: frozen.options.hostname.clone(),
        labels: Some(labels::of_request(request, metadata)),
        stop_signal: template.stop_signal.map(|signal| signal.to_string()),
        volumes: has_secret_files(template).then(|| vec![SECRETS.to_owned()]),
        networking_config: networking(template),
        host_config: Some(host_config(template, frozen, metadata)),
        ..ContainerCreateBody::default()
    }
}

/// The image's name as the engine wants it: with a tag, because it would take all tags without.
pub(crate) fn image_name(template: &JobTemplate) -> String {
    let text = template.image.to_string();
    match &template.image {
        longshore_core::ImageSource::Registry(reference)
            if reference.tag().is_none() && reference.digest().is_none() =>
        {
            format!("{text}:latest")
        }
        _ => text,
    }
}

pub(crate) fn has_secret_files(template: &JobTemplate) -> bool {
    template.secrets.iter().any(|secret| secret.delivery == longshore_core::SecretDelivery::File)
}

/// An entrypoint without a command must not be given the image's command, which belongs to the image's own.
fn command(template: &JobTemplate) -> Option<Vec<String>> {
    let mut command = template.command.clone().unwrap_or_default();
    command.extend(template.args.iter().cloned());
    (template.command.is_some() || !command.is_empty() || template.entrypoint.is_some()).then_some(command)
}

fn user(template: &JobTemplate) -> Option<String> {
    let hardened = template.security == SecurityProfile::Hardened;
    template.user.clone().or_else(|| hardened.then(|| NOBODY.to_owned()))
}

fn networking(template: &JobTemplate) -> Option<NetworkingConfig> {
    let Some(Network::Named(name)) = &template.network else { return None };
    let aliases: Vec<String> = template.network_aliases.iter().map(ToString::to_string).collect();
    let settings =
        EndpointSettings { aliases: (!aliases.is_empty()).then_some(aliases), ..EndpointSettings::default() };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(name.to_string(), settings)])) })
}

fn host_config(template: &JobTemplate, frozen: &Frozen, metadata: &Metadata) -> HostConfig {
    let resources = &template.resources;
    let memory = resources.memory.map(|memory| i64::try_from(memory.bytes()).unwrap_or(i64::MAX));
    let security = security(template, frozen);
    let mut tmpfs: HashMap<String, String> =
        template.tmpfs.iter().map(|tmpfs| (tmpfs.target.clone(), tmpfs_options(tmpfs.size))).collect();
    if security.read_only {
        tmpfs.entry("/tmp".to_owned()).or_insert_with(|| tmpfs_options(longshore_core::ByteSize::from_bytes(64 << 20)));
    }
    HostConfig {
        memory,
        // Without swap of its own: a limit that spills into swap is none.
        memory_swap: memory,
        nano_cpus: resources.cpu.map(|cpu| i64::from(cpu.millis()) * 1_000_000),
        pids_limit: security.pids_limit,
        device_requests: resources.gpu.as_ref().map(|gpu| vec![gpus(gpu)]),
        init: frozen.options.init.then_some(true),
        shm_size: frozen.options.shm_size.and_then(|size| i64::try_from(size.bytes()).ok()),
        runtime: frozen.options.runtime.clone(),
        log_config: Some(log_config(&frozen.log_driver, metadata)),
        network_mode: Some(network_mode(template.network.as_ref())),
        mounts: (!template.mounts.is_empty()).then(|| template.mounts.iter().map(mount).collect()),
        tmpfs: (!tmpfs.is_empty()).then_some(tmpfs),
        cap_add: security.cap_add,
        cap_drop: security.cap_drop,
        security_opt: security.options,
        readonly_rootfs: security.read_only.then_some(true),
        ..HostConfig::default()
    }
}

/// What a security profile comes to on an engine.
struct Security {
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    options: Option<Vec<String>>,
    pids_limit: Option<i64>,
    read_only: bool,
}

fn security(template: &JobTemplate, frozen: &Frozen) -> Security {
    let added =
        || Some(frozen.options.add_capabilities.iter().cloned().collect::<Vec<_>>()).filter(|added| !added.is_empty());
    let asked = template.resources.pids.map(std::num::NonZeroU32::get);
    let pids_limit = Some(i64::from(asked.unwrap_or(frozen.pids_limit)));
    let no_new_privileges = || Some(vec!["no-new-privileges".to_owned()]);
    match template.security {
        SecurityProfile::Platform => Security {
            cap_add: added(),
            cap_drop: None,
            options: None,
            pids_limit: asked.map(i64::from),
            read_only: false,
        },
        SecurityProfile::Hardened => Security {
            cap_add: None,
            cap_drop: Some(vec!["ALL".to_owned()]),
            options: no_new_privileges(),
            pids_limit,
            read_only: true,
        },
        _ => Security {
            cap_add: added(),
            cap_drop: Some(DROPPED.map(str::to_owned).to_vec()),
            options: no_new_privileges(),
            pids_limit,
            read_only: false,
        },
    }
}

/// The `local` driver keeps the bytes exact and never rotates below the cap: a record of one byte takes 26 in
/// its file (measured on Engine 20.10), so a file of 32 times the cap holds any log up to it.
fn log_config(driver: &str, metadata: &Metadata) -> HostConfigLogConfig {
    let options = (driver == "local").then(|| {
        let largest = metadata.log_cap.bytes().saturating_mul(32).saturating_add(1 << 20);
        HashMap::from([
            ("max-size".to_owned(), largest.to_string()),
            ("max-file".to_owned(), "1".to_owned()),
            ("compress".to_owned(), "false".to_owned()),
        ])
    });
    HostConfigLogConfig { typ: Some(driver.to_owned()), config: options }
}

fn network_mode(network: Option<&Network>) -> String {
    match network {
        None | Some(Network::Private) => "bridge".to_owned(),
        Some(network) => network.to_string(),
    }
}

fn mount(mount: &Mount) -> DockerMount {
    let (typ, source) = match &mount.source {
        MountSource::Volume(name) => (MountType::VOLUME, name.to_string()),
        MountSource::Bind(path) => (MountType::BIND, path.clone()),
        _ => (MountType::VOLUME, String::new()),
    };
    let private = MountBindOptions {
        propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
        ..MountBindOptions::default()
    };
    DockerMount {
        target: Some(mount.target.clone()),
        source: Some(source),
        bind_options: (typ == MountType::BIND).then_some(private),
        typ: Some(typ),
        read_only: Some(mount.read_only),
        ..DockerMount::default()
    }
}

fn tmpfs_options(size: Option<longshore_core::ByteSize>) -> String {
    let size = size.map(|size| format!(",size={}", size.bytes())).unwrap_or_default();
    format!("rw,nosuid,nodev,noexec,mode=1777{size}")
}

fn gpus(gpu: &GpuRequest) -> DeviceRequest {
    DeviceRequest {
        driver: gpu.vendor.clone(),
        count: Some(i64::from(gpu.count.get())),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_older_plans_name_no_engine() {
        let older = serde_json::json!({ "log_driver": "local", "pids_limit": 4096, "options": { "init": false } });
        let frozen: Frozen = serde_json::from_value(older.clone()).unwrap();
        assert_eq!((frozen.engine.clone(), serde_json::to_value(&frozen).unwrap()), (None, older));
        let engine = Some(EngineId::new("DQOT:IW4T".to_owned()));
        let settings = serde_json::to_value(Frozen { engine: engine.clone(), ..frozen }).unwrap();
        assert_eq!(settings["engine"], "DQOT:IW4T");
        assert_eq!(serde_json::from_value::<Frozen>(settings).unwrap().engine, engine);
    }
}
