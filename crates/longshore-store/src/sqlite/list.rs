//! Looking for jobs, counting them, and reading them whole.

use longshore_core::{HostName, JobId, JobStatus, LaunchToken};
use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};

use super::{
    fault::Outcome,
    rows::{Kept, all, attempts_of, events_of, job, job_columns},
    values::{Id, Time, Word},
};
use crate::{AttemptState, JobArchive, JobQuery, JobRecord, StatusCounts};

/// A condition and its values, put together of constant words only.
#[derive(Default)]
struct Filter {
    conditions: Vec<&'static str>,
    values: Vec<Box<dyn ToSql>>,
}

impl Filter {
    fn add(&mut self, condition: &'static str, value: Option<impl ToSql + 'static>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Box::new(value));
        }
    }

    fn of(query: &JobQuery, status: Option<JobStatus>) -> Self {
        let mut filter = Self::default();
        filter.add("j.status = ?", status.map(Word));
        filter.add("j.host = ?", query.host.as_ref().map(HostName::to_string));
        filter.add("j.executor_type = ?", query.executor.as_ref().map(ToString::to_string));
        filter.add("j.template = ?", query.template.clone());
        filter.add("j.user = ?", query.user.clone());
        filter.add("j.submitted_at >= ?", query.since.map(Time));
        filter.add("j.finished_at < ?", query.finished_before.map(Time));
        filter.add("j.id < ?", query.after.map(Id::from));
        for (key, value) in &query.labels {
            filter.conditions.push("EXISTS (SELECT 1 FROM labels WHERE key = ? AND value = ? AND job = j.no)");
            filter.values.push(Box::new(key.as_str().to_owned()));
            filter.values.push(Box::new(value.as_str().to_owned()));
        }
        filter
    }
}

/// The jobs asked for, the newest first.
pub(super) fn jobs(connection: &Connection, query: &JobQuery) -> Outcome<Vec<JobRecord>> {
    let mut found = Vec::new();
    if query.statuses.is_empty() {
        found = page(connection, query, None)?;
    }
    // Each status has an index of its own; the pages of several are merged.
    for status in &query.statuses {
        found.extend(page(connection, query, Some(*status))?);
    }
    found.sort_unstable_by_key(|record| std::cmp::Reverse(record.id()));
    found.truncate(query.limit);
    Ok(found)
}

fn page(connection: &Connection, query: &JobQuery, status: Option<JobStatus>) -> Outcome<Vec<JobRecord>> {
    let Filter { conditions, mut values } = Filter::of(query, status);
    let matching = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let columns = job_columns!();
    let sql = format!(
        "SELECT {columns} FROM jobs j JOIN submissions s ON s.job = j.no {matching} ORDER BY j.id DESC LIMIT ?"
    );
    values.push(Box::new(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    let found = all(connection.prepare_cached(&sql)?, params_from_iter(values), job)?;
    Ok(found.into_iter().map(|kept| kept.record).collect())
}

pub(super) fn counts(connection: &Connection) -> Outcome<StatusCounts> {
    const COUNTS: &str = "SELECT status, count(*) FROM jobs GROUP BY status";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Word<JobStatus>>(0)?.0, row.get(1)?));
    Ok(all(connection.prepare_cached(COUNTS)?, [], read)?.into_iter().collect())
}

pub(super) fn attempt_states(connection: &Connection, tokens: &[LaunchToken]) -> Outcome<Vec<Option<AttemptState>>> {
    const STATE: &str = "SELECT a.state FROM jobs j JOIN attempts a ON a.job = j.no WHERE j.id = ?1 AND a.number = ?2";
    let mut statement = connection.prepare_cached(STATE)?;
    let mut states = Vec::with_capacity(tokens.len());
    for token in tokens {
        let parameters = params![Id::from(token.job()), token.attempt()];
        let state = statement.query_row(parameters, |row| row.get::<_, Word<_>>(0)).optional()?;
        states.push(state.map(|state| state.0));
    }
    Ok(states)
}

/// Jobs with everything that is kept of them, by id.
pub(super) fn archive(connection: &Connection, after: Option<JobId>, most: usize) -> Outcome<Vec<JobArchive>> {
    const FROM: &str = concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs j JOIN submissions s ON s.job = j.no WHERE j.id > ?1 ORDER BY j.id LIMIT ?2"
    );
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let after = after.map(|id| id.as_uuid().as_bytes().to_vec()).unwrap_or_default();
    let found = all(connection.prepare_cached(FROM)?, params![after, most], job)?;
    let whole =
        |Kept { no, record }| Ok(JobArchive::new(record, attempts_of(connection, no)?, events_of(connection, no)?));
    found.into_iter().map(whole).collect()
}
