//! The small values of the language, read and written.

use std::{
    fmt::{self, Display},
    str::FromStr,
    time::Duration,
};

/// A duration as the language writes it.
pub(crate) struct DurationText(pub(crate) Duration);

/// A size as the language writes it.
pub(crate) struct SizeText(pub(crate) u64);

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
const SIZE_UNITS: [(&str, u64); 3] = [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];

/// The number; the error is the rule that the text breaks.
pub(crate) fn number<T: FromStr>(name: &str, text: &str, most: impl Display) -> Result<T, String> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if plain { text.parse().ok() } else { None };
    number.ok_or_else(|| format!("{name} must be a whole number from 0 to {most}, found {text:?}"))
}

/// The duration. It holds at most [`u32::MAX`] of its unit, so that no sum of durations overflows.
pub(crate) fn duration(name: &str, text: &str) -> Result<Duration, String> {
    let unit = DURATION_UNITS.iter().find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, *millis)));
    let Some((count, millis)) = unit else {
        return Err(format!("{name} must be a number and its unit, as 250ms, 2s, 1m or 1h, found {text:?}"));
    };
    let count: u32 = number(&format!("the number of {name}"), count, u32::MAX)?;
    Ok(Duration::from_millis(u64::from(count) * millis))
}

/// The size in bytes.
pub(crate) fn size(name: &str, text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let unit = SIZE_UNITS.iter().find_map(|(unit, bytes)| Some((lower.strip_suffix(unit)?, *bytes)));
    let (count, bytes) = unit.unwrap_or((&lower, 1));
    let count: Option<u64> = number(name, count, u64::MAX).ok();
    count
        .and_then(|count| count.checked_mul(bytes))
        .ok_or_else(|| format!("{name} must be a number of bytes, or of k, m or g, below 2^64, found {text:?}"))
}

impl Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let fits = |unit: u64| millis > 0 && millis.is_multiple_of(u128::from(unit));
        let (unit, size) = DURATION_UNITS[1..].iter().find(|(_, size)| fits(*size)).unwrap_or(&DURATION_UNITS[0]);
        write!(f, "{}{unit}", millis / u128::from(*size))
    }
}

impl Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZE_UNITS.iter().find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis, written) in [
            ("0ms", 0, "0ms"),
            ("0h", 0, "0ms"),
            ("250ms", 250, "250ms"),
            ("2000ms", 2_000, "2s"),
            ("90s", 90_000, "90s"),
        ] {
            let read = duration("DURATION", text).unwrap();
            assert_eq!(read, Duration::from_millis(millis), "{text}");
            assert_eq!(DurationText(read).to_string(), written, "{text}");
        }
        assert_eq!(duration("DURATION", "1m"), Ok(Duration::from_secs(60)));
        assert_eq!(DurationText(Duration::from_secs(7_200)).to_string(), "2h");
        for text in ["", "5", "ms", "-1s", "+1s", "1.5s", "1 s", "4294967296ms", "1d"] {
            assert!(duration("DURATION", text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, written) in [
            ("0", 0, "0"),
            ("4096", 4_096, "4k"),
            ("64m", 64 << 20, "64m"),
            ("1G", 1 << 30, "1g"),
            ("1025", 1_025, "1025"),
        ] {
            assert_eq!(size("SIZE", text), Ok(bytes), "{text}");
            assert_eq!(SizeText(bytes).to_string(), written, "{text}");
        }
        for text in ["", "m", "1mb", "-1", "18446744073709551616", "17179869184g"] {
            assert!(size("SIZE", text).is_err(), "{text}");
        }
    }
}
