//! Wishes to stop the container, which others leave in its folder.

use longshore_core::StopReason;
use std::{
    collections::HashSet,
    ffi::OsString,
    fs, io,
    time::{Duration, Instant},
};

use crate::state::{Folder, StopWish};

/// What has been asked so far.
#[derive(Debug, Default)]
pub(super) struct Stops {
    seen: HashSet<OsString>,
    asked: Option<Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    reason: StopReason,
    kill_at: Instant,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing new.
    Nothing,
    /// The first wish: the program is to be told.
    Tell,
}

impl Stops {
    /// Looks for new wishes. The first one's reason counts, and the least grace.
    pub(super) fn look(&mut self, folder: &Folder, now: Instant) -> Step {
        let first = self.asked.is_none();
        for wish in self.new_wishes(folder).unwrap_or_default() {
            let kill_at = now + wish.grace.min(FAR);
            let asked = self.asked.get_or_insert(Asked { reason: wish.reason, kill_at });
            asked.kill_at = asked.kill_at.min(kill_at);
        }
        if first && self.asked.is_some() { Step::Tell } else { Step::Nothing }
    }

    fn new_wishes(&mut self, folder: &Folder) -> io::Result<Vec<StopWish>> {
        let mut wishes = Vec::new();
        for entry in fs::read_dir(folder.path())? {
            let name = entry?.file_name();
            let wish = name.to_str().and_then(|name| name.strip_prefix(Folder::STOP)).and_then(StopWish::from_name);
            if let Some(wish) = wish.filter(|_| !self.seen.contains(&name)) {
                self.seen.insert(name);
                wishes.push(wish);
            }
        }
        Ok(wishes)
    }

    /// Why it was asked to stop, if it was.
    pub(super) fn reason(&self) -> Option<StopReason> {
        self.asked.map(|asked| asked.reason)
    }

    /// How long until the kill, if one is to come.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        self.asked.map(|asked| asked.kill_at.saturating_duration_since(now))
    }
}

/// More grace than a year is as good as for ever, and still fits into any clock.
const FAR: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(folder: &Folder, reason: StopReason, seconds: u64) {
        folder.leave_stop(&StopWish { reason, grace: Duration::from_secs(seconds) }).unwrap();
    }

    #[test]
    fn the_first_reason_and_the_least_grace_count() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().to_owned());
        let (mut stops, now) = (Stops::default(), Instant::now());
        assert_eq!((stops.look(&folder, now), stops.time_left(now)), (Step::Nothing, None));
        wish(&folder, StopReason::TimedOut, 30);
        assert_eq!((stops.look(&folder, now), stops.reason()), (Step::Tell, Some(StopReason::TimedOut)));
        assert_eq!(stops.time_left(now), Some(Duration::from_secs(30)));
        wish(&folder, StopReason::Cancelled, 60);
        assert_eq!((stops.look(&folder, now), stops.time_left(now)), (Step::Nothing, Some(Duration::from_secs(30))));
        wish(&folder, StopReason::Cancelled, 0);
        stops.look(&folder, now);
        assert_eq!((stops.reason(), stops.time_left(now)), (Some(StopReason::TimedOut), Some(Duration::ZERO)));
    }

    #[test]
    fn grace_without_end_is_no_overflow() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().to_owned());
        wish(&folder, StopReason::Cancelled, u64::MAX);
        assert_eq!(Stops::default().look(&folder, Instant::now()), Step::Tell);
    }
}
