//! What an execution has done by a given time, and its log, made anew whenever it is read.

use jiff::Timestamp;

use crate::process::{Input, Output, Process};

/// How far apart, in bytes of log, the first moments lie that are remembered.
const SPACING: u64 = 8 << 10;
/// How many moments are remembered at most; beyond, every other one is forgotten.
const MOMENTS: usize = 1024;

/// A process and what comes to it, as far as it is known; the moments from which it can be followed again.
pub(crate) struct Timeline {
    now: Process,
    followed_to: Timestamp,
    inputs: Vec<Input>,
    moments: Vec<Process>,
    spacing: u64,
}

impl Timeline {
    pub(crate) fn new(process: Process) -> Self {
        let moments = vec![process.clone()];
        Self { now: process, followed_to: Timestamp::MIN, inputs: Vec::new(), moments, spacing: SPACING }
    }

    /// The process at the time to which it was followed last.
    pub(crate) const fn process(&self) -> &Process {
        &self.now
    }

    /// Follows the process to the given time. What is written on the way is not kept.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.followed_to = self.followed_to.max(now);
        while self.now.next_output(now, &self.inputs).is_some() {
            let last = self.moments.last().map_or(0, Process::logged);
            if self.now.logged() - last >= self.spacing {
                self.remember();
            }
        }
    }

    fn remember(&mut self) {
        self.moments.push(self.now.clone());
        if self.moments.len() > MOMENTS {
            let mut at = 0_usize;
            self.moments.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.spacing *= 2;
        }
    }

    /// Something comes to the process, now or later; it has been followed to now.
    pub(crate) fn add(&mut self, input: Input) {
        let earlier = self.inputs.iter().filter(|known| known.at <= input.at).count();
        self.inputs.insert(earlier.max(self.now.taken()), input);
    }

    /// Takes back what was to come later.
    pub(crate) fn take_back(&mut self, fits: impl Fn(&Input) -> bool) {
        let taken = self.now.taken();
        let mut at = 0;
        self.inputs.retain(|input| {
            at += 1;
            at <= taken || !fits(input)
        });
    }

    /// True when something of the kind is to come.
    pub(crate) fn is_expecting(&self, fits: impl Fn(&Input) -> bool) -> bool {
        self.inputs.iter().skip(self.now.taken()).any(fits)
    }

    /// When something happens next.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        self.now.next_change(&self.inputs)
    }

    /// Follows the process again, from a moment before the given place in its log on.
    pub(crate) fn replay(&self, from: u64, until: Timestamp) -> Replay<'_> {
        let is_at_the_front = from == self.now.logged() && until >= self.followed_to;
        let after = self.moments.partition_point(|moment| moment.logged() <= from);
        let moment = self.moments.get(after.saturating_sub(1)).filter(|_| !is_at_the_front).unwrap_or(&self.now);
        Replay { process: moment.clone(), inputs: &self.inputs, until }
    }
}

/// A process that is followed again.
pub(crate) struct Replay<'a> {
    process: Process,
    inputs: &'a [Input],
    until: Timestamp,
}

impl Replay<'_> {
    /// When the process goes on, once it has been followed to its time.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        self.process.next_change(self.inputs)
    }
}

impl Iterator for Replay<'_> {
    type Item = Output;
    fn next(&mut self) -> Option<Output> {
        self.process.next_output(self.until, self.inputs)
    }
}
