//! What everybody in a session shares.

use futures::future::BoxFuture;
use jiff::Timestamp;
use longshore_core::{
    Clock, ContainerExecutor, Error, ErrorKind, HostName, JobId, LaunchToken, Result,
    layers::{TimeoutLayer, Timeouts},
    route::Router,
};
use longshore_store::{Held, JobStore, SessionId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    DrainMode, Parts, Settings,
    driver::Knowledge,
    load::{Asking, Load},
    recorder::Recorder,
    report,
    scout::Scouts,
    time::StoreClock,
    watcher::Watchers,
};

/// Whether a bug was planted. Without the feature there is none, and nothing of it is compiled.
macro_rules! planted {
    ($scene:expr, $bug:ident) => {{
        #[cfg(feature = "planted")]
        let planted = $scene.has($crate::planted::Bug::$bug);
        #[cfg(not(feature = "planted"))]
        let planted = {
            let _ = &$scene;
            false
        };
        planted
    }};
}
pub(crate) use planted;

/// A session as its parts see it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) parts: Parts,
    pub(crate) session: SessionId,
    /// The store's time. What is compared with nothing that is stored may be told by our own clock.
    pub(crate) time: StoreClock,
    pub(crate) recorder: Recorder,
    pub(crate) watchers: Watchers,
    pub(crate) tasks: Tasks,
    /// Raised once: nothing new is begun, and what can be left to others is left.
    pub(crate) draining: watch::Receiver<bool>,
    /// Raised when nothing new is to be claimed.
    pub(crate) closing: watch::Receiver<DrainMode>,
    pub(crate) wakes: Wakes,
    pub(crate) scouts: Scouts,
    driven: Mutex<BTreeMap<LaunchToken, watch::Sender<Attention>>>,
    /// The attempts whose drivers broke: what they had sent nobody knows.
    broken: Mutex<BTreeSet<LaunchToken>>,
    pub(crate) load: Load,
    take_ups: TakeUps,
    troubles: report::Troubles,
}

/// How often everything that is held was begun to be taken up, and how often that was done with.
#[derive(Debug, Default)]
struct TakeUps {
    begun: AtomicU64,
    done: AtomicU64,
}

/// Tells later whether what is held was taken up meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    begun: u64,
    /// Whether that was going on already.
    amid: bool,
}

/// Where work for the session is handed in. All of it ends with the session.
#[derive(Debug, Clone)]
pub(crate) struct Tasks(pub(crate) mpsc::UnboundedSender<BoxFuture<'static, ()>>);

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Without the other end the session has ended, and the work with it.
        let _ = self.0.send(Box::pin(task));
    }
}

/// Why somebody should look.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    pub(crate) queue: Notify,
    pub(crate) freed: Notify,
    pub(crate) interventions: Notify,
    /// There is one more attempt to drive.
    pub(crate) gained: Notify,
    /// What is freed includes what nobody may serve any more.
    pub(crate) unserved: AtomicBool,
}

/// What people want of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attention {
    /// It is to end.
    pub(crate) cancel: bool,
    /// It was settled behind our back: read it again.
    pub(crate) settled: bool,
}

/// Shows that an attempt is being driven, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Seat {
    scene: Arc<Scene>,
    token: LaunchToken,
    pub(crate) attention: watch::Receiver<Attention>,
    is_stuck: bool,
}

impl Seat {
    /// It has ended and can't be removed now: nobody waits for that.
    pub(crate) fn is_stuck(&mut self) {
        if !std::mem::replace(&mut self.is_stuck, true) {
            self.scene.load.is_stuck();
            self.scene.wakes.queue.notify_one();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.scene.broken().insert(self.token);
        }
        let mut driven = self.scene.driven();
        driven.remove(&self.token);
        if self.is_stuck {
            self.scene.load.lets_go_of_stuck(driven.len());
        } else {
            self.scene.load.drives(driven.len());
        }
        drop(driven);
        self.scene.wakes.queue.notify_one();
    }
}

impl Scene {
    pub(crate) fn new(
        parts: Parts,
        session: SessionId,
        time: StoreClock,
        recorder: Recorder,
        tasks: Tasks,
        draining: watch::Receiver<bool>,
        closing: watch::Receiver<DrainMode>,
    ) -> Self {
        let watchers = Watchers::default();
        Self {
            parts,
            session,
            time,
            recorder,
            watchers,
            tasks,
            draining,
            closing,
            wakes: Wakes::default(),
            scouts: Scouts::default(),
            driven: Mutex::default(),
            broken: Mutex::default(),
            load: Load::default(),
            take_ups: TakeUps::default(),
            troubles: report::Troubles::default(),
        }
    }

