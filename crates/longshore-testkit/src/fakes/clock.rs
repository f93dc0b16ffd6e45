//! A clock that runs faster than the machine's.

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{
    Clock,
    clock::{later, since},
};
use std::time::Duration;
use tokio::time::Instant;

/// A clock that follows the machine's, so many times as fast: with 50, a second of it takes 20 ms.
///
/// It is for providers that are reached over sockets, where tokio's paused time is of no use: a paused runtime takes
/// every wait for the network for idleness, and jumps to the next timeout.
#[derive(Debug, Clone, Copy)]
pub struct ScaledClock {
    epoch: Timestamp,
    started: Instant,
    factor: u32,
}

impl ScaledClock {
    /// A clock that runs so many times as fast as the machine's, from the machine's time now on. Must be made inside
    /// a tokio runtime. Zero counts as 1.
    #[must_use]
    pub fn times(factor: u32) -> Self {
        Self { epoch: longshore_core::SystemClock.now(), started: Instant::now(), factor: factor.max(1) }
    }
}

#[async_trait]
impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        later(self.epoch, self.started.elapsed().saturating_mul(self.factor))
    }

    /// Returns when this clock shows that the time has passed.
    async fn sleep(&self, duration: Duration) {
        let end = later(self.now(), duration);
        loop {
            let left = since(end, self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep((left / self.factor).max(Duration::from_micros(1))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_runs_so_many_times_as_fast() {
        let clock = ScaledClock::times(60);
        let (shown, real) = (clock.now(), Instant::now());
        clock.sleep(Duration::from_secs(120)).await;
        assert!(since(clock.now(), shown) >= Duration::from_secs(120));
        assert!(real.elapsed() >= Duration::from_secs(2) && real.elapsed() < Duration::from_millis(2_100));
    }
}
