//! The queue as lines: one of jobs that wait for nothing, and one for each set of hosts that jobs wait for.

use jiff::Timestamp;
use longshore_core::{HostName, JobId};
use std::collections::{BTreeMap, BTreeSet};

use crate::{JobRecord, WaitingFor};

#[derive(Debug, Default)]
pub(super) struct Queue {
    lines: BTreeMap<BTreeSet<HostName>, BTreeSet<(Timestamp, JobId)>>,
    timed: BTreeSet<(Timestamp, JobId)>,
}

impl Queue {
    pub(super) fn enter(&mut self, record: &JobRecord) {
        let WaitingFor { hosts, until } = &record.waiting_for;
        if !hosts.is_empty() || until.is_none() {
            self.lines.entry(hosts.clone()).or_default().insert((record.place_in_queue(), record.id()));
        }
        self.timed.extend(until.map(|until| (until, record.id())));
    }

    pub(super) fn leave(&mut self, record: &JobRecord) {
        if let Some(line) = self.lines.get_mut(&record.waiting_for.hosts) {
            line.remove(&(record.place_in_queue(), record.id()));
            if line.is_empty() {
                self.lines.remove(&record.waiting_for.hosts);
            }
        }
        if let Some(until) = record.waiting_for.until {
            self.timed.remove(&(until, record.id()));
        }
    }

    /// Those whose time has come.
    pub(super) fn due(&self, now: Timestamp) -> Vec<JobId> {
        self.timed.iter().take_while(|(until, _)| *until <= now).map(|(_, job)| *job).collect()
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.timed.first().map(|(until, _)| *until)
    }

    /// Those to be looked at, by their place: as many of each line as there is room for.
    pub(super) fn first(&self, most: usize, room: impl Fn(&BTreeSet<HostName>) -> usize) -> Vec<JobId> {
        let lines = self.lines.iter().flat_map(|(hosts, line)| {
            let room = if hosts.is_empty() { most } else { room(hosts).min(most) };
            line.iter().take(room)
        });
        let mut first: Vec<_> = lines.copied().collect();
        first.sort_unstable();
        first.into_iter().take(most).map(|(_, job)| job).collect()
    }
}
