//! What an engine says about itself, as facts that a plan can be made from.

use bollard::models::{SystemInfo, SystemVersion};
use jiff::Timestamp;
use longshore_core::{ByteSize, Cpu, HostFacts, Platform};
use std::collections::BTreeMap;

use crate::identity::EngineId;

/// Keys of [`HostFacts::details`] that plans look at.
pub(crate) const LOG_DRIVERS: &str = "log_drivers";
pub(crate) const DEFAULT_LOG_DRIVER: &str = "default_log_driver";
pub(crate) const RUNTIMES: &str = "runtimes";
pub(crate) const LIMITS: &str = "limits";

/// What an engine says about itself.
pub(crate) fn from_engine(
    info: &SystemInfo,
    version: &SystemVersion,
    id: Option<&EngineId>,
    now: Timestamp,
) -> HostFacts {
    let product = version.platform.as_ref().map(|platform| platform.name.clone()).filter(|name| !name.is_empty());
    let component =
        version.components.as_ref().and_then(|components| components.first()).map(|component| component.name.clone());
    let product = component.or(product).unwrap_or_else(|| "Engine".to_owned());
    let product = if product == "Engine" { "Docker Engine".to_owned() } else { product };
    let number = version.version.clone().unwrap_or_default();
    HostFacts::builder()
        .discovered_at(now)
        .engine(format!("{product} {number}"))
        .platforms(platform(info, version).into_iter().collect())
        .maybe_cpu(
            info.ncpu
                .and_then(|cores| u32::try_from(cores).ok())
                .and_then(|cores| Cpu::from_millis(cores.saturating_mul(1000))),
        )
        .maybe_memory(info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).and_then(ByteSize::from_bytes))
        .details(details(info, version, id))
        .build()
}

fn platform(info: &SystemInfo, version: &SystemVersion) -> Option<Platform> {
    let os = info.os_type.clone().or_else(|| version.os.clone())?;
    let architecture = version.arch.clone().or_else(|| info.architecture.clone())?;
    format!("{os}/{architecture}").parse().ok()
}

fn details(info: &SystemInfo, version: &SystemVersion, id: Option<&EngineId>) -> BTreeMap<String, String> {
    let drivers = info.plugins.as_ref().and_then(|plugins| plugins.log.clone()).unwrap_or_default();
    let mut runtimes: Vec<String> = info.runtimes.iter().flatten().map(|(name, _)| name.clone()).collect();
    runtimes.sort();
    let limits = [("memory", info.memory_limit), ("cpu", info.cpu_cfs_quota), ("pids", info.pids_limit)];
    let limits: Vec<&str> = limits.into_iter().filter(|(_, has)| has.unwrap_or(true)).map(|(name, _)| name).collect();
    let pairs = [
        (LOG_DRIVERS, Some(drivers.join(","))),
        (DEFAULT_LOG_DRIVER, info.logging_driver.clone()),
        (RUNTIMES, Some(runtimes.join(","))),
        (LIMITS, Some(limits.join(","))),
        ("engine_id", id.map(ToString::to_string)),
        ("api_version", version.api_version.clone()),
        ("operating_system", info.operating_system.clone()),
        ("kernel", info.kernel_version.clone()),
        ("storage_driver", info.driver.clone()),
        ("cgroup_version", info.cgroup_version.map(|version| version.to_string())),
        ("security", info.security_options.as_ref().map(|options| options.join(" "))),
    ];
    pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.filter(|value| !value.is_empty())?)))
        .collect()
}

/// The log drivers that keep every byte: Docker's `local` and Podman's `k8s-file`.
pub(crate) const EXACT_LOG_DRIVERS: [&str; 2] = ["local", "k8s-file"];

/// True for a log driver that neither changes bytes nor, as Longshore sets it up, loses any.
pub(crate) fn keeps_every_byte(log_driver: &str) -> bool {
    EXACT_LOG_DRIVERS.contains(&log_driver)
}

/// True when a comma-separated detail holds the word.
pub(crate) fn detail_has(facts: &HostFacts, key: &str, word: &str) -> bool {
    facts.details.get(key).is_some_and(|list| list.split(',').any(|item| item == word))
}
