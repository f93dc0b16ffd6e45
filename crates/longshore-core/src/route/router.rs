//! The newest snapshot, for many readers at one time.

use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

use crate::{
    Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, Health, HostName, Plan, Result,
    route::{
        BudgetName, CircuitState, Circuits, HostState, RouteDecision, RoutedHost, RoutingSnapshot, RoutingTable, Target,
    },
};

/// What is to be routed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RouteRequest<'a> {
    /// The job.
    pub job: &'a ContainerJob,
    /// The time.
    pub now: Timestamp,
    /// Where it must run, when the caller says so.
    pub bound: Option<Target>,
    /// Whether it was routed before and had to wait.
    pub again: bool,
    /// The hosts that have refused to launch it.
    pub refused_by: &'a [HostName],
}

impl<'a> RouteRequest<'a> {
    /// A job that is routed for the first time, and may run anywhere.
    #[must_use]
    pub const fn new(job: &'a ContainerJob, now: Timestamp) -> Self {
        Self { job, now, bound: None, again: false, refused_by: &[] }
    }

    /// The same, bound to a target.
    #[must_use]
    pub fn bound_to(mut self, target: Target) -> Self {
        self.bound = Some(target);
        self
    }

    /// The same for a job that these hosts have refused to launch.
    #[must_use]
    pub const fn refused_by(mut self, hosts: &'a [HostName]) -> Self {
        self.refused_by = hosts;
        self
    }

    /// The same for a job that had to wait.
    #[must_use]
    pub const fn again(mut self) -> Self {
        self.again = true;
        self
    }
}

/// A decision, and where a host was chosen, what serves it and what it will do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Route {
    /// The decision.
    pub decision: RouteDecision,
    /// What serves the chosen host.
    pub executor: Option<Arc<dyn ContainerExecutor>>,
    /// What the chosen host will do for the job.
    pub plan: Option<Plan>,
    /// The budgets that the job counts on there.
    pub budgets: Vec<BudgetName>,
}

/// How many jobs were routed, and how many of them at the first try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoutingStats {
    /// Jobs that were routed for the first time.
    pub jobs: u64,
    /// Of those, the ones for which a host was chosen at once.
    pub first_try: u64,
}

impl RoutingStats {
    /// The share of jobs that were routed at the first try, from 0 to 1; absent before the first job.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than a double's 53 bits")]
    pub fn first_try_share(&self) -> Option<f64> {
        (self.jobs > 0).then(|| self.first_try as f64 / self.jobs as f64)
    }
}

/// Routes jobs over the newest snapshot. Readers never wait for each other or for a change; those who change what is
/// true wait for each other only.
#[derive(Debug)]
pub struct Router {
    snapshot: ArcSwap<RoutingSnapshot>,
    circuits: Mutex<Circuits>,
    reloads: watch::Sender<u64>,
    jobs: AtomicU64,
    first_try: AtomicU64,
}

