//! How a dispatcher works.

use bon::Builder;
use longshore_core::{ByteSize, Owner};
use std::time::Duration;

/// How a dispatcher works. The defaults suit a service of any size.
#[derive(Debug, Clone, Builder)]
#[non_exhaustive]
pub struct Settings {
    /// The installation that owns what is launched: [the store's own](longshore_store::JobStore::owner), unless there is a
    /// reason. No two stores may have the same, because a dispatcher takes what its store does not know for leftovers, and
    /// removes it.
    pub owner: Owner,
    /// Who this is, for people: usually the machine's name and the process.
    #[builder(into, default = "dispatcher")]
    pub name: String,
    /// How many attempts it looks after at one time, at most. What others leave is adopted beyond that.
    #[builder(default = 10_000)]
    pub max_jobs: usize,
    /// How many jobs one look at the queue takes, at most.
    #[builder(default = 1_024)]
    pub claim_size: usize,
    /// After how long without a sign of life another dispatcher is taken for dead and fenced off.
    #[builder(default = Duration::from_secs(30))]
    pub lease: Duration,
    /// How long after the intent, or after a long preparation, a launch may still be sent.
    #[builder(default = Duration::from_secs(60))]
    pub launch_window: Duration,
    /// How long a launch that was sent in time may take to have its effect.
    #[builder(default = Duration::from_secs(60))]
    pub margin: Duration,
    /// How often executions are asked about where events should have told.
    #[builder(default = Duration::from_secs(30))]
    pub reconcile: Duration,
    /// How often executions are asked about on hosts that tell no events.
    #[builder(default = Duration::from_secs(2))]
    pub poll: Duration,
    /// After how long without an answer about an attempt it is lost.
    #[builder(default = Duration::from_secs(7 * 24 * 3600))]
    pub lost_after: Duration,
    /// How old something of ours that the store does not know must be before it is removed.
    #[builder(default = Duration::from_secs(3600))]
    pub orphaned_after: Duration,
    /// How long jobs are kept once they have ended, with their history and logs; absent, until somebody removes them.
    pub retention: Option<Duration>,
    /// How long a drained dispatcher waits for launches that are under way.
    #[builder(default = Duration::from_secs(120))]
    pub drain: Duration,
    /// How many bytes of a log are kept at most, of jobs that don't say.
    #[builder(default = ByteSize::from_mib(64))]
    pub log_cap: ByteSize,
    /// The bug to work with; for the simulation, which must notice.
    #[cfg(feature = "planted")]
    pub planted: Option<crate::planted::Bug>,
}

impl Settings {
    /// How often a dispatcher gives a sign of life.
    pub(crate) fn beat(&self) -> Duration {
        self.lease / Self::BEATS
    }

    /// How many signs of life in a row must be missing.
    pub(crate) const BEATS: u32 = 3;
}
