//! Rows of jobs and attempts as types, and as the records that the contract knows.

use jiff::Timestamp;
use longshore_core::{ExecutorType, HostName, JobId, JobStatus, LaunchToken, Result};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow};
use std::collections::BTreeSet;
use uuid::Uuid;

use super::codec;
use crate::{AttemptRecord, AttemptState, Charge, Held, JobRecord, Request, SessionId, Submission, WaitingFor};

/// The columns of [`JobRow`].
macro_rules! job_columns {
    () => {
        "j.id, j.status, j.submitted_at, j.finished_at, j.until, j.attempts, j.exit_code, j.host, j.executor, j.rest"
    };
}

/// The columns of [`JobRow`], its submission, and how many of its attempts ran.
macro_rules! record_columns {
    () => {
        concat!(
            $crate::postgres::rows::job_columns!(),
            ", s.body, CASE WHEN j.attempts > 0 THEN (SELECT count(*) FROM longshore_attempt r \
             WHERE r.job = j.id AND r.launched_at IS NOT NULL) ELSE 0 END AS runs"
        )
    };
}

/// The columns of [`AttemptRow`]. A version is the transaction that wrote it.
macro_rules! moving_columns {
    () => {
        "a.job, a.number, a.state, a.session, a.launched_at, a.started_at, a.ended_at, a.closed_at, a.charges, \
         a.xmin::text AS seen"
    };
}

/// The columns of a whole attempt.
macro_rules! attempt_columns {
    () => {
        "a.job, a.number, a.state, a.session, a.quiet_at, a.created_at, a.launched_at, a.started_at, a.ended_at, \
         a.closed_at, a.charges, a.handle, a.outcome, i.request, i.decision"
    };
}

pub(super) use {attempt_columns, job_columns, moving_columns, record_columns};

/// What of a job moves on.
#[derive(Debug, Clone)]
pub(super) struct JobRow {
    pub(super) id: JobId,
    pub(super) status: JobStatus,
    pub(super) submitted_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) attempts: u32,
    pub(super) exit_code: Option<i32>,
    pub(super) host: Option<HostName>,
    pub(super) executor_type: Option<ExecutorType>,
    pub(super) rest: Rest,
    /// The row's version, where others may change it meanwhile: only that one is written over.
    pub(super) seen: Option<String>,
}

/// What of a job moves on and is never filtered by.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) refused_by: Vec<HostName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel: Option<Request>,
    /// The hosts that it waits for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) hosts: BTreeSet<HostName>,
}

impl Rest {
    /// The hosts that a job waits for, whatever else a newer version keeps of it.
    pub(super) fn hosts_in(text: &str) -> Result<BTreeSet<HostName>> {
        #[derive(Deserialize)]
        struct Hosts {
            #[serde(default)]
            hosts: BTreeSet<HostName>,
        }
        codec::parsed(text, "the queue").map(|Hosts { hosts }| hosts)
    }

    /// The same without them, and with everything that this version does not know.
    pub(super) fn without_hosts(text: &str) -> Result<String> {
        let mut rest: serde_json::Map<String, serde_json::Value> = codec::parsed(text, "the queue")?;
        rest.remove("hosts");
        codec::json(&rest)
    }
}

impl JobRow {
    /// Reads [`job_columns!`].
    pub(super) fn read(row: &PgRow) -> Result<Self, super::Failure> {
        let id = codec::job_id(row.try_get("id")?);
        let name = |column| row.try_get::<Option<String>, _>(column);
        Ok(Self {
            id,
            status: codec::status(row.try_get("status")?)?,
            submitted_at: codec::time(row.try_get("submitted_at")?),
            finished_at: at(row, "finished_at")?,
            until: at(row, "until")?,
            attempts: codec::unsigned(row.try_get("attempts")?),
            exit_code: row.try_get("exit_code")?,
            host: name("host")?.map(|host| named(host, id)).transpose()?,
            executor_type: name("executor")?.map(|kind| named(kind, id)).transpose()?,
            rest: codec::parsed(row.try_get("rest")?, &of_job(id))?,
            seen: None,
        })
    }

    /// The record without its submission's row.
    pub(super) fn of(record: &JobRecord) -> Self {
        Self {
            id: record.id(),
            status: record.status,
            submitted_at: record.submitted_at,
            finished_at: record.finished_at,
            until: record.waiting_for.until,
            attempts: record.attempts,
            exit_code: record.exit_code,
            host: record.host.clone(),
            executor_type: record.executor_type.clone(),
            rest: Rest {
                reason: record.reason.clone(),
                refused_by: record.refused_by.clone(),
                cancel: record.cancel.clone(),
                hosts: record.waiting_for.hosts.clone(),
            },
            seen: None,
        }
    }

    pub(super) fn wait_for(&mut self, waiting_for: WaitingFor) {
        self.rest.hosts = waiting_for.hosts;
        self.until = waiting_for.until;
    }

    pub(super) fn finish(&mut self, status: JobStatus, reason: String, at: Timestamp) {
        self.status = status;
        self.rest.reason = Some(reason);
        self.finished_at = Some(at);
        self.wait_for(WaitingFor::NOTHING);
    }

    /// The line in which it waits; none for one that waits for its time only, or not at all.
    pub(super) fn line(&self) -> Option<Uuid> {
        let hosts = &self.rest.hosts;
        let in_line = self.status == JobStatus::Pending && (!hosts.is_empty() || self.until.is_none());
        in_line.then(|| codec::line(hosts.iter().map(HostName::as_str)))
    }