impl Router {
    /// A router over a table, with nothing running, refused or spent.
    #[must_use]
    pub fn new(table: RoutingTable) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(RoutingSnapshot::new(Arc::new(table))),
            circuits: Mutex::default(),
            reloads: watch::Sender::default(),
            jobs: AtomicU64::new(0),
            first_try: AtomicU64::new(0),
        }
    }

    /// Decides where the job goes, and why.
    #[must_use]
    pub fn route_job(&self, request: &RouteRequest<'_>) -> Route {
        let route = self.snapshot.load().route(request);
        if !request.again {
            self.jobs.fetch_add(1, Ordering::Relaxed);
            self.first_try.fetch_add(u64::from(route.executor.is_some()), Ordering::Relaxed);
        }
        route
    }

    /// What serves a host.
    ///
    /// # Errors
    /// `NotFound`, naming the hosts that there are.
    pub fn get_executor(&self, host: &HostName) -> Result<Arc<dyn ContainerExecutor>> {
        let snapshot = self.snapshot.load();
        let found = snapshot.table.hosts().iter().find(|known| known.host.name == *host);
        found.map(|known| Arc::clone(&known.executor)).ok_or_else(|| {
            let message = format!("host {host}: {}", snapshot.table.available());
            Error::new(ErrorKind::NotFound, message).with_operation("get_executor")
        })
    }

    /// What serves the hosts that take launches at this time: enabled, known to their executor, neither paused, ill,
    /// cooling down nor full. By host name.
    #[must_use]
    pub fn get_available_executors(&self, now: Timestamp) -> Vec<Arc<dyn ContainerExecutor>> {
        let snapshot = self.snapshot.load();
        let hosts = snapshot.table.hosts().iter().zip(&snapshot.states);
        let available = hosts
            .filter(|(host, state)| host.host.enabled && state.facts.is_some() && state.is_free(host, now).is_ok());
        available.map(|(host, _)| Arc::clone(&host.executor)).collect()
    }

    /// The newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<RoutingSnapshot> {
        self.snapshot.load_full()
    }

    /// Publishes what has become true. The change is applied to the newest snapshot, again when another change came
    /// between.
    pub fn update(&self, change: impl Fn(RoutingSnapshot) -> RoutingSnapshot) {
        self.snapshot.rcu(|snapshot| change(RoutingSnapshot::clone(snapshot)));
    }

    /// Changes what is true of one host.
    pub fn update_host(&self, host: &HostName, change: impl Fn(&mut HostState)) {
        self.update(|snapshot| snapshot.with(host, &change));
    }

    /// Puts another table in the place of this one. What is true of a host that both have stays true; circuits follow
    /// a host that stays in its region.
    pub fn reload(&self, table: RoutingTable) {
        let table = Arc::new(table);
        let circuits = self.circuits();
        self.update(|old| {
            let mut new = RoutingSnapshot::new(Arc::clone(&table));
            new.spent.clone_from(&old.spent);
            new.free.clone_from(&old.free);
            for (state, host) in new.states.iter_mut().zip(table.hosts()) {
                if let Some(before) = old.state(&host.host.name) {
                    state.running = before.running;
                    state.paused.clone_from(&before.paused);
                }
                state.circuit = circuits.state(&host.host);
            }
            new
        });
        self.reloads.send_modify(|reloads| *reloads += 1);
    }

    /// How often another table was put in the place of one: it changes once the new one is in force.
    #[must_use]
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// A host refused a launch or failed to answer: its circuit may open, or it may cool down.
    pub fn refused(&self, host: &HostName, error: &Error, now: Timestamp) {
        self.change_circuit(host, None, |circuits, host| {
            circuits.refused(host, error, now);
        });
    }

    /// A host took a launch, or was found well: its circuit closes.
    pub fn succeeded(&self, host: &HostName) {
        self.change_circuit(host, None, Circuits::succeeded);
    }

    /// Asks the enabled hosts that a target covers, or all, what they are, all at the same time, each for `limit` at
    /// most. What a host's executor answers after a reload has put another in its place is dropped. Cancel-safe: what was
    /// answered is kept.
    pub async fn discover(&self, only: Option<&Target>, clock: &dyn Clock, limit: Duration) {
        let snapshot = self.snapshot();
        let wanted = |host: &&RoutedHost| host.host.enabled && only.is_none_or(|target| target.covers(&host.host));
        let questions = snapshot.table.hosts().iter().filter(wanted).map(|host| async {
            let found = within(limit, clock, host.executor.discover()).await;
            let change = |state: &mut HostState| match &found {
                Ok(facts) => (state.facts, state.unreachable) = (Some(Arc::clone(facts)), None),
                Err(error) => state.unreachable = Some(error.chain()),
            };
            self.update(|newest| {
                let is_served = newest.table.served_by(&host.host.name, &host.executor);
                if is_served { newest.with(&host.host.name, change) } else { newest }
            });
        });
        futures::future::join_all(questions).await;
    }

    /// Probes the hosts whose circuits are due, all at the same time, and closes the circuits of those that are well.
    /// Returns those that were probed. What a host's executor answers after a reload has put another in its place is
    /// dropped. Cancel-safe: what was not finished is due again.
    pub async fn probe_due(&self, clock: &dyn Clock, limit: Duration) -> Vec<HostName> {
        let now = clock.now();
        let snapshot = self.snapshot();
        let is_due = |host: &ExecutionHost| self.circuits().is_due(host, now);
        let due = snapshot.table.hosts().iter().filter(|host| is_due(&host.host));
        let probes = due.map(|host| async {
            let found = within(limit, clock, host.executor.check_health()).await;
            let result = found.and_then(Health::into_result);
            self.change_circuit(&host.host.name, Some(&host.executor), |circuits, host| match &result {
                Ok(()) => circuits.succeeded(host),
                Err(error) => {
                    circuits.refused(host, error, clock.now());
                }
            });
            host.host.name.clone()
        });
        let probed = futures::future::join_all(probes).await;
        self.update(RoutingSnapshot::with_fresh_facts);
        probed
    }

    /// How many jobs were routed, and how many of them at the first try.
    #[must_use]
    pub fn stats(&self) -> RoutingStats {
        RoutingStats { jobs: self.jobs.load(Ordering::Relaxed), first_try: self.first_try.load(Ordering::Relaxed) }
    }

    /// Changes a circuit and publishes its state, if the host is there, and still served by the given executor where one
    /// is given. The lock is held meanwhile, so that states appear in their order.
    fn change_circuit(
        &self,
        host: &HostName,
        served_by: Option<&Arc<dyn ContainerExecutor>>,
        change: impl FnOnce(&mut Circuits, &ExecutionHost),
    ) {
        let mut circuits = self.circuits();
        let snapshot = self.snapshot.load();
        let Some(at) = snapshot.table.position(host) else { return };
        if served_by.is_some_and(|executor| !snapshot.table.served_by(host, executor)) {
            return;
        }
        let known = &snapshot.table.hosts[at].host;
        change(&mut circuits, known);
        let state: CircuitState = circuits.state(known);
        self.update_host(host, |host| host.circuit = state.clone());
    }

    fn circuits(&self) -> MutexGuard<'_, Circuits> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(limit: Duration, clock: &dyn Clock, asked: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        answer = asked => answer,
        () = clock.sleep(limit) => Err(Error::new(ErrorKind::Timeout, format!("no answer within {limit:?}"))),
    }
}
