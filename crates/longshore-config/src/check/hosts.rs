//! The hosts: their names, their kinds, and each kind's own settings.

use longshore_core::{ExecutionHost, ExecutorRegistry, HostName, price::PriceSheet};
use std::collections::BTreeMap;

use crate::{
    config::ConfiguredHost,
    document::HostSection,
    reading,
    report::Report,
    shape::Shape,
    tree::{Node, Value},
};

pub(super) fn check(
    node: &Node,
    sections: &BTreeMap<String, HostSection>,
    registry: &ExecutorRegistry,
    report: &mut Report,
) -> BTreeMap<HostName, ConfiguredHost> {
    let hosts = node.get("hosts");
    if hosts.is_none_or(|hosts| hosts.entries().is_empty()) {
        let origin = hosts.map_or(&crate::tree::Origin::Whole, |hosts| &hosts.origin);
        let help = "add one, such as [hosts.home] with executor = \"docker\"".to_owned();
        report.error("no-host", origin, "no host is configured", help);
    }
    let mut found = BTreeMap::new();
    for entry in hosts.map(Node::entries).unwrap_or_default() {
        let name = match HostName::new(&*entry.key) {
            Ok(name) => name,
            Err(violation) => {
                report.error("invalid-value", &entry.key_origin(), violation.to_string(), None);
                continue;
            }
        };
        let Some(section) = sections.get(&entry.key) else { continue };
        check_price(&entry.node, section, report);
        let before = report.errors();
        let config = settings(&entry.node, section, registry, report);
        let is_wrong = entry.node.get("executor_config").is_some_and(|node| node.value == Value::Wrong);
        let is_sound = report.errors() == before && !is_wrong;
        let host = ExecutionHost::builder()
            .name(name.clone())
            .executor_type(section.executor.clone())
            .executor_config(config)
            .enabled(section.enabled)
            .maybe_max_concurrent_jobs(section.max_concurrent_jobs)
            .weight(section.weight)
            .maybe_region(section.region.clone())
            .maybe_residency(section.residency.clone())
            .labels(section.labels.clone())
            .allow(section.allow.clone())
            .build();
        let configured = ConfiguredHost {
            host,
            price: section.price.clone(),
            is_default: section.default,
            is_sound,
            origin: entry.key_origin(),
            node: entry.node.clone(),
        };
        found.insert(name, configured);
    }
    found
}

/// A price that names nothing that is charged would make every cost unknown.
fn check_price(host: &Node, section: &HostSection, report: &mut Report) {
    let charges = |price: &PriceSheet| {
        price.cost_per_hour.is_some() || price.rates.is_some() || price.arm64.is_some() || price.request.is_some()
    };
    if let (Some(price), Some(node)) = (&section.price, host.get("price"))
        && !charges(price)
    {
        let help = "set `cost_per_hour` for a machine of your own, or `rates` for a provider's".to_owned();
        report.error("missing-key", &node.origin, "the price charges nothing", help);
    }
}

/// The executor's own settings, checked by its schema.
fn settings(host: &Node, section: &HostSection, registry: &ExecutorRegistry, report: &mut Report) -> serde_json::Value {
    let Some(kind) = registry.kinds().find(|kind| kind.executor_type == section.executor) else {
        if let Some(node) = host.get("executor") {
            report.error("unknown-executor", &node.origin, registry.unknown(&section.executor).message(), None);
        }
        return serde_json::Value::Null;
    };
    let Some(node) = host.get("executor_config").filter(|node| !matches!(node.value, Value::Null | Value::Wrong))
    else {
        return serde_json::Value::Null;
    };
    let schema = (kind.config_schema)().to_value();
    let sound = reading::sound(node, Shape::of(&schema), "executor_config", report);
    sound.map_or(serde_json::Value::Null, |node| node.to_json())
}
