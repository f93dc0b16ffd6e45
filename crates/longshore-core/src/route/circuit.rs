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
/// How long a host is left alone is what it says itself ([`Advice::After`], which providers give as `Retry-After`), up to
/// [`Circuits::LONGEST_TOLD`]; else [`Circuits::FIRST_PAUSE`], doubled each time that it refuses after a pause has passed,
/// up to [`Circuits::LONGEST_PAUSE`]. Refusals within a pause, such as those of launches that were under way together,
/// are one incident: they never double it, and never shorten it.
#[derive(Debug, Clone, Default)]
pub struct Circuits {
    by_host: HashMap<(HostName, Option<Region>), Circuit>,
}

#[derive(Debug, Clone, Default)]
struct Circuit {
    state: CircuitState,
    /// How many refusals of a kind that opens came since it was last well.
    in_a_row: u32,
    /// How often it was left alone since it was last well.
    pauses: u32,
}

impl Circuits {
    /// How long a host is left alone after its first refusal, when it does not say.
    pub const FIRST_PAUSE: Duration = Duration::from_secs(15);
    /// How long it is left alone at most, when it does not say.
    pub const LONGEST_PAUSE: Duration = Duration::from_secs(600);
    /// How long it is left alone at most when it says how long, so that no answer takes a host away for good.
    pub const LONGEST_TOLD: Duration = Duration::from_secs(3600);

