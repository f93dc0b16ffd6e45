//! How often an account may be asked, counted by all who ask for it.

use jiff::Timestamp;
use longshore_core::{
    Clock,
    clock::{earlier, later, since},
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

/// At most so many requests in any stretch of so much time, and so many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    requests: u32,
    period: Duration,
    burst: u32,
}

impl Rate {
    /// So many requests in a minute, of which a tenth may come at once.
    #[must_use]
    pub const fn per_minute(requests: u32) -> Self {
        let requests = if requests == 0 { 1 } else { requests };
        Self { requests, period: Duration::from_secs(60), burst: requests.div_ceil(10) }
    }

    /// The same with so many at once: the fewer, the more there is for the rest of the period.
    #[must_use]
    pub const fn with_burst(mut self, burst: u32) -> Self {
        self.burst = if burst == 0 { 1 } else { burst };
        self
    }

    /// How long it takes to win back one place of a burst. A burst and what follows it within one period are no more than
    /// is allowed, whatever moment the server counts from; a twentieth is left for what arrives later than it was sent.
    fn spacing(self) -> Duration {
        self.period / self.requests.saturating_sub(self.burst + self.requests / 20).max(1)
    }

    /// How long it takes to win back all places of a burst but one.
    fn a_burst(self) -> Duration {
        self.spacing() * (self.burst - 1)
    }
}

/// Hands out the moments at which requests may be sent, in the order in which they are asked for.
pub struct RateLimit {
    clock: Arc<dyn Clock>,
    use_so_far: Mutex<Use>,
}

struct Use {
    rate: Rate,
    /// When the next request may be sent that finds everything used up.
    next: Timestamp,
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("rate", &self.lock().rate).finish_non_exhaustive()
    }
}

type Shared = Mutex<HashMap<String, Weak<RateLimit>>>;

impl RateLimit {
    /// A limit of its own.
    #[must_use]
    pub fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        Self { clock, use_so_far: Mutex::new(Use { rate, next: Timestamp::MIN }) }
    }

    /// The limit of this name, which all who know the name share while one of them lives: the first one decides its
    /// clock, and the last one its rate, so that a new configuration holds for all. The name says whose quota it is: the
    /// API's address and the account.
    #[must_use]
    pub fn shared(name: &str, rate: Rate, clock: &Arc<dyn Clock>) -> Arc<Self> {
        static SHARED: OnceLock<Shared> = OnceLock::new();
        let mut limits = SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        limits.retain(|_, limit| limit.strong_count() > 0);
        if let Some(limit) = limits.get(name).and_then(Weak::upgrade) {
            limit.lock().rate = rate;
            return limit;
        }
        let limit = Arc::new(Self::new(rate, Arc::clone(clock)));
        limits.insert(name.to_owned(), Arc::downgrade(&limit));
        limit
    }

    /// Waits until one more request may be sent. False, at once, when that would be after `until`: nothing is used up
    /// then. A dropped wait uses its place up.
    pub async fn admit(&self, until: Timestamp) -> bool {
        let Some(at) = self.reserve(until) else { return false };
        let wait = since(at, self.clock.now());
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        true
    }

    /// The server has had enough: nobody is admitted for so long.
    pub fn pause(&self, pause: Duration) {
        let now = self.clock.now();
        let mut so_far = self.lock();
        let resumed = later(later(now, pause), so_far.rate.a_burst());
        so_far.next = so_far.next.max(resumed);
    }

    fn reserve(&self, until: Timestamp) -> Option<Timestamp> {
        let now = self.clock.now();
        let mut so_far = self.lock();
        let slot = so_far.next.max(now);
        // Whoever has used up less than a burst goes at once.
        let at = now.max(earlier(slot, so_far.rate.a_burst()));
        if at > until {
            return None;
        }
        so_far.next = later(slot, so_far.rate.spacing());
        Some(at)
    }

    fn lock(&self) -> MutexGuard<'_, Use> {
        self.use_so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::TokioClock;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(TokioClock::starting_at(Timestamp::UNIX_EPOCH))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_in_their_time() {
        let clock = clock();
        let limit = RateLimit::new(Rate::per_minute(68).with_burst(5), Arc::clone(&clock));
        let begun = clock.now();
        let mut waited = Vec::new();
        for _ in 0..8 {
            assert!(limit.admit(Timestamp::MAX).await);
            waited.push(since(clock.now(), begun).as_secs());
        }
        assert_eq!(waited, [0, 0, 0, 0, 0, 1, 2, 3]);
        tokio::time::advance(Duration::from_secs(100)).await;
        let resumed = clock.now();
        for _ in 0..6 {
            assert!(limit.admit(Timestamp::MAX).await);
        }
        assert_eq!(since(clock.now(), resumed).as_secs(), 1, "no more than a burst is saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_has_more_than_is_allowed_whatever_moment_it_is_counted_from() {
        let clock = clock();
        for (rate, allowed) in [
            (Rate::per_minute(1), 1),
            (Rate::per_minute(60), 60),
            (Rate::per_minute(180), 180),
            (Rate::per_minute(60).with_burst(60), 60),
        ] {
            let limit = RateLimit::new(rate, Arc::clone(&clock));
            let mut sent = Vec::new();
            while sent.len() < 3 * allowed {
                assert!(limit.admit(Timestamp::MAX).await);
                sent.push(clock.now());
            }
            let within = |from: &Timestamp| {
                let minute = *from..later(*from, Duration::from_secs(60));
                sent.iter().filter(|at| minute.contains(at)).count()
            };
            let most = sent.iter().map(within).max();
            assert!(most.is_some_and(|most| most <= allowed), "{rate:?}: {most:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_beyond_the_deadline_is_not_taken() {
        let clock = clock();
        let limit = RateLimit::new(Rate::per_minute(64).with_burst(1), Arc::clone(&clock));
        assert!(limit.admit(clock.now()).await);
        for _ in 0..5 {
            assert!(!limit.admit(clock.now()).await);
        }
        assert!(limit.admit(later(clock.now(), Duration::from_secs(1))).await);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_know_the_name_share_the_limit_and_a_pause() {
        let clock = clock();
        let rate = Rate::per_minute(600).with_burst(10);
        let (one, other) = (RateLimit::shared("here", rate, &clock), RateLimit::shared("here", rate, &clock));
        assert!(Arc::ptr_eq(&one, &other) && !Arc::ptr_eq(&one, &RateLimit::shared("there", rate, &clock)));
        one.pause(Duration::from_secs(20));
        let begun = clock.now();
        assert!(other.admit(Timestamp::MAX).await);
        assert_eq!(since(clock.now(), begun).as_secs(), 20);
        let slower = RateLimit::shared("here", Rate::per_minute(2).with_burst(1), &clock);
        assert!(Arc::ptr_eq(&one, &slower));
        assert!(one.admit(Timestamp::MAX).await);
        let begun = clock.now();
        assert!(other.admit(Timestamp::MAX).await);
        assert_eq!(since(clock.now(), begun).as_secs(), 60, "a new rate holds for all");
    }
}
