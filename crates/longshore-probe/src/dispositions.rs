//! What a process does when a signal comes.

use std::{collections::BTreeMap, time::Duration};

use crate::Signal;

/// What a process has asked to happen when a signal comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// What the system does of itself.
    #[default]
    Default,
    /// Nothing.
    Ignore,
    /// It stops what it is doing, takes some time and exits.
    Exit {
        /// The exit code.
        code: u8,
        /// The time that it takes before.
        after: Duration,
    },
}

/// What becomes of a process that a signal reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// It goes on as if there had been none.
    Nothing,
    /// It dies of the signal. Process 1 of a container exits with [`Signal::exit_code`] instead, except for
    /// SIGKILL from outside, of which it dies too.
    Death,
    /// It is halted until it is continued. Process 1 of a container halts for SIGSTOP from outside alone.
    Halt,
    /// It stops what it is doing, takes some time and exits.
    Exit {
        /// The exit code.
        code: u8,
        /// The time that it takes before.
        after: Duration,
    },
}

/// The actions of one process, by signal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dispositions(BTreeMap<Signal, Action>);

impl Dispositions {
    /// The actions of a process that has asked for nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the signal has the action. SIGKILL and SIGSTOP keep the default one, as on any system.
    pub fn set(&mut self, signal: Signal, action: Action) {
        if !matches!(signal, Signal::KILL | Signal::STOP) {
            self.0.insert(signal, action);
        }
    }

    /// The signal's action.
    #[must_use]
    pub fn get(&self, signal: Signal) -> Action {
        self.0.get(&signal).copied().unwrap_or_default()
    }

    /// What becomes of the process when the signal comes.
    #[must_use]
    pub fn reaction(&self, signal: Signal) -> Reaction {
        match self.get(signal) {
            Action::Default => default_reaction(signal),
            Action::Ignore => Reaction::Nothing,
            Action::Exit { code, after } => Reaction::Exit { code, after },
        }
    }
}

/// The table "Standard signals" of `signal(7)`; a core dump is a death too.
fn default_reaction(signal: Signal) -> Reaction {
    match signal.name() {
        Some("CHLD" | "CONT" | "URG" | "WINCH") => Reaction::Nothing,
        Some("STOP" | "TSTP" | "TTIN" | "TTOU") => Reaction::Halt,
        _ => Reaction::Death,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(name: &str) -> Signal {
        name.parse().unwrap()
    }

    #[test]
    fn untouched_signals_do_what_the_system_does() {
        let dispositions = Dispositions::new();
        for name in ["TERM", "HUP", "SEGV", "USR1", "PWR", "IO", "34", "64"] {
            assert_eq!(dispositions.reaction(signal(name)), Reaction::Death, "{name}");
        }
        for name in ["CHLD", "CONT", "URG", "WINCH"] {
            assert_eq!(dispositions.reaction(signal(name)), Reaction::Nothing, "{name}");
        }
        assert_eq!(dispositions.reaction(signal("TSTP")), Reaction::Halt);
    }

    #[test]
    fn the_last_action_counts() {
        let mut dispositions = Dispositions::new();
        dispositions.set(Signal::TERM, Action::Ignore);
        assert_eq!(dispositions.reaction(Signal::TERM), Reaction::Nothing);
        let after = Duration::from_millis(5);
        dispositions.set(Signal::TERM, Action::Exit { code: 7, after });
        assert_eq!(dispositions.get(Signal::TERM), Action::Exit { code: 7, after });
        assert_eq!(dispositions.reaction(Signal::TERM), Reaction::Exit { code: 7, after });
        dispositions.set(Signal::TERM, Action::Default);
        assert_eq!(dispositions.reaction(Signal::TERM), Reaction::Death);
    }

    #[test]
    fn a_kill_is_a_kill() {
        let mut dispositions = Dispositions::new();
        dispositions.set(Signal::KILL, Action::Ignore);
        dispositions.set(Signal::STOP, Action::Ignore);
        assert_eq!(dispositions.reaction(Signal::KILL), Reaction::Death);
        assert_eq!(dispositions.reaction(Signal::STOP), Reaction::Halt);
    }
}
