//! What the dispatcher reads of a job: how urgent it is, and after which ends it is tried again.

use bon::Builder;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, num::NonZeroU32, str::FromStr, time::Duration};

use crate::{Cause, Termination, Violation, clock::later, units::duration};

/// How urgent a job is, from −1,000 to 1,000; 0 unless said otherwise. Higher goes first.
///
/// Waiting counts too, so that nothing waits for ever: each point is worth a minute in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Priority(i16);

impl Priority {
    /// What a point is worth in the queue.
    pub const POINT: Duration = Duration::from_secs(60);
    const MOST: i16 = 1000;
    const RULE: &'static str = "use a whole number from -1000 to 1000; higher goes first";

    /// Checks the priority against the rule.
    ///
    /// # Errors
    /// A [`Violation`] that names the rule.
    pub fn new(priority: i32) -> Result<Self, Violation> {
        let inside = i16::try_from(priority).ok().filter(|points| points.abs() <= Self::MOST);
        inside.map(Self).ok_or_else(|| Violation::new("priority", priority, Self::RULE))
    }

    /// The priority as a number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0 as i32
    }

    /// The place in the queue of a job that was submitted at the given time: who has the earlier one goes first. It never
    /// changes, however long the job waits.
    #[must_use]
    pub fn place_in_queue(self, submitted_at: Timestamp) -> Timestamp {
        let advance = Self::POINT * u32::from(self.0.unsigned_abs());
        if self.0 <= 0 {
            return later(submitted_at, advance);
        }
        submitted_at.checked_sub(advance).unwrap_or(Timestamp::MIN)
    }
}

impl TryFrom<i32> for Priority {
    type Error = Violation;
    fn try_from(priority: i32) -> Result<Self, Self::Error> {
        Self::new(priority)
    }
}

impl From<Priority> for i32 {
    fn from(priority: Priority) -> Self {
        priority.get()
    }
}

impl FromStr for Priority {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: i32 = text.parse().map_err(|_| Violation::new("priority", text, Self::RULE))?;
        Self::new(number)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl JsonSchema for Priority {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Priority".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "integer", "minimum": -Self::MOST, "maximum": Self::MOST, "description": Self::RULE,
        })
    }
}

/// After which ends a job is run again. A job without a policy is run once.
///
/// A launch that was refused ran nothing: the job goes to another place, or waits, with or without a policy, and it
/// doesn't count as an attempt here. An attempt of which it can't be proven that it has ended is never followed by
/// another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How many attempts may run in all, the first among them.
    pub max_attempts: NonZeroU32,
    /// The kinds of end after which it is run again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[builder(default, with = FromIterator::from_iter)]
    pub on: BTreeSet<RetryOn>,
    /// Exit codes after which it is run again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[builder(default, with = FromIterator::from_iter)]
    pub exit_codes: BTreeSet<i32>,
    /// The pause before the second attempt; it doubles with each further one. Absent, ten seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub first_pause: Option<Duration>,
    /// The longest pause; absent, ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub longest_pause: Option<Duration>,
}

/// A kind of end after which a job may be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RetryOn {
    /// The platform's fault: somebody else killed it, or the provider lost it and proves that it has ended.
    Infrastructure,
    /// The provider took the machine away.
    Preemption,
    /// It was killed for want of memory.
    OutOfMemory,
    /// It reached its time limit.
    Timeout,
    /// The program ended by itself with any exit code but 0.
    Failure,
}

impl RetryPolicy {
    const FIRST_PAUSE: Duration = Duration::from_secs(10);
    const LONGEST_PAUSE: Duration = Duration::from_secs(600);

    /// Whether the job is run again after an attempt with this end, when so many attempts have run.
    #[must_use]
    pub fn allows(&self, end: &Termination, attempts: u32) -> bool {
        attempts < self.max_attempts.get() && self.covers(end)
    }

