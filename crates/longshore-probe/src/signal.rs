//! Signals by name and number.

use std::{fmt, str::FromStr};

/// A signal by its number on Linux (`signal(7)`, x86 and ARM). Parsed from `TERM`, `SIGTERM` or `15`, written as
/// `TERM`, or as the number where it has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

impl Signal {
    /// Ends a process at once; can't be ignored or caught.
    pub const KILL: Self = Self(9);
    /// Asks a process to end; the usual stop signal.
    pub const TERM: Self = Self(15);
    /// Halts a process; can't be ignored or caught.
    pub const STOP: Self = Self(19);

    /// The signal with the number, if Linux has one: 1 to 64.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number >= 1 && number <= 64 { Some(Self(number)) } else { None }
    }

    /// The signal's number on Linux.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The signal's name without `SIG`; real-time signals have none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.get(usize::from(self.0) - 1).copied()
    }

    /// What a shell and a container engine show as the exit code of a process that died of the signal: 128 and its
    /// number.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        128 + self.0
    }

    /// All signals, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=64).map(Self)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&self.0.to_string()),
        }
    }
}

impl FromStr for Signal {
    /// The rule that the text breaks.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let named = NAMES.iter().zip(1..).find(|(known, _)| **known == name).map(|(_, number)| number);
        let numbered = || if text.starts_with('+') { None } else { text.parse().ok() };
        named
            .or_else(numbered)
            .and_then(Self::from_number)
            .ok_or("must be a signal's name, such as TERM or SIGTERM, or its number from 1 to 64")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_mean_the_same() {
        for text in ["TERM", "SIGTERM", "sigterm", "15"] {
            assert_eq!(text.parse(), Ok(Signal::TERM), "{text}");
        }
        assert_eq!("KILL".parse(), Ok(Signal::KILL));
        assert_eq!("STOP".parse(), Ok(Signal::STOP));
        assert_eq!("SYS".parse::<Signal>().map(Signal::number), Ok(31));
        assert_eq!(Signal::TERM.exit_code(), 143);
    }

    #[test]
    fn every_signal_is_read_back_from_its_text() {
        for signal in Signal::all() {
            assert_eq!(signal.to_string().parse(), Ok(signal));
        }
        assert_eq!(Signal::all().count(), 64);
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "SIG", "0", "65", "NOSUCH", "-9", "+9", "1.0"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }
}