    fn record(self, submission: Submission, runs: u32) -> JobRecord {
        JobRecord {
            submission,
            submitted_at: self.submitted_at,
            status: self.status,
            reason: self.rest.reason,
            finished_at: self.finished_at,
            attempts: self.attempts,
            runs,
            refused_by: self.rest.refused_by,
            host: self.host,
            executor_type: self.executor_type,
            exit_code: self.exit_code,
            cancel: self.rest.cancel,
            waiting_for: WaitingFor { hosts: self.rest.hosts, until: self.until },
        }
    }
}

/// Reads [`record_columns!`].
pub(super) fn job_record(row: &PgRow) -> Result<JobRecord, super::Failure> {
    let job = JobRow::read(row)?;
    let submission = codec::parsed(row.try_get("body")?, &of_job(job.id))?;
    let runs: i64 = row.try_get("runs")?;
    Ok(job.record(submission, u32::try_from(runs).unwrap_or(u32::MAX)))
}

/// Reads [`attempt_columns!`].
pub(super) fn attempt_record(row: &PgRow) -> Result<AttemptRecord, super::Failure> {
    let token = codec::token(row.try_get("job")?, row.try_get("number")?);
    let what = of_attempt(token);
    let part = |column| row.try_get::<Option<&str>, _>(column);
    Ok(AttemptRecord {
        request: codec::parsed(row.try_get("request")?, &what)?,
        decision: codec::parsed(row.try_get("decision")?, &what)?,
        charges: part("charges")?.map(|text| codec::parsed(text, &what)).transpose()?.unwrap_or_default(),
        state: codec::state(row.try_get("state")?)?,
        session: row.try_get::<Option<Uuid>, _>("session")?.map(SessionId::from_uuid),
        quiet_at: at(row, "quiet_at")?,
        handle: part("handle")?.map(|text| codec::parsed(text, &what)).transpose()?,
        created_at: codec::time(row.try_get("created_at")?),
        launched_at: at(row, "launched_at")?,
        started_at: at(row, "started_at")?,
        ended_at: at(row, "ended_at")?,
        closed_at: at(row, "closed_at")?,
        outcome: part("outcome")?.map(|text| codec::parsed(text, &what)).transpose()?,
    })
}

/// What a newer version wrote so that this one can't read it, or what is damaged, is left as it is, and keeps nobody from
/// the rest.
pub(super) fn readable<T>(read: Result<T, super::Failure>) -> Option<T> {
    read.inspect_err(|failure| tracing::warn!(?failure, "a job that can't be read is left to a newer version")).ok()
}

/// Reads both.
pub(super) fn held(row: &PgRow) -> Result<Held, super::Failure> {
    Ok(Held::new(job_record(row)?, attempt_record(row)?))
}

/// What of an attempt moves on, without what would have to be parsed.
#[derive(Debug, Clone)]
pub(super) struct AttemptRow {
    pub(super) token: LaunchToken,
    pub(super) state: AttemptState,
    pub(super) session: Option<SessionId>,
    pub(super) launched_at: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) closed_at: Option<Timestamp>,
    pub(super) charges: Vec<Charge>,
    /// The handle as text, where it changes.
    pub(super) handle: Option<String>,
    /// The outcome as text, where it changes.
    pub(super) outcome: Option<String>,
    /// The row's version, where others may change it meanwhile: only that one is written over.
    pub(super) seen: Option<String>,
}

impl AttemptRow {
    /// Reads [`moving_columns!`].
    pub(super) fn read(row: &PgRow) -> Result<Self, super::Failure> {
        let token = codec::token(row.try_get("job")?, row.try_get("number")?);
        let charges: Option<&str> = row.try_get("charges")?;
        Ok(Self {
            token,
            state: codec::state(row.try_get("state")?)?,
            session: row.try_get::<Option<Uuid>, _>("session")?.map(SessionId::from_uuid),
            launched_at: at(row, "launched_at")?,
            started_at: at(row, "started_at")?,
            ended_at: at(row, "ended_at")?,
            closed_at: at(row, "closed_at")?,
            charges: charges.map(|text| codec::parsed(text, &of_attempt(token))).transpose()?.unwrap_or_default(),
            handle: None,
            outcome: None,
            seen: row.try_get("seen")?,
        })
    }

    /// The record without its texts.
    pub(super) fn of(record: &AttemptRecord) -> Self {
        Self {
            token: record.token(),
            state: record.state,
            session: record.session,
            launched_at: record.launched_at,
            started_at: record.started_at,
            ended_at: record.ended_at,
            closed_at: record.closed_at,
            charges: record.charges.clone(),
            handle: None,
            outcome: None,
            seen: None,
        }
    }
}

fn at(row: &PgRow, column: &str) -> Result<Option<Timestamp>, super::Failure> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(codec::time))
}

fn of_job(id: JobId) -> String {
    format!("job {id}")
}

fn of_attempt(token: LaunchToken) -> String {
    format!("attempt {} of job {}", token.attempt(), token.job())
}

fn named<T: TryFrom<String, Error = longshore_core::Violation>>(name: String, job: JobId) -> Result<T> {
    codec::parsed_name(name, &of_job(job))
}
