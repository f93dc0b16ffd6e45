//! The life of one process: it steps, freezes, dies, is cut off, and has a clock of its own.

use longshore_core::{Clock, Error, ErrorKind, Result, Timestamp, async_trait};
use longshore_store::SessionId;
use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

use crate::world::World;

/// More steps than a life has that ever rests.
const MOST_STEPS: u64 = 50_000;

#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) world: Arc<World>,
    pub(crate) name: String,
    steps: AtomicU64,
    /// The step at which it dies.
    dies_at: Option<u64>,
    /// The step at which it freezes, and for how long.
    freezes_at: Option<(u64, Duration)>,
    /// For how long it freezes before its next launch.
    hesitates: Mutex<Option<Duration>>,
    frozen_until: Mutex<Option<Instant>>,
    /// The session that it has opened last.
    pub(crate) session: Mutex<Option<SessionId>>,
    is_dead: AtomicBool,
    died: Notify,
    /// How far its clock is ahead, in milliseconds.
    ahead: AtomicI64,
    is_cut_from_store: AtomicBool,
    is_cut_from_places: AtomicBool,
}

impl Life {
    pub(crate) fn new(world: &Arc<World>, name: String, ahead: i64) -> Self {
        Self {
            world: Arc::clone(world),
            name,
            steps: AtomicU64::new(0),
            dies_at: None,
            freezes_at: None,
            hesitates: Mutex::default(),
            frozen_until: Mutex::default(),
            session: Mutex::default(),
            is_dead: AtomicBool::new(false),
            died: Notify::new(),
            ahead: AtomicI64::new(ahead),
            is_cut_from_store: AtomicBool::new(false),
            is_cut_from_places: AtomicBool::new(false),
        }
    }

    pub(crate) const fn with_ends(mut self, dies_at: Option<u64>, freezes_at: Option<(u64, Duration)>) -> Self {
        self.dies_at = dies_at;
        self.freezes_at = freezes_at;
        self
    }

    pub(crate) fn hesitating(self, pause: Option<Duration>) -> Self {
        *self.hesitates.lock().unwrap() = pause;
        self
    }

    /// Just before a launch is sent.
    pub(crate) async fn hesitate(&self) {
        let pause = self.hesitates.lock().unwrap().take();
        if let Some(pause) = pause.filter(|_| !self.world.is_calm()) {
            self.freeze(pause);
        }
        self.step("launch").await;
    }

    /// Before and after whatever it asks of anybody.
    pub(crate) async fn step(&self, what: &str) {
        let step = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        if step > MOST_STEPS {
            self.world.broken("a dispatcher rests between its steps", format!("{step} steps, the last one {what}"));
            std::future::pending::<()>().await;
        }
        if !self.world.is_calm() {
            if self.dies_at == Some(step) {
                self.die(what);
            }
            if let Some((at, pause)) = self.freezes_at
                && at == step
            {
                self.freeze(pause);
            }
        }
        self.gate().await;
    }

    /// Nobody who is dead or frozen comes through.
    pub(crate) async fn gate(&self) {
        loop {
            if self.is_dead.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let until = *self.frozen_until.lock().unwrap();
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    pub(crate) fn die(&self, at: &str) {
        self.tell(|line| {
            let _ = write!(line, "DIES at {at}, step {}", self.steps.load(Ordering::Relaxed));
        });
        self.is_dead.store(true, Ordering::Relaxed);
        self.died.notify_one();
    }

    pub(crate) fn freeze(&self, pause: Duration) {
        self.tell(|line| {
            let _ = write!(line, "FREEZES for {pause:?}");
        });
        *self.frozen_until.lock().unwrap() = Some(Instant::now() + pause);
    }

    pub(crate) fn thaw(&self) {
        *self.frozen_until.lock().unwrap() = None;
    }

    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// Its clock jumps; but not back while it is frozen, because it may be about to check a deadline: that gap is documented.
    pub(crate) fn jump(&self, millis: i64) {
        let is_frozen = self.frozen_until.lock().unwrap().is_some_and(|until| until > Instant::now());
        if is_frozen && millis < 0 {
            return;
        }
        self.tell(|line| {
            let _ = write!(line, "clock jumps by {millis} ms");
        });
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn cut_from_store(&self, is_cut: bool) {
        self.is_cut_from_store.store(is_cut, Ordering::Relaxed);
    }

    pub(crate) fn cut_from_places(&self, is_cut: bool) {
        self.is_cut_from_places.store(is_cut, Ordering::Relaxed);
    }

    pub(crate) fn reach_store(&self) -> Result<()> {
        if self.is_cut_from_store.load(Ordering::Relaxed) { Err(unavailable("cut off from the store")) } else { Ok(()) }
    }

    pub(crate) fn reach_places(&self) -> Result<()> {
        if self.is_cut_from_places.load(Ordering::Relaxed) {
            Err(unavailable("cut off from the places"))
        } else {
            Ok(())
        }
    }

    pub(crate) fn tell(&self, what: impl FnOnce(&mut String)) {
        self.world.tell(|line| {
            let _ = write!(line, "{} ", self.name);
            what(line);
        });
    }
}

#[async_trait]
impl Clock for Life {
    fn now(&self) -> Timestamp {
        let ahead = jiff::SignedDuration::from_millis(self.ahead.load(Ordering::Relaxed));
        self.world.clock.now().checked_add(ahead).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.gate().await;
    }
}

pub(crate) fn unavailable(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, why)
}
