//! CPU, memory and accelerators: which amounts there are, and which fit together.
//!
//! From `cloud.google.com/run/docs/configuring/jobs/cpu`, `…/memory-limits` and `…/gpu`.

use serde_json::{Map, Value};

use super::error::Refusal;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// By whole CPUs: the least and the most memory.
const PAIRS: [(u64, u64, u64); 5] = [
    (1_000, 512 * MIB, 4 * GIB),
    (2_000, 512 * MIB, 8 * GIB),
    (4_000, 2 * GIB, 16 * GIB),
    (6_000, 4 * GIB, 24 * GIB),
    (8_000, 4 * GIB, 32 * GIB),
];
const ACCELERATORS: [&str; 2] = ["nvidia-l4", "nvidia-rtx-pro-6000"];
const LIMITS: [&str; 3] = ["cpu", "memory", "nvidia.com/gpu"];

/// The bytes of a quantity such as `512Mi`, `2G` or `1073741824`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let units = [("Ki", 1 << 10), ("Mi", MIB), ("Gi", GIB), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
    let unit = units.into_iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)));
    let (number, size) = unit.unwrap_or((text, 1));
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(size)
}

/// The thousandths of a CPU of a quantity such as `2` or `2000m`.
fn millis(text: &str) -> Option<u64> {
    match text.strip_suffix('m') {
        Some(number) => number.parse().ok(),
        None => text.parse::<u64>().ok()?.checked_mul(1_000),
    }
}

/// The limits with what is given by default.
pub(crate) fn granted(limits: Option<&Value>) -> Map<String, Value> {
    let mut granted = limits.and_then(Value::as_object).cloned().unwrap_or_default();
    granted.entry("cpu").or_insert_with(|| "1000m".into());
    granted.entry("memory").or_insert_with(|| "512Mi".into());
    granted
}

/// Checks a container's limits, and the accelerator that its task asks for.
pub(crate) fn check(path: &str, limits: Option<&Value>, accelerator: Option<&str>) -> Result<(), Refusal> {
    let path = format!("{path}.resources.limits");
    let granted = granted(limits);
    if let Some(unknown) = granted.keys().find(|key| !LIMITS.contains(&key.as_str())) {
        return Err(Refusal::field(&path, format!("Unknown limit '{unknown}'. Supported are {}.", LIMITS.join(", "))));
    }
    let text = |key: &str| granted.get(key).and_then(Value::as_str).unwrap_or_default();
    pair(&path, text("cpu"), text("memory"))?;
    gpu(&path, text("nvidia.com/gpu"), accelerator, text("cpu"), text("memory"))
}

fn pair(path: &str, cpu: &str, memory: &str) -> Result<(), Refusal> {
    let known = millis(cpu).and_then(|millis| PAIRS.into_iter().find(|(cpu, ..)| *cpu == millis));
    let Some((_, least, most)) = known else {
        let rule = "Invalid value specified for cpu. Supported values are 1, 2, 4, 6 and 8.";
        return Err(Refusal::field(&format!("{path}.cpu"), format!("{rule} Found '{cpu}'.")));
    };
    let field = format!("{path}.memory");
    let Some(bytes) = bytes(memory) else {
        return Err(Refusal::field(&field, format!("Invalid value specified for container memory: '{memory}'.")));
    };
    if (least..=most).contains(&bytes) {
        return Ok(());
    }
    let rule = format!(
        "Invalid value specified for container memory. For {cpu} CPU, memory must be between {}Mi and {}Gi inclusive. \
         For more troubleshooting guidance, see https://cloud.google.com/run/docs/configuring/memory-limits",
        least / MIB,
        most / GIB
    );
    Err(Refusal::field(&field, rule))
}

fn gpu(path: &str, gpu: &str, accelerator: Option<&str>, cpu: &str, memory: &str) -> Result<(), Refusal> {
    let field = format!("{path}.nvidia.com/gpu");
    match (gpu, accelerator) {
        ("", None) => Ok(()),
        ("", Some(_)) => Err(Refusal::field(&field, "must be 1 where a node selector names an accelerator.")),
        (_, None) => Err(Refusal::field(&field, "needs a node selector that names the accelerator.")),
        ("1", Some(known)) if ACCELERATORS.contains(&known) => {
            if millis(cpu) < Some(4_000) || bytes(memory) < Some(16 * GIB) {
                return Err(Refusal::field(&field, "needs at least 4 CPU and 16Gi of memory."));
            }
            Ok(())
        }
        ("1", Some(unknown)) => {
            let rule = format!("Unknown accelerator '{unknown}'. Supported are {}.", ACCELERATORS.join(", "));
            Err(Refusal::field("node_selector.accelerator", rule))
        }
        (wrong, Some(_)) => Err(Refusal::field(&field, format!("The only supported value is 1. Found '{wrong}'."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fits(cpu: &str, memory: &str) -> bool {
        check("c", Some(&json!({ "cpu": cpu, "memory": memory })), None).is_ok()
    }

    #[test]
    fn only_documented_pairs_fit() {
        for (cpu, memory) in
            [("1", "512Mi"), ("1000m", "4Gi"), ("2", "8Gi"), ("4", "2Gi"), ("6", "24Gi"), ("8", "32Gi")]
        {
            assert!(fits(cpu, memory), "{cpu} {memory}");
        }
        for (cpu, memory) in [
            ("1", "511Mi"),
            ("1", "5Gi"),
            ("2", "9Gi"),
            ("3", "4Gi"),
            ("4", "1Gi"),
            ("8", "3Gi"),
            ("8", "33Gi"),
            ("500m", "512Mi"),
            ("1", "lots"),
            ("one", "1Gi"),
        ] {
            assert!(!fits(cpu, memory), "{cpu} {memory}");
        }
        assert!(check("c", None, None).is_ok());
        assert!(check("c", Some(&json!({ "disk": "1Gi" })), None).is_err());
    }

    #[test]
    fn an_accelerator_needs_its_limit_and_the_reverse() {
        let limits = json!({ "cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1" });
        assert!(check("c", Some(&limits), Some("nvidia-l4")).is_ok());
        assert!(check("c", Some(&limits), Some("nvidia-h100")).is_err());
        assert!(check("c", Some(&limits), None).is_err());
        assert!(check("c", None, Some("nvidia-l4")).is_err());
        let small = json!({ "cpu": "2", "memory": "8Gi", "nvidia.com/gpu": "1" });
        assert!(check("c", Some(&small), Some("nvidia-l4")).is_err());
    }

    #[test]
    fn quantities_are_read() {
        assert_eq!(bytes("512Mi"), Some(536_870_912));
        assert_eq!(bytes("1G"), Some(1_000_000_000));
        assert_eq!(bytes("1.5Gi"), None);
        assert_eq!(bytes("Mi"), None);
    }
}
