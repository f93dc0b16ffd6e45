//! What there is one of in a run: time, chance, the truth about places and store, and what was seen of them.

use futures::FutureExt;
use longshore_core::{
    Clock, ContainerExecutor, ExecutionHost, ExecutorContext, JobId, LaunchToken, OwnedExecution, Owner, Timestamp,
    TokioClock, async_trait,
};
use longshore_mock::{MockExecutor, MockProvider};
use longshore_store::{LogStore, MemoryStore, SessionId};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

use crate::{dice::Dice, flaw::Planted, ledger::Ledger, script::Script};

/// When every run begins.
const BEGINNING: &str = "2026-05-01T12:00:00Z";

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) script: Script,
    pub(crate) planted: Option<Planted>,
    pub(crate) clock: TokioClock,
    pub(crate) began: Instant,
    pub(crate) store: MemoryStore,
    pub(crate) logs: LogStore,
    pub(crate) places: Vec<Place>,
    dice: Mutex<Dice>,
    ledger: Mutex<Ledger>,
    trace: Mutex<Trace>,
    sessions: Mutex<BTreeMap<SessionId, SessionId>>,
    is_calm: AtomicBool,
    calmed: Notify,
}

/// A host as it really is.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) host: ExecutionHost,
    pub(crate) provider: MockProvider,
    /// Looks behind everybody's back.
    pub(crate) observer: MockExecutor,
    /// Takes what was sent in time, however late it arrives.
    pub(crate) gate: MockExecutor,
    is_out: AtomicBool,
}

/// What happened, as lines that are hashed, and kept where somebody will read them.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
}

/// A clock for which no deadline passes: a provider knows of none.
#[derive(Debug)]
struct NoDeadline;

#[async_trait]
impl Clock for NoDeadline {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

pub(crate) fn owner() -> Owner {
    "simulation".parse().unwrap()
}

impl Place {
    fn new(script: &crate::script::HostScript, clock: TokioClock) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let provider = MockProvider::new(script.config.clone(), Arc::clone(&clock));
        let host = script.host.clone();
        let context = ExecutorContext::new("unused");
        let observer = MockExecutor::attach(&host, &provider, &context.clone().with_clock(clock));
        let gate = MockExecutor::attach(&host, &provider, &context.with_clock(Arc::new(NoDeadline)));
        Self { host, provider, observer, gate, is_out: AtomicBool::new(false) }
    }

    pub(crate) fn set_out(&self, is_out: bool) {
        self.is_out.store(is_out, Ordering::Relaxed);
    }

    pub(crate) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }

    /// Everything that lies there.
    pub(crate) fn owned(&self) -> Vec<OwnedExecution> {
        let owned = self.observer.list_owned(&owner()).now_or_never();
        owned.expect("the observer never waits").expect("every place can list")
    }
}

impl World {
    pub(crate) fn new(seed: u64, script: Script, planted: Option<Planted>, traced: bool) -> Arc<Self> {
        let clock = TokioClock::starting_at(BEGINNING.parse().unwrap());
        let places = script.hosts.iter().map(|host| Place::new(host, clock)).collect();
        Arc::new(Self {
            script,
            planted,
            clock,
            began: Instant::now(),
            store: MemoryStore::with_clock(Arc::new(clock)),
            logs: LogStore::in_memory(),
            places,
            dice: Mutex::new(Dice::new(seed ^ 0x5eed)),
            ledger: Mutex::default(),
            trace: Mutex::new(Trace { lines: traced.then(Vec::new), ..Trace::default() }),
            sessions: Mutex::default(),
            is_calm: AtomicBool::new(false),
            calmed: Notify::new(),
        })
    }

    pub(crate) fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap()
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Whether nothing goes wrong any more.
    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    pub(crate) fn calm_down(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
        self.calmed.notify_waiters();
    }

    pub(crate) async fn calmed(&self) {
        let calmed = self.calmed.notified();
        if !self.is_calm() {
            calmed.await;
        }
    }

    /// Writes down that something happened.
    pub(crate) fn tell(&self, line: impl FnOnce(&mut String)) {
        let mut trace = self.trace.lock().unwrap();
        if trace.lines.is_none() {
            return;
        }
        let mut text = format!("{:9.3} ", self.began.elapsed().as_secs_f64());
        line(&mut text);
        text.hash(&mut trace.hasher);
        trace.lines.as_mut().unwrap().push(text);
    }

    pub(crate) fn note(&self, text: &str) {
        self.tell(|line| line.push_str(text));
    }

    pub(crate) fn told(&self) -> (u64, Vec<String>) {
        let mut trace = self.trace.lock().unwrap();
        (trace.hasher.finish(), trace.lines.take().unwrap_or_default())
    }

    /// A rule was broken. The first one counts.
    pub(crate) fn broken(&self, rule: &'static str, how: String) {
        self.tell(|line| {
            let _ = write!(line, "BROKEN {rule}: {how}");
        });
        self.ledger().broken.get_or_insert((rule, how));
    }

    /// The session as the store knows it: numbers in the order of their opening, so that they are the same in each run.
    pub(crate) fn session_inside(&self, session: SessionId) -> SessionId {
        let mut sessions = self.sessions.lock().unwrap();
        let next = sessions.len() as u128 + 1;
        *sessions.entry(session).or_insert_with(|| SessionId::from_uuid(uuid::Uuid::from_u128(next)))
    }

    /// The session as its dispatcher knows it.
    pub(crate) fn session_outside(&self, inside: SessionId) -> SessionId {
        let sessions = self.sessions.lock().unwrap();
        sessions.iter().find(|(_, known)| **known == inside).map_or(inside, |(outside, _)| *outside)
    }

    /// How often the attempt was started anywhere.
    pub(crate) fn launches(&self, token: &LaunchToken) -> u32 {
        self.places.iter().map(|place| place.provider.launches(token)).sum()
    }

    /// Whether an execution of the attempt has not ended.
    pub(crate) fn is_live(&self, token: LaunchToken) -> bool {
        let owned = self.places.iter().flat_map(Place::owned);
        owned.into_iter().any(|owned| owned.live && owned.handle.token == token)
    }

    /// A short name for a job.
    pub(crate) fn name(job: JobId) -> u128 {
        job.as_uuid().as_u128() & 0xffff
    }
}
