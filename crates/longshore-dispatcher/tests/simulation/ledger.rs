//! What was seen to happen, independently of what the store says: each rule that can be checked at once is checked here.

use longshore_core::{ExecutionHandle, HostName, JobId, JobStatus, LaunchToken, Termination, Timestamp, price::Money};
use longshore_store::{AttemptRecord, Charge, Held, IdempotencyKey, JobRecord, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// What is known of a run, from outside of everything that is tested.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The rule that was broken first, and how.
    pub(crate) broken: Option<(&'static str, String)>,
    /// What the jobs were last seen to be.
    pub(crate) statuses: BTreeMap<JobId, JobStatus>,
    /// The attempts that take a place.
    pub(crate) placed: BTreeMap<LaunchToken, HostName>,
    /// What each attempt counts on budgets.
    pub(crate) charged: BTreeMap<LaunchToken, Vec<Charge>>,
    /// Every attempt that there ever was.
    pub(crate) attempts: BTreeSet<LaunchToken>,
    /// The attempts that have something left to do.
    pub(crate) open: BTreeSet<LaunchToken>,
    /// When the claim of each attempt was asked for.
    pub(crate) claimed_at: BTreeMap<LaunchToken, Timestamp>,
    /// The attempts that may be lost, and why.
    pub(crate) excused: BTreeMap<LaunchToken, &'static str>,
    /// How executions really ended, seen when they were removed.
    pub(crate) truths: BTreeMap<LaunchToken, Vec<Truth>>,
    /// When sessions last gave a sign of life.
    pub(crate) beats: BTreeMap<SessionId, Instant>,
    /// What was answered to whoever submitted.
    pub(crate) acknowledged: BTreeMap<IdempotencyKey, BTreeSet<JobId>>,
    /// What was handed in, acknowledged or not.
    pub(crate) submitted: BTreeSet<IdempotencyKey>,
    /// The jobs that somebody cancelled for sure.
    pub(crate) cancelled: BTreeSet<JobId>,
}

/// How an execution really ended.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    pub(crate) host: HostName,
    pub(crate) end: Termination,
    pub(crate) log: Option<Vec<u8>>,
}

type Broken = (&'static str, String);

impl Ledger {
    /// A job as the store shows it.
    pub(crate) fn see(&mut self, job: &JobRecord) -> Result<(), Broken> {
        let Some(before) = self.statuses.insert(job.id(), job.status) else { return Ok(()) };
        if before == job.status || before.can_become(job.status) {
            return Ok(());
        }
        let rule = if before.is_terminal() { "a job ends once" } else { "jobs move as the table says" };
        Err((rule, format!("job {} went from {before} to {}", job.id(), job.status)))
    }

    /// An attempt that was claimed.
    pub(crate) fn claimed(
        &mut self,
        held: &Held,
        at: Timestamp,
        limit: Option<u32>,
        hard: Option<&Money>,
    ) -> Result<(), Broken> {
        let (token, host) = (held.attempt.token(), held.attempt.host().clone());
        self.claimed_at.insert(token, at);
        let alone = self.placed.keys().all(|other| other.job() != token.job());
        self.placed.insert(token, host.clone());
        self.attempts.insert(token);
        self.open.insert(token);
        self.charged.insert(token, held.attempt.charges.clone());
        if !alone {
            return Err(("no two attempts of a job at once", format!("{token} was claimed beside another attempt")));
        }
        let there = self.placed.values().filter(|other| **other == host).count();
        if limit.is_some_and(|limit| there > limit as usize) {
            return Err(("hosts take no more than their limit", format!("{there} attempts are placed on {host}")));
        }
        let spent = self.charged.values().flatten().map(|charge| charge.amount.amount()).sum();
        match hard {
            Some(hard) if !held.attempt.charges.is_empty() && hard.amount() < spent => {
                Err(("budgets are not overspent", format!("{spent} of {hard} after {token}")))
            }
            _ => Ok(()),
        }
    }

    /// An attempt that the store shows.
    pub(crate) fn follow(&mut self, attempt: &AttemptRecord) {
        let token = attempt.token();
        self.charged.insert(token, attempt.charges.clone());
        if !attempt.state.takes_place() {
            self.placed.remove(&token);
        }
        if !attempt.state.is_open() {
            self.open.remove(&token);
        }
    }

    pub(crate) fn excuse(&mut self, token: LaunchToken, why: &'static str) {
        self.excused.entry(token).or_insert(why);
    }

    pub(crate) fn removed(&mut self, handle: &ExecutionHandle, end: Termination, log: Option<Vec<u8>>) {
        let truth = Truth { host: handle.host.clone(), end, log };
        self.truths.entry(handle.token).or_default().push(truth);
    }
}
