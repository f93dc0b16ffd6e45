//! POSIX signals by name and number (Linux numbering, `signal(7)`).

use std::{fmt, str::FromStr};

use crate::{Violation, text::text_serde};

/// A signal, by its Linux number. Parsed from `TERM`, `SIGTERM` or `15`; written as `SIGTERM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

const NAMES: [(&str, u8); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

impl Signal {
    /// Asks a process to end; the usual stop signal.
    pub const TERM: Self = Self(15);
    /// Ends a process at once.
    pub const KILL: Self = Self(9);
    /// The terminal's Ctrl-C.
    pub const INT: Self = Self(2);
    /// `SIGCONT`, which changes nothing for a program that is not stopped.
    pub const CONT: Self = Self(18);

    /// The signal with the given number, if Linux has one (1 to 64).
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number >= 1 && number <= 64 { Some(Self(number)) } else { None }
    }

    /// The signal's number on Linux.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.pad(&format!("SIG{name}")),
            None => f.pad(&self.0.to_string()),
        }
    }
}

impl FromStr for Signal {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, number)| *number)
            .or_else(|| name.parse().ok())
            .and_then(Self::from_number)
            .ok_or_else(|| {
                Violation::new("signal", text, "use a name such as TERM or SIGTERM, or a number from 1 to 64")
            })
    }
}

text_serde!(Signal, "A signal's name or number: SIGTERM, TERM or 15.");
