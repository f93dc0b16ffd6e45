//! What this process has written of attempts that its sessions hold, so that it need not read that before it writes on.
//!
//! Each row is known with its version, which is the transaction that wrote it. Whoever else changes the row gives it another
//! version, and over another version than the one that is known nothing is written: the work begins again, and reads.

use longshore_core::LaunchToken;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use super::rows::{AttemptRow, JobRow};
use crate::{Held, SessionId};

/// An attempt, and its job where that is known too. Each has its version.
#[derive(Debug, Clone)]
pub(super) struct HeldRow {
    pub(super) attempt: AttemptRow,
    pub(super) job: Option<JobRow>,
}

impl HeldRow {
    /// What one transaction has written as a whole.
    pub(super) fn written(held: &Held, version: &str) -> Self {
        let mut row = Self { attempt: AttemptRow::of(&held.attempt), job: Some(JobRow::of(&held.job)) };
        row.attempt.seen = Some(version.to_owned());
        row.job = row.job.map(|job| JobRow { seen: Some(version.to_owned()), ..job });
        row
    }
}

/// Rows by attempt. Clones of a store share them.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// Of which server it is, as [`Pool::server_number`](super::pool::Pool::server_number) counts them: another one may give
    /// the same version to something else.
    server: u64,
    rows: BTreeMap<LaunchToken, HeldRow>,
}

impl Known {
    /// Takes what is known of attempts. Whoever fails to write them has nothing left to be wrong about.
    pub(super) fn take(&self, server: u64, tokens: &BTreeSet<LaunchToken>) -> Vec<HeldRow> {
        self.with(server, |rows| tokens.iter().filter_map(|token| rows.remove(token)).collect())
    }

    /// Remembers what was committed, of attempts that the session holds.
    pub(super) fn learn(&self, server: u64, session: SessionId, written: Vec<HeldRow>) {
        let held = written.into_iter().filter(|row| row.attempt.session == Some(session));
        self.with(server, |rows| rows.extend(held.map(|row| (row.attempt.token, row))));
    }

    /// Forgets what a session held that is over.
    pub(super) fn forget(&self, session: SessionId) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.rows.retain(|_, row| row.attempt.session != Some(session));
    }

    fn with<T: Default>(&self, server: u64, act: impl FnOnce(&mut BTreeMap<LaunchToken, HeldRow>) -> T) -> T {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.server < server {
            *memory = Memory { server, rows: BTreeMap::new() };
        }
        if memory.server == server { act(&mut memory.rows) } else { T::default() }
    }
}