    /// Begins to ask the store for attempts to drive. One that does not answer may still give us some, at any moment within
    /// the margin.
    pub(crate) fn begin_asking(&self) -> Asking<'_> {
        let settings = self.settings();
        self.load.ask(settings.margin, settings.beat())
    }

    /// Notes that the store is about to be asked for attempts to drive.
    pub(crate) fn ask(&self) -> Asked {
        let begun = self.take_ups.begun.load(Ordering::Relaxed);
        Asked { begun, amid: begun != self.take_ups.done.load(Ordering::Relaxed) }
    }

    /// How fresh the store's answer is. Where all that is held was taken up meanwhile, what the answer tells of may have
    /// been driven to its end before the answer came.
    pub(crate) fn knowledge(&self, asked: Asked) -> Knowledge {
        let undisturbed = !asked.amid && asked.begun == self.take_ups.begun.load(Ordering::Relaxed);
        if undisturbed { Knowledge::Fresh } else { Knowledge::Stale }
    }

    pub(crate) fn take_up_begins(&self) {
        self.take_ups.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn take_up_ends(&self) {
        self.take_ups.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    pub(crate) fn store(&self) -> &dyn JobStore {
        self.parts.store.as_ref()
    }

    pub(crate) fn router(&self) -> &Router {
        &self.parts.router
    }

    /// The store's time, and sleep.
    pub(crate) fn clock(&self) -> &dyn Clock {
        if planted!(self, BelievesItsOwnClock) { self.own_clock() } else { &self.time }
    }

    /// The machine's clock, by which executors judge deadlines.
    pub(crate) fn own_clock(&self) -> &dyn Clock {
        self.parts.clock.as_ref()
    }

    /// The store's time, certain where the store can be reached. Where not, it may be late after a sleep of the machine, and
    /// is never early. Cancel-safe.
    pub(crate) async fn known_now(&self) -> Timestamp {
        let _ = self.time.certain(self.store()).await;
        self.clock().now()
    }

    /// The store's time, certain, however long that takes. Cancel-safe.
    pub(crate) async fn certain_now(&self) -> Timestamp {
        self.time.certain_at_last(self.store()).await;
        self.clock().now()
    }

    /// What serves a host, with limits on how long it may take. A host that is not configured any more can't be asked,
    /// which says nothing of what runs there.
    pub(crate) fn executor(&self, host: &HostName) -> Result<Arc<dyn ContainerExecutor>> {
        let executor = self.router().get_executor(host).map_err(|missing| {
            let message = "a host that attempts run on is not configured any more; configure it again";
            Error::new(ErrorKind::Unavailable, message).with_source(missing)
        })?;
        Ok(Arc::new(TimeoutLayer::new(executor, Arc::clone(&self.parts.clock), Timeouts::default())))
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow() != DrainMode::Open
    }

    /// Whether what nobody holds is taken over.
    pub(crate) fn adopts(&self) -> bool {
        *self.closing.borrow() < DrainMode::StopJobs && !self.is_draining()
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Waits until it is draining. Cancel-safe.
    pub(crate) async fn drained(&self) {
        let mut draining = self.draining.clone();
        if draining.wait_for(|draining| *draining).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// A seat for an attempt, unless it is driven already.
    pub(crate) fn seat(self: &Arc<Self>, held: &Held) -> Option<Seat> {
        let token = held.attempt.token();
        let mut driven = self.driven();
        if driven.contains_key(&token) {
            return None;
        }
        let cancel = held.job.cancel.is_some();
        let (sender, attention) = watch::channel(Attention { cancel, settled: false });
        driven.insert(token, sender);
        if self.load.drives(driven.len()) == 0 {
            // Whoever holds something gives signs of life.
            self.wakes.freed.notify_one();
        }
        drop(driven);
        self.wakes.gained.notify_one();
        Some(Seat { scene: Arc::clone(self), token, attention, is_stuck: false })
    }

    /// Tells whoever drives an attempt of the job what people want. Returns whether somebody does.
    pub(crate) fn attend(&self, job: JobId, wanted: Attention) -> bool {
        let driven = self.driven();
        let of_job = driven.range(LaunchToken::new(job, 0)..=LaunchToken::new(job, u32::MAX));
        let mut is_driven = false;
        for (_, attention) in of_job {
            is_driven = true;
            attention.send_if_modified(|now| {
                let new = Attention { cancel: now.cancel || wanted.cancel, settled: now.settled || wanted.settled };
                std::mem::replace(now, new) != new
            });
        }
        is_driven
    }

    /// Whether the attempt's driver broke in this session, which is told once.
    pub(crate) fn had_broken(&self, token: LaunchToken) -> bool {
        self.broken().remove(&token)
    }

    /// A host does not do what it is asked for.
    pub(crate) fn trouble(&self, host: &HostName, error: &Error, what: &'static str) {
        self.troubles.tell(host, error, what, self.own_clock().now());
    }

    /// A time that passes by the clock, whoever waits for it.
    pub(crate) fn rest(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let clock = Arc::clone(&self.parts.clock);
        Box::pin(async move { clock.sleep(duration).await })
    }

    fn broken(&self) -> MutexGuard<'_, BTreeSet<LaunchToken>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn driven(&self) -> MutexGuard<'_, BTreeMap<LaunchToken, watch::Sender<Attention>>> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this bug was planted; never outside the simulation.
    #[cfg(feature = "planted")]
    pub(crate) fn has(&self, bug: crate::planted::Bug) -> bool {
        self.settings().planted == Some(bug)
    }
}
