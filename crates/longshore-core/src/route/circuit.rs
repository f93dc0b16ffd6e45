//! Which hosts take launches: refusals open a host's circuit or let it cool down, and a probe closes it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};

use crate::{Advice, Error, ErrorKind, ExecutionHost, HostName, Region, clock::later};

/// Whether a host takes launches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CircuitState {
    /// It does.
    #[default]
    Closed,
    /// It said that it has no room, no quota, or too many requests; it is asked again by itself afterwards.
    CoolingDown {
        /// When it is asked again.
        until: Timestamp,
        /// What it said.
        why: String,
    },
    /// It can't be reached or used. Only a probe that succeeds, or a launch that does, closes it.
    Open {
        /// When it is to be probed.
        until: Timestamp,
        /// What went wrong.
        why: String,
    },
}

/// What a refusal of a given kind does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It is the job's own, and says nothing of the host.
    Nothing,
    /// The host cools down.
    CoolsDown,
    /// The circuit opens after as many in a row.
    OpensAfter(u32),
}

const fn effect(kind: ErrorKind) -> Effect {
    match kind {
        ErrorKind::Capacity | ErrorKind::Quota | ErrorKind::RateLimited => Effect::CoolsDown,
        ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => Effect::OpensAfter(1),
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Unexpected => Effect::OpensAfter(3),
        _ => Effect::Nothing,
    }
}

/// The circuits of all hosts. A circuit is that of a host in its region: one that moves begins anew.
///
/// How long a host is left alone is what it says itself ([`Advice::After`], which providers give as `Retry-After`), else
/// [`Circuits::FIRST_PAUSE`], doubled with each further refusal up to [`Circuits::LONGEST_PAUSE`].
#[derive(Debug, Clone, Default)]
pub struct Circuits {
    by_host: HashMap<(HostName, Option<Region>), Circuit>,
}

#[derive(Debug, Clone, Default)]
struct Circuit {
    state: CircuitState,
    in_a_row: u32,
    /// How often it was left alone since it was last well.
    pauses: u32,
}

impl Circuits {
    /// How long a host is left alone after its first refusal, when it does not say.
    pub const FIRST_PAUSE: Duration = Duration::from_secs(15);
    /// How long it is left alone at most, when it does not say.
    pub const LONGEST_PAUSE: Duration = Duration::from_secs(600);

    /// All are closed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The host refused or failed.
    pub fn refused(&mut self, host: &ExecutionHost, error: &Error, now: Timestamp) -> &CircuitState {
        let circuit = self.by_host.entry(key(host)).or_default();
        let effect = effect(error.kind());
        if effect == Effect::Nothing {
            return &circuit.state;
        }
        circuit.in_a_row = circuit.in_a_row.saturating_add(1);
        let is_open = matches!(circuit.state, CircuitState::Open { .. });
        let until = later(now, pause(error.advice(), circuit.pauses));
        let why = format!("{}: {}", error.kind(), error.message());
        circuit.state = match effect {
            Effect::OpensAfter(limit) if is_open || circuit.in_a_row >= limit => CircuitState::Open { until, why },
            // What can't be used at all is not closed by what merely has no room.
            Effect::CoolsDown if !is_open => CircuitState::CoolingDown { until, why },
            _ => return &circuit.state,
        };
        circuit.pauses += 1;
        &circuit.state
    }

    /// The host took a launch, or a probe found it well.
    pub fn succeeded(&mut self, host: &ExecutionHost) {
        self.by_host.remove(&key(host));
    }

    /// The state of a host's circuit.
    #[must_use]
    pub fn state(&self, host: &ExecutionHost) -> CircuitState {
        self.by_host.get(&key(host)).map(|circuit| circuit.state.clone()).unwrap_or_default()
    }

    /// Whether the host is to be probed now.
    #[must_use]
    pub fn is_due(&self, host: &ExecutionHost, now: Timestamp) -> bool {
        matches!(self.state(host), CircuitState::Open { until, .. } if until <= now)
    }
}

fn key(host: &ExecutionHost) -> (HostName, Option<Region>) {
    (host.name.clone(), host.region.clone())
}

fn pause(advice: Advice, earlier: u32) -> Duration {
    match advice {
        Advice::After(pause) => pause,
        _ => Circuits::FIRST_PAUSE.saturating_mul(1 << earlier.min(16)).min(Circuits::LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> ExecutionHost {
        ExecutionHost::builder().name("h".parse().unwrap()).executor_type("mock".parse().unwrap()).build()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn until(state: &CircuitState) -> Option<(bool, i64)> {
        match state {
            CircuitState::Closed => None,
            CircuitState::CoolingDown { until, .. } => Some((false, until.as_second())),
            CircuitState::Open { until, .. } => Some((true, until.as_second())),
        }
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "it")
    }

    #[test]
    fn kinds_of_refusal_open_or_cool_down_or_say_nothing() {
        let cases = [
            (ErrorKind::Capacity, Some((false, 15))),
            (ErrorKind::Quota, Some((false, 15))),
            (ErrorKind::RateLimited, Some((false, 15))),
            (ErrorKind::Unauthenticated, Some((true, 15))),
            (ErrorKind::PermissionDenied, Some((true, 15))),
            (ErrorKind::Unavailable, None),
            (ErrorKind::ImageUnavailable, None),
            (ErrorKind::Invalid, None),
            (ErrorKind::CommandNotFound, None),
        ];
        for (kind, expected) in cases {
            assert_eq!(until(Circuits::new().refused(&host(), &error(kind), at(0))), expected, "{kind}");
        }
    }

    #[test]
    fn lost_contact_opens_at_the_third_time_in_a_row() {
        let mut circuits = Circuits::new();
        let refuse = |circuits: &mut Circuits| until(circuits.refused(&host(), &error(ErrorKind::Timeout), at(0)));
        assert_eq!((refuse(&mut circuits), refuse(&mut circuits)), (None, None));
        assert_eq!(refuse(&mut circuits), Some((true, 15)));
        circuits.succeeded(&host());
        assert_eq!(refuse(&mut circuits), None);
    }

    #[test]
    fn pauses_double_up_to_the_longest_unless_the_host_says() {
        let mut circuits = Circuits::new();
        let mut pause = || until(circuits.refused(&host(), &error(ErrorKind::Capacity), at(0))).unwrap().1;
        let pauses: Vec<i64> = std::iter::repeat_with(&mut pause).take(8).collect();
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 600, 600]);
        let told = error(ErrorKind::RateLimited).with_advice(Advice::After(Duration::from_secs(7)));
        assert_eq!(until(circuits.refused(&host(), &told, at(1))), Some((false, 8)));
    }

    #[test]
    fn an_open_circuit_is_due_for_a_probe_and_closes_only_by_success() {
        let mut circuits = Circuits::new();
        circuits.refused(&host(), &error(ErrorKind::Unauthenticated), at(0));
        circuits.refused(&host(), &error(ErrorKind::Capacity), at(1));
        assert_eq!(until(&circuits.state(&host())), Some((true, 15)));
        assert!(!circuits.is_due(&host(), at(14)) && circuits.is_due(&host(), at(15)));
        circuits.succeeded(&host());
        assert_eq!(circuits.state(&host()), CircuitState::Closed);
    }

    #[test]
    fn a_host_that_moves_begins_anew() {
        let mut circuits = Circuits::new();
        circuits.refused(&host(), &error(ErrorKind::Unauthenticated), at(0));
        let moved = ExecutionHost { region: Some("elsewhere".parse().unwrap()), ..host() };
        assert_eq!(circuits.state(&moved), CircuitState::Closed);
    }
}
