//! The store's time, told by a clock of our own: everybody who shares a store stamps by it, and compares with it, however
//! their machines' clocks differ.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use longshore_core::{Clock, Result, clock::later};
use longshore_store::JobStore;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How far the machine's clock may have moved otherwise than the time that passed: a step, or a sleep of the machine.
const STEP: SignedDuration = SignedDuration::from_secs(1);
/// An answer that took longer tells too little to begin with.
const PROMPT: Duration = Duration::from_secs(2);
/// How often is asked to begin with, at most.
const TRIES: u32 = 5;
/// The pause after the store did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// A clock that shows a store's time: set by the store, it goes on by itself in between.
#[derive(Debug)]
pub struct StoreClock {
    own: Arc<dyn Clock>,
    /// How old an answer of the store may be.
    good_for: Duration,
    setting: Mutex<Setting>,
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    /// What it was, and when that was so.
    time: Timestamp,
    at: Instant,
    /// When the store was asked last, and what the machine's clock showed then.
    asked: Instant,
    own: Timestamp,
}

/// What the store told.
#[derive(Debug, Clone, Copy)]
struct Told {
    time: Timestamp,
    sent: Instant,
    answered: Instant,
}

impl Told {
    async fn by(store: &dyn JobStore) -> Result<Self> {
        let sent = Instant::now();
        Ok(Self { time: store.now().await?, sent, answered: Instant::now() })
    }

    fn took(&self) -> Duration {
        self.answered.duration_since(self.sent)
    }
}

impl Setting {
    fn now(&self) -> Timestamp {
        later(self.time, self.at.elapsed())
    }

    /// Moves by as little as what was told allows: a slow answer moves nothing that was known better.
    fn correct(&mut self, told: &Told, own: Timestamp) {
        let shown = later(self.time, told.answered.duration_since(self.at));
        // The store looked at its clock at some moment between the question and the answer.
        let (least, most) = (told.time, later(told.time, told.took()));
        (self.time, self.at) = (shown.clamp(least, most), told.answered);
        (self.asked, self.own) = (told.answered, own);
    }

    /// Whether the machine's clock has moved otherwise than the time that passed.
    fn has_stepped(&self, own: Timestamp) -> bool {
        own.duration_since(later(self.own, self.asked.elapsed())).abs() > STEP
    }
}

impl StoreClock {
    /// A clock that shows the store's time, to within half the time that its quickest answer takes. What it shows is good for
    /// this long; then [`certain`](Self::certain) asks the store again.
    ///
    /// # Errors
    /// As [`JobStore::now`].
    pub async fn new(store: &dyn JobStore, own: Arc<dyn Clock>, good_for: Duration) -> Result<Self> {
        let mut best = Told::by(store).await?;
        for _ in 1..TRIES {
            if best.took() <= PROMPT {
                break;
            }
            let told = Told::by(store).await?;
            best = if told.took() < best.took() { told } else { best };
        }
        let time = later(best.time, best.took() / 2);
        let setting = Setting { time, at: best.answered, asked: best.answered, own: own.now() };
        Ok(Self { own, good_for, setting: Mutex::new(setting) })
    }

    /// The time as far as it is certain: the store is asked where it was not for a while, or where the machine's clock has
    /// stepped or stood still.
    ///
    /// # Errors
    /// As [`JobStore::now`].
    pub async fn certain(&self, store: &dyn JobStore) -> Result<Timestamp> {
        let setting = *self.setting();
        if setting.asked.elapsed() > self.good_for || setting.has_stepped(self.own.now()) {
            self.ask(store).await?;
        }
        Ok(self.now())
    }

    /// Becomes certain, however long the store can't be reached. Cancel-safe.
    pub(crate) async fn certain_at_last(&self, store: &dyn JobStore) {
        while self.certain(store).await.is_err() {
            self.own.sleep(PAUSE).await;
        }
    }

    /// Sets it anew. Dropping the future leaves it as it was.
    ///
    /// # Errors
    /// As [`JobStore::now`].
    pub async fn ask(&self, store: &dyn JobStore) -> Result<()> {
        let told = Told::by(store).await?;
        self.setting().correct(&told, self.own.now());
        Ok(())
    }

    fn setting(&self) -> MutexGuard<'_, Setting> {
        self.setting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        self.setting().now()
    }

    async fn sleep(&self, duration: Duration) {
        self.own.sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::TokioClock;

    fn setting(clock: &TokioClock) -> Setting {
        let now = Instant::now();
        Setting { time: clock.now(), at: now, asked: now, own: clock.now() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_moves_the_clock_by_as_little_as_it_allows() {
        let clock = TokioClock::starting_at(Timestamp::UNIX_EPOCH);
        let second = Duration::from_secs(1);
        for (told_late, moved) in [(-10, -8), (-3, -1), (-2, 0), (-1, 0), (0, 0), (5, 5)] {
            let mut setting = setting(&clock);
            let sent = Instant::now();
            tokio::time::sleep(2 * second).await;
            let before = setting.now();
            let time = before + SignedDuration::from_secs(told_late);
            setting.correct(&Told { time, sent, answered: Instant::now() }, clock.now());
            assert_eq!(setting.now().duration_since(before).as_secs(), moved, "told {told_late} s late");
            tokio::time::sleep(second).await;
            assert_eq!(setting.now().duration_since(before).as_secs(), moved + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_of_the_machines_clock_is_noticed() {
        let clock = TokioClock::starting_at(Timestamp::UNIX_EPOCH);
        let setting = setting(&clock);
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(!setting.has_stepped(clock.now()));
        for step in [-5, 5] {
            assert!(setting.has_stepped(clock.now() + SignedDuration::from_secs(step)));
        }
    }
}
