//! The rules of volumes and their mounts.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

use super::{object, objects, text};
use crate::fakes::cloudrun::{error::Refusal, resources};

/// Requires that the task's volumes may be so, and that each mount has one.
pub(super) fn check(path: &str, template: &Map<String, Value>) -> Result<(), Refusal> {
    let volumes = objects(template, "volumes");
    let mut names = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let field = format!("{path}.volumes[{index}]");
        let name = text(volume, "name").unwrap_or_default();
        if !is_dns_label(name) || !names.insert(name) {
            return Err(Refusal::field(&format!("{field}.name"), "must be a DNS label, and no other volume's."));
        }
        source(&field, volume)?;
    }
    for container in objects(template, "containers") {
        mounts(&format!("{path}.containers[0]"), &objects(&container, "volumeMounts"), &volumes)?;
    }
    Ok(())
}

fn source(field: &str, volume: &Map<String, Value>) -> Result<(), Refusal> {
    let (memory, bucket) = (object(volume, "emptyDir"), object(volume, "gcs"));
    if text(&memory, "sizeLimit").is_some_and(|limit| resources::bytes(limit).is_none()) {
        return Err(Refusal::field(&format!("{field}.empty_dir.size_limit"), "must be a quantity such as 128Mi."));
    }
    if text(&memory, "medium") == Some("DISK") {
        return Err(Refusal::field(&format!("{field}.empty_dir.medium"), "only MEMORY is supported."));
    }
    if volume.contains_key("gcs") && text(&bucket, "bucket").is_none() {
        return Err(Refusal::field(&format!("{field}.gcs.bucket"), "must be the name of a bucket."));
    }
    for item in objects(&object(volume, "secret"), "items") {
        if text(&item, "version").is_none() {
            return Err(Refusal::field(&format!("{field}.secret.items"), "must specify a path and a version."));
        }
    }
    Ok(())
}

fn mounts(path: &str, mounts: &[Map<String, Value>], volumes: &[Map<String, Value>]) -> Result<(), Refusal> {
    let mut places = BTreeSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let field = format!("{path}.volume_mounts[{index}]");
        let name = text(mount, "name").unwrap_or_default();
        let Some(volume) = volumes.iter().find(|volume| text(volume, "name") == Some(name)) else {
            return Err(Refusal::field(&format!("{field}.name"), format!("no volume has the name '{name}'.")));
        };
        let place = text(mount, "mountPath").unwrap_or_default();
        if !place.starts_with('/') || place.contains(':') || !places.insert(place) {
            let rule = "must be an absolute path without ':', and no other mount's.";
            return Err(Refusal::field(&format!("{field}.mount_path"), rule));
        }
        if volume.contains_key("secret") && text(mount, "subPath").is_some() {
            return Err(Refusal::field(&format!("{field}.sub_path"), "is not supported for secrets."));
        }
    }
    Ok(())
}

fn is_dns_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('-') && !name.ends_with('-')
}
