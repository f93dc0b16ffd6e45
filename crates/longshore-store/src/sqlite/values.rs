//! How values are written into columns, and read from them.

use jiff::Timestamp;
use longshore_core::{HostName, JobStatus};
use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

use crate::{AttemptState, WaitingFor};

/// A time, to the nanosecond. The first and the last time of all stand for themselves; other times are those that 64 bits
/// of nanoseconds can tell, from 1677 to 2262, and what lies beyond is told as the nearest of these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Timestamp);

impl Time {
    fn nanoseconds(self) -> i64 {
        if self.0 == Timestamp::MIN {
            return i64::MIN;
        }
        if self.0 == Timestamp::MAX {
            return i64::MAX;
        }
        let inside = self.0.as_nanosecond().clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX - 1));
        i64::try_from(inside).unwrap_or_default()
    }
}

impl ToSql for Time {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.nanoseconds().into())
    }
}

impl FromSql for Time {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(match value.as_i64()? {
            i64::MIN => Timestamp::MIN,
            i64::MAX => Timestamp::MAX,
            inside => {
                Timestamp::from_nanosecond(i128::from(inside)).map_err(|error| FromSqlError::Other(error.into()))?
            }
        }))
    }
}

/// A time that may be absent.
pub(super) fn time(time: Option<Timestamp>) -> Option<Time> {
    time.map(Time)
}

/// A value as JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_slice(value.as_bytes()?).map(Self).map_err(|error| FromSqlError::Other(error.into()))
    }
}

/// The JSON of a value.
pub(super) fn json<T: Serialize>(value: &T) -> longshore_core::Result<String> {
    serde_json::to_string(value).map_err(|error| {
        let kind = longshore_core::ErrorKind::Unexpected;
        longshore_core::Error::new(kind, "a bug: a record that has no JSON").with_source(error)
    })
}

/// A list as JSON; nothing for an empty one.
pub(super) fn json_list<T: Serialize>(list: &[T]) -> longshore_core::Result<Option<String>> {
    if list.is_empty() { Ok(None) } else { json(&list).map(Some) }
}

/// Reads a list that is absent where it is empty.
pub(super) fn list<T>(list: Option<Json<Vec<T>>>) -> Vec<T> {
    list.map(|Json(list)| list).unwrap_or_default()
}

/// A status or a state by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<T>(pub(super) T);

const STATUSES: [(JobStatus, &str); 8] = [
    (JobStatus::Pending, "pending"),
    (JobStatus::Launching, "launching"),
    (JobStatus::Running, "running"),
    (JobStatus::Completed, "completed"),
    (JobStatus::Failed, "failed"),
    (JobStatus::TimedOut, "timed_out"),
    (JobStatus::Cancelled, "cancelled"),
    (JobStatus::Lost, "lost"),
];

const STATES: [(AttemptState, &str); 4] = [
    (AttemptState::Launching, "launching"),
    (AttemptState::Launched, "launched"),
    (AttemptState::Ended, "ended"),
    (AttemptState::Closed, "closed"),
];

fn write<T: PartialEq>(table: &[(T, &'static str)], value: &T) -> rusqlite::Result<ToSqlOutput<'static>> {
    let found = table.iter().find(|(known, _)| known == value);
    found.map(|(_, word)| (*word).into()).ok_or_else(|| unknown("a value that has no word"))
}

fn read<T: Copy>(table: &[(T, &'static str)], value: ValueRef<'_>) -> FromSqlResult<Word<T>> {
    let word = value.as_str()?;
    let found = table.iter().find(|(_, known)| *known == word);
    found.map(|(value, _)| Word(*value)).ok_or_else(|| FromSqlError::Other(format!("unknown word {word}").into()))
}

fn unknown(why: &str) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(why.into())
}

impl ToSql for Word<JobStatus> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        write(&STATUSES, &self.0)
    }
}

impl FromSql for Word<JobStatus> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        read(&STATUSES, value)
    }
}

impl ToSql for Word<AttemptState> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        write(&STATES, &self.0)
    }
}

impl FromSql for Word<AttemptState> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        read(&STATES, value)
    }
}

/// A text that is parsed by its type's own rule.
#[derive(Debug)]
pub(super) struct Parsed<T>(pub(super) T);

impl<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>> FromSql for Parsed<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(|error: T::Err| FromSqlError::Other(error.into()))
    }
}

/// An id of 16 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id(pub(super) uuid::Uuid);

impl ToSql for Id {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_bytes().as_slice().into())
    }
}

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        uuid::Uuid::from_slice(value.as_blob()?).map(Self).map_err(|error| FromSqlError::Other(error.into()))
    }
}

impl From<longshore_core::JobId> for Id {
    fn from(id: longshore_core::JobId) -> Self {
        Self(*id.as_uuid())
    }
}

impl From<crate::SessionId> for Id {
    fn from(id: crate::SessionId) -> Self {
        Self(*id.as_uuid())
    }
}

/// The line of a pending job that waits for this; none for one that waits for a time only.
pub(super) fn line(waiting_for: &WaitingFor) -> Option<String> {
    let in_line = !waiting_for.hosts.is_empty() || waiting_for.until.is_none();
    in_line.then(|| waiting_for.hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(","))
}

/// The hosts of a line.
pub(super) fn hosts(line: &str) -> FromSqlResult<BTreeSet<HostName>> {
    let names = line.split(',').filter(|name| !name.is_empty());
    names
        .map(|name| name.parse().map_err(|error: longshore_core::Violation| FromSqlError::Other(error.into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(time: Timestamp) -> Timestamp {
        Time::column_result(ValueRef::Integer(Time(time).nanoseconds())).unwrap().0
    }

    #[test]
    fn times_keep_their_nanoseconds_and_their_ends() {
        for time in ["2026-03-01T12:00:00.123456789Z", "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00Z"] {
            let time: Timestamp = time.parse().unwrap();
            assert_eq!(round_trip(time), time);
        }
        assert_eq!(round_trip(Timestamp::MAX), Timestamp::MAX);
        assert_eq!(round_trip(Timestamp::MIN), Timestamp::MIN);
        let far: Timestamp = "3000-01-01T00:00:00Z".parse().unwrap();
        assert!(round_trip(far) > "2262-01-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn unknown_words_are_refused() {
        assert!(Word::<JobStatus>::column_result(ValueRef::Text(b"dreaming")).is_err());
        assert!(Word::<AttemptState>::column_result(ValueRef::Text(b"running")).is_err());
    }

    #[test]
    fn a_line_is_its_hosts() {
        let of = |names: &[&str]| WaitingFor::hosts(names.iter().map(|name| name.parse().unwrap()));
        let until = WaitingFor::until(Timestamp::UNIX_EPOCH);
        assert_eq!(line(&WaitingFor::NOTHING).as_deref(), Some(""));
        assert_eq!(line(&until), None);
        assert_eq!(line(&of(&["b", "a"])).as_deref(), Some("a,b"));
        assert_eq!(hosts("a,b").unwrap(), of(&["a", "b"]).hosts);
        assert_eq!(hosts("").unwrap(), BTreeSet::new());
    }
}
