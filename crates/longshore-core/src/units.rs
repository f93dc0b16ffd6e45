//! Quantities that carry their unit.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt, str::FromStr};

use crate::Violation;

/// A number of bytes: memory, storage, a log's cap. Never zero.
///
/// Written as text: `512m`, `512MiB`, `1g`, `4096` (bytes). A suffix of one letter is binary, as in
/// `docker run --memory`; `MB` and the like are refused, because tools disagree on what they mean.
/// Stored as a whole number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const SIZE_RULE: &str =
    "write a size above zero such as 512m, 512MiB, 2g or a number of bytes (b, k, m, g, t are binary: 1k = 1024)";
const SIZE_UNITS: [(&str, u64); 10] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("b", 1),
    ("", 1),
];

impl ByteSize {
    /// A size in bytes; `None` for zero.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        if bytes == 0 { None } else { Some(Self(bytes)) }
    }

    /// A size in MiB (1,048,576 bytes each). Zero is raised to one byte, so that the type's rule holds.
    #[must_use]
    pub const fn from_mib(mib: u32) -> Self {
        if mib == 0 { Self(1) } else { Self((mib as u64) << 20) }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in whole MiB, rounded up.
    #[must_use]
    pub const fn mib_rounded_up(self) -> u64 {
        self.0.div_ceil(1 << 20)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZE_UNITS[..4].iter().rev().find(|(_, unit)| self.0.is_multiple_of(*unit));
        match exact {
            Some((name, unit)) => {
                let (head, tail) = name.split_at(1);
                f.pad(&format!("{}{}{}", self.0 / unit, head.to_ascii_uppercase(), tail.replace('b', "B")))
            }
            None => f.pad(&format!("{}B", self.0)),
        }
    }
}

impl FromStr for ByteSize {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || Violation::new("size", text, SIZE_RULE);
        let lower = text.trim().to_ascii_lowercase();
        let digits_end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
        let (number, unit) = lower.split_at(digits_end);
        let unit = unit.trim_start();
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        decimal_times(number, *factor).and_then(Self::from_bytes).ok_or_else(wrong)
    }
}

/// CPU in thousandths of a core. Never zero.
///
/// Written as text: `0.5` (cores) or `500m` (millicores, as Kubernetes writes them). Stored as `500m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u32);

const CPU_RULE: &str =
    "write cores above zero such as 0.5 or 2, or millicores such as 500m; a thousandth of a core is the smallest step";

impl Cpu {
    /// CPU in millicores; `None` for zero.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Option<Self> {
        if millis == 0 { None } else { Some(Self(millis)) }
    }

    /// Thousandths of a core.
    #[must_use]
    pub const fn millis(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}m", self.0))
    }
}

impl FromStr for Cpu {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let millis = match trimmed.strip_suffix('m') {
            Some(millis) => decimal_times(millis, 1),
            None => decimal_times(trimmed, 1000),
        };
        millis
            .and_then(|millis| u32::try_from(millis).ok())
            .and_then(Self::from_millis)
            .ok_or_else(|| Violation::new("cpu", text, CPU_RULE))
    }
}

/// `number` × `factor` where the product is whole; exact, because money and limits hang on it.
fn decimal_times(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let product = digits.checked_mul(u128::from(factor))?;
    (product % scale == 0).then(|| u64::try_from(product / scale).ok()).flatten()
}

/// What a human writes in a configuration: a number or a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Whole(u64),
    Fraction(f64),
    Text(String),
}

impl NumberOrText {
    fn into_text(self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Fraction(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NumberOrText::deserialize(deserializer)?.into_text().parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["integer", "string"], "minimum": 1, "description": SIZE_RULE })
    }
}

impl Serialize for Cpu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cpu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NumberOrText::deserialize(deserializer)?.into_text().parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Cpu {
    fn schema_name() -> Cow<'static, str> {
        "Cpu".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["number", "string"], "exclusiveMinimum": 0, "description": CPU_RULE })
    }
}

/// Durations are stored in jiff's friendly notation (`1h 30m`, `250ms`), which people can write too.
pub(crate) mod duration {
    pub(crate) use jiff::fmt::serde::unsigned_duration::friendly::compact::{optional, required};

    /// The schema of a stored duration.
    pub(crate) type Text = Option<String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_as_docker_does_and_ambiguity_is_refused() {
        for (text, bytes) in
            [("512m", 512 << 20), ("1g", 1 << 30), ("4096", 4096), ("1.5KiB", 1536), ("2 MiB", 2 << 20), ("7b", 7)]
        {
            assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
        }
        for text in ["0", "-1", "512MB", "", "m", "1.0001k", "99999999999999t", "1e3", ".5g"] {
            let error = text.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.contains("512MiB"), "{text}: {error}");
        }
    }

    #[test]
    fn cpu_is_exact_to_a_thousandth() {
        for (text, millis) in [("0.5", 500), ("500m", 500), ("2", 2000), ("0.001", 1)] {
            assert_eq!(text.parse::<Cpu>().unwrap().millis(), millis, "{text}");
        }
        for text in ["0", "0.0001", "-1", "x", "", "0m"] {
            assert!(text.parse::<Cpu>().is_err(), "{text}");
        }
    }

    #[test]
    fn text_and_storage_round_trip() {
        let size: ByteSize = serde_json::from_str("\"3MiB\"").unwrap();
        assert_eq!(serde_json::to_string(&size).unwrap(), "3145728");
        assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        let cpu: Cpu = serde_json::from_str("0.25").unwrap();
        assert_eq!(serde_json::to_string(&cpu).unwrap(), "\"250m\"");
        assert!(serde_json::from_str::<ByteSize>("-5").is_err());
        assert!(serde_json::from_str::<Cpu>("0").is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_size_survives_its_own_text(bytes in 1_u64..u64::MAX) {
            let size = ByteSize::from_bytes(bytes).unwrap();
            proptest::prop_assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        }
    }
}
