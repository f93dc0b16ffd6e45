//! How values stand in columns, and how they are read back into types.

use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, JobId, JobStatus, LaunchToken, Result};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use uuid::Uuid;

use crate::AttemptState;

/// A time as nanoseconds of the Unix epoch. The years beyond 2262 are one, the end of time.
pub(super) fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time > Timestamp::UNIX_EPOCH { i64::MAX } else { i64::MIN })
}

pub(super) fn time(nanos: i64) -> Timestamp {
    match nanos {
        i64::MAX => Timestamp::MAX,
        i64::MIN => Timestamp::MIN,
        within => Timestamp::from_nanosecond(i128::from(within)).unwrap_or(Timestamp::MAX),
    }
}

/// A budget's period; the beginning of time for a budget without periods.
pub(super) fn period(period: Option<Timestamp>) -> i64 {
    period.map_or(i64::MIN, nanos)
}

const STATUSES: [JobStatus; 8] = [
    JobStatus::Pending,
    JobStatus::Launching,
    JobStatus::Running,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::TimedOut,
    JobStatus::Cancelled,
    JobStatus::Lost,
];

const STATES: [AttemptState; 4] =
    [AttemptState::Launching, AttemptState::Launched, AttemptState::Ended, AttemptState::Closed];

/// The number of a thing in a list that is only ever added to.
fn number<T: PartialEq>(all: &[T], one: &T) -> i16 {
    all.iter().position(|it| it == one).and_then(|at| i16::try_from(at).ok()).unwrap_or(i16::MAX)
}

fn numbered<T: Copy>(all: &[T], number: i16, what: &str) -> Result<T> {
    let found = usize::try_from(number).ok().and_then(|at| all.get(at)).copied();
    found.ok_or_else(|| unreadable(what, format!("{number} is not known")))
}

pub(super) fn status_number(status: JobStatus) -> i16 {
    number(&STATUSES, &status)
}

pub(super) fn status(number: i16) -> Result<JobStatus> {
    numbered(&STATUSES, number, "the status of a job")
}

pub(super) fn state_number(state: AttemptState) -> i16 {
    number(&STATES, &state)
}

pub(super) fn state(number: i16) -> Result<AttemptState> {
    numbered(&STATES, number, "the state of an attempt")
}

/// A count or number that is kept as PostgreSQL's `integer`.
pub(super) fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

pub(super) fn job_id(id: Uuid) -> JobId {
    JobId::from_uuid(id)
}

pub(super) fn token(job: Uuid, number: i32) -> LaunchToken {
    LaunchToken::new(job_id(job), unsigned(number))
}

/// Text in JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::Invalid, "what was given can't be written as JSON; nothing was stored").with_source(error)
    })
}

pub(super) fn parsed<T: DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(what, error))
}

fn unreadable(what: &str, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = format!(
        "{what} in the database can't be read: it was written by a newer Longshore, or is damaged. It is left as it is; \
         use a newer version, or run `longshore db check`"
    );
    Error::new(ErrorKind::Unexpected, message).with_source(why)
}

/// Text for a column: PostgreSQL stores everything but the character zero.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The name of the line in which jobs wait that wait for these hosts. All zero for those that wait for nothing.
pub(super) fn line<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Uuid {
    let hosts: BTreeSet<&str> = hosts.into_iter().collect();
    if hosts.is_empty() {
        return Uuid::nil();
    }
    let mut hash = Sha256::new();
    for host in hosts {
        hash.update(host);
        hash.update(b"\n");
    }
    let mut name = [0; 16];
    name.copy_from_slice(&hash.finalize()[..16]);
    Uuid::from_bytes(name)
}

pub(super) fn parsed_name<T: TryFrom<String, Error = longshore_core::Violation>>(
    name: String,
    what: &str,
) -> Result<T> {
    T::try_from(name).map_err(|violation| unreadable(what, violation))
}

pub(super) fn decimal(text: &str, what: &str) -> Result<rust_decimal::Decimal> {
    text.parse().map_err(|error| unreadable(what, format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_and_state_has_a_number_of_its_own() {
        let statuses = JobStatus::MOVES.iter().flat_map(|(from, to)| [*from, *to]);
        for known in statuses {
            assert_eq!(status(status_number(known)).unwrap(), known);
        }
        for known in STATES {
            assert_eq!(state(state_number(known)).unwrap(), known);
        }
        // The tables' own SQL knows these.
        assert_eq!(STATES.map(AttemptState::takes_place), [true, true, false, false]);
        assert_eq!(STATES.map(AttemptState::is_open), [true, true, true, false]);
        assert_eq!(STATUSES.iter().position(|status| status.is_terminal()), Some(3));
        assert!(status(99).unwrap_err().to_string().contains("the status of a job in the database can't be read"));
    }

    #[test]
    fn times_come_back_to_the_nanosecond() {
        let now: Timestamp = "2026-03-01T12:00:00.123456789Z".parse().unwrap();
        for known in [now, Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(time(nanos(known)), known);
        }
        let later: Timestamp = "2300-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(time(nanos(later)), Timestamp::MAX);
    }

    #[test]
    fn a_line_is_of_its_hosts_in_any_order() {
        assert_eq!(line(["b", "a"]), line(["a", "b"]));
        assert_ne!(line(["a", "b"]), line(["ab"]));
        assert!(line([]).is_nil());
    }

    #[test]
    fn the_one_character_that_can_not_be_stored_is_replaced() {
        assert_eq!(text("a\0b"), "a\u{fffd}b");
    }
}