    /// All are closed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The host refused or failed. Of one whose circuit is open and due, whatever fails counts as a failed probe, and it is
    /// left alone anew.
    pub fn refused(&mut self, host: &ExecutionHost, error: &Error, now: Timestamp) -> &CircuitState {
        let circuit = self.by_host.entry(key(host)).or_default();
        let effect = effect(error.kind());
        if matches!(effect, Effect::OpensAfter(_)) {
            circuit.in_a_row = circuit.in_a_row.saturating_add(1);
        }
        if let Some(opens) = circuit.opens(effect, now) {
            circuit.pause(opens, error, now);
        }
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

impl Circuit {
    /// Whether the circuit is open after such a refusal, or the host merely cools down; none where it changes nothing.
    fn opens(&self, effect: Effect, now: Timestamp) -> Option<bool> {
        match (&self.state, effect) {
            (CircuitState::Open { until, .. }, Effect::Nothing) => (*until <= now).then_some(true),
            // What can't be used at all is not closed by what merely has no room.
            (CircuitState::Open { .. }, _) => Some(true),
            (_, Effect::OpensAfter(limit)) => (self.in_a_row >= limit).then_some(true),
            (_, Effect::CoolsDown) => Some(false),
            (_, Effect::Nothing) => None,
        }
    }

    fn pause(&mut self, opens: bool, error: &Error, now: Timestamp) {
        let before = match self.state {
            CircuitState::Closed => None,
            CircuitState::CoolingDown { until, .. } | CircuitState::Open { until, .. } => Some(until),
        };
        if before.is_none_or(|until| until <= now) {
            self.pauses = self.pauses.saturating_add(1);
        }
        let until = later(now, pause(error.advice(), self.pauses.saturating_sub(1)));
        let until = before.map_or(until, |before| before.max(until));
        let why = format!("{}: {}", error.kind(), error.message());
        self.state = if opens { CircuitState::Open { until, why } } else { CircuitState::CoolingDown { until, why } };
    }
}

fn key(host: &ExecutionHost) -> (HostName, Option<Region>) {
    (host.name.clone(), host.region.clone())
}

fn pause(advice: Advice, earlier: u32) -> Duration {
    match advice {
        // No time at all would be asked again at once, and for ever.
        Advice::After(pause) if !pause.is_zero() => pause.min(Circuits::LONGEST_TOLD),
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

    fn told(seconds: u64) -> Error {
        error(ErrorKind::RateLimited).with_advice(Advice::After(Duration::from_secs(seconds)))
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
    fn pauses_double_each_time_that_one_has_passed_up_to_the_longest() {
        let mut circuits = Circuits::new();
        let mut now = 0;
        let mut pause = || {
            let began = now;
            now = until(circuits.refused(&host(), &error(ErrorKind::Capacity), at(began))).unwrap().1;
            now - began
        };
        let pauses: Vec<i64> = std::iter::repeat_with(&mut pause).take(8).collect();
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn refusals_of_one_incident_count_once_and_never_shorten_its_pause() {
        let mut circuits = Circuits::new();
        let mut refuse = |error: &Error, now| until(circuits.refused(&host(), error, at(now))).unwrap();
        let full = error(ErrorKind::Capacity);
        assert_eq!(refuse(&full, 0), (false, 15));
        let parallel: Vec<_> = (0..50).map(|_| refuse(&full, 2)).collect();
        assert!(parallel.iter().all(|state| *state == (false, 17)), "{parallel:?}");
        assert_eq!(refuse(&full, 17), (false, 47));
        assert_eq!(refuse(&told(7), 18), (false, 47));
        assert_eq!(refuse(&told(100), 18), (false, 118));
        // Another kind of the same incident opens it, and shortens nothing either.
        assert_eq!(refuse(&error(ErrorKind::Unauthenticated), 19), (true, 118));
    }

    #[test]
    fn the_host_says_how_long_within_reason() {
        for (seconds, expected) in [(7, 7), (3600, 3600), (3601, 3600), (u64::MAX, 3600), (0, 15)] {
            let state = until(Circuits::new().refused(&host(), &told(seconds), at(0)));
            assert_eq!(state, Some((false, expected)), "{seconds}");
        }
    }

    #[test]
    fn having_no_room_is_no_lost_contact() {
        let mut circuits = Circuits::new();
        circuits.refused(&host(), &error(ErrorKind::Capacity), at(0));
        circuits.refused(&host(), &error(ErrorKind::RateLimited), at(1));
        circuits.refused(&host(), &error(ErrorKind::Unavailable), at(2));
        assert_eq!(until(&circuits.state(&host())), Some((false, 16)));
    }

    #[test]
    fn an_open_circuit_is_due_for_a_probe_and_closes_only_by_success() {
        let mut circuits = Circuits::new();
        circuits.refused(&host(), &error(ErrorKind::Unauthenticated), at(0));
        circuits.refused(&host(), &error(ErrorKind::Invalid), at(1));
        assert_eq!(until(&circuits.state(&host())), Some((true, 15)));
        assert!(!circuits.is_due(&host(), at(14)) && circuits.is_due(&host(), at(15)));
        circuits.succeeded(&host());
        assert_eq!(circuits.state(&host()), CircuitState::Closed);
    }

    #[test]
    fn after_a_failed_probe_of_whatever_kind_the_host_is_not_due() {
        let kinds = [
            (ErrorKind::Capacity, 30),
            (ErrorKind::RateLimited, 30),
            (ErrorKind::Unavailable, 30),
            (ErrorKind::PermissionDenied, 30),
            (ErrorKind::Invalid, 30),
            (ErrorKind::NotFound, 30),
        ];
        let probes = kinds.map(|(kind, pause)| (error(kind), pause)).into_iter().chain([(told(4), 4), (told(0), 30)]);
        for (error, pause) in probes {
            let mut circuits = Circuits::new();
            circuits.refused(&host(), &self::error(ErrorKind::Unauthenticated), at(0));
            assert!(circuits.is_due(&host(), at(100)));
            assert_eq!(until(circuits.refused(&host(), &error, at(100))), Some((true, 100 + pause)), "{error:?}");
            assert!(!circuits.is_due(&host(), at(100)), "{error:?}");
        }
    }

    #[test]
    fn a_host_that_moves_begins_anew() {
        let mut circuits = Circuits::new();
        circuits.refused(&host(), &error(ErrorKind::Unauthenticated), at(0));
        let moved = ExecutionHost { region: Some("elsewhere".parse().unwrap()), ..host() };
        assert_eq!(circuits.state(&moved), CircuitState::Closed);
    }
}
