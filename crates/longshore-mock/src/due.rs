//! When something happens next to each execution, so that nobody has to look at all of them to find out.

use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Executions by the time of what happens next to them.
#[derive(Debug, Default)]
pub(crate) struct Due {
    times: BTreeSet<(Timestamp, u64)>,
    of: BTreeMap<u64, Timestamp>,
}

impl Due {
    /// Something happens to it at this time next, or never.
    pub(crate) fn set(&mut self, number: u64, next: Option<Timestamp>) {
        let before = match next {
            Some(next) => self.of.insert(number, next),
            None => self.of.remove(&number),
        };
        if let Some(before) = before {
            self.times.remove(&(before, number));
        }
        self.times.extend(next.map(|next| (next, number)));
    }

    /// Those to which something has happened by now, in the order of their numbers.
    pub(crate) fn by(&self, now: Timestamp) -> BTreeSet<u64> {
        self.times.range(..=(now, u64::MAX)).map(|(_, number)| *number).collect()
    }

    /// All of them, the next one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Timestamp, u64)> {
        self.times.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_at_its_latest_time_only() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut due = Due::default();
        for (number, next) in [(2, Some(5)), (1, Some(5)), (3, Some(9)), (2, Some(7)), (3, None), (4, None)] {
            due.set(number, next.map(at));
        }
        assert_eq!(due.iter().collect::<Vec<_>>(), [(at(5), 1), (at(7), 2)]);
        assert_eq!(due.by(at(4)), BTreeSet::new());
        assert_eq!(due.by(at(7)), BTreeSet::from([1, 2]));
    }
}