    fn covers(&self, end: &Termination) -> bool {
        let wanted = |kind| self.on.contains(&kind);
        match end.cause {
            Cause::Exited { code } => code != 0 && (self.exit_codes.contains(&code) || wanted(RetryOn::Failure)),
            Cause::Signalled { .. } => wanted(RetryOn::Infrastructure),
            Cause::LostByProvider => end.evidence.complete && wanted(RetryOn::Infrastructure),
            Cause::Preempted => wanted(RetryOn::Preemption),
            Cause::OutOfMemory => wanted(RetryOn::OutOfMemory),
            Cause::TimedOut => wanted(RetryOn::Timeout),
            _ => false,
        }
    }

    /// The pause after so many attempts have run: between half of it and all of it, as `jitter` from 0 to 1 says, so that
    /// jobs which failed together don't come back together.
    #[must_use]
    pub fn pause(&self, attempts: u32, jitter: f64) -> Duration {
        let first = self.first_pause.unwrap_or(Self::FIRST_PAUSE);
        let longest = self.longest_pause.unwrap_or(Self::LONGEST_PAUSE);
        let doubled = first.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        doubled.min(longest).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evidence, Signal};

    fn end(cause: Cause) -> Termination {
        Termination::new(cause, Evidence::complete())
    }

    fn policy(on: &[RetryOn], codes: &[i32]) -> RetryPolicy {
        let attempts = NonZeroU32::new(3).unwrap();
        RetryPolicy::builder().max_attempts(attempts).on(on.iter().copied()).exit_codes(codes.iter().copied()).build()
    }

    #[test]
    fn each_kind_covers_its_own_causes_only() {
        let cases = [
            (RetryOn::Infrastructure, Cause::Signalled { signal: Signal::KILL }),
            (RetryOn::Infrastructure, Cause::LostByProvider),
            (RetryOn::Preemption, Cause::Preempted),
            (RetryOn::OutOfMemory, Cause::OutOfMemory),
            (RetryOn::Timeout, Cause::TimedOut),
            (RetryOn::Failure, Cause::Exited { code: 3 }),
        ];
        for (kind, cause) in cases {
            for (other, _) in cases {
                assert_eq!(policy(&[other], &[]).allows(&end(cause), 1), kind == other, "{other:?} on {cause}");
            }
        }
    }

    #[test]
    fn what_ended_well_was_cancelled_or_is_not_proven_to_have_ended_is_never_run_again() {
        let all =
            [RetryOn::Infrastructure, RetryOn::Preemption, RetryOn::OutOfMemory, RetryOn::Timeout, RetryOn::Failure];
        let all = policy(&all, &[0, 1]);
        let unproven = Termination::new(Cause::LostByProvider, Evidence::incomplete());
        for end in [end(Cause::Exited { code: 0 }), end(Cause::Cancelled), end(Cause::Unknown), unproven] {
            assert!(!all.allows(&end, 1), "{}", end.cause);
        }
    }

    #[test]
    fn chosen_exit_codes_are_run_again_as_often_as_allowed() {
        let policy = policy(&[], &[75]);
        assert!(policy.allows(&end(Cause::Exited { code: 75 }), 2));
        assert!(!policy.allows(&end(Cause::Exited { code: 75 }), 3));
        assert!(!policy.allows(&end(Cause::Exited { code: 1 }), 1));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = policy(&[], &[75]);
        let seconds = |attempts, jitter| policy.pause(attempts, jitter).as_secs();
        assert_eq!((seconds(1, 1.0), seconds(2, 1.0), seconds(3, 0.0)), (10, 20, 20));
        assert_eq!((seconds(30, 1.0), seconds(u32::MAX, 0.0)), (600, 300));
    }

    #[test]
    fn a_point_is_worth_a_minute_in_the_queue() {
        let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let place = |points| Priority::new(points).unwrap().place_in_queue(now).to_string();
        assert_eq!((place(0), place(10)), ("2026-05-01T12:00:00Z".into(), "2026-05-01T11:50:00Z".into()));
        assert_eq!(place(-10), "2026-05-01T12:10:00Z");
        assert!(Priority::new(1001).is_err() && "urgent".parse::<Priority>().is_err());
    }
}
