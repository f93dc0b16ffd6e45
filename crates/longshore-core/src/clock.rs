//! Time, injected: nothing in Longshore asks the system for it anywhere else.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// The time now, and waiting for it to pass.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits. Cancel-safe: a dropped sleep has no effect.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the system's time enters")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that follows tokio's: real in an ordinary runtime, turned by hand or by waiting in a paused one
/// (`tokio::time::pause`), where an hour's wait takes no time.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    epoch: Timestamp,
    started: Instant,
}

impl TokioClock {
    /// A clock that shows `epoch` now. Must be made inside a tokio runtime.
    #[must_use]
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { epoch, started: Instant::now() }
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        later(self.epoch, self.started.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The time after a duration has passed; the end of time where there is none.
#[must_use]
pub fn later(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// The time before a duration; the beginning of time where there is none.
#[must_use]
pub fn earlier(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_sub(duration).ok())
        .unwrap_or(Timestamp::MIN)
}

/// The time from `earlier` to `time`; zero when it lies in the future, as it may with two clocks.
#[must_use]
pub fn since(time: Timestamp, earlier: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(earlier)).unwrap_or_default()
}
