//! A store, a place to run, and dispatchers.

use longshore_core::{
    Clock, ContainerExecutor, ContainerJob, ExecutionHost, ExecutorContext, JobId, JobTemplate, Result, Timestamp,
    TokioClock,
    route::{RoutedHost, Router, RoutingTable},
};
use longshore_dispatcher::{Dispatcher, Parts, Settings};
use longshore_mock::{MockConfig, MockExecutor, MockProvider};
use longshore_store::{AttemptRecord, JobRecord, JobStore, LogStore, MemoryStore, SessionId, Submission};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// Something around an executor.
type Through = Box<dyn Fn(MockExecutor) -> Arc<dyn ContainerExecutor> + Send + Sync>;

/// Something around the store.
type SeenThrough = Box<dyn Fn(MemoryStore) -> Arc<dyn JobStore> + Send + Sync>;

pub(crate) struct Stage {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: MemoryStore,
    pub(crate) logs: LogStore,
    pub(crate) providers: Vec<MockProvider>,
    pub(crate) lost_after: Duration,
    pub(crate) retention: Option<Duration>,
    hosts: Vec<ExecutionHost>,
    /// What every executor is seen through.
    pub(crate) through: Through,
    /// What every dispatcher sees the store through.
    pub(crate) seen_through: SeenThrough,
}

impl Stage {
    /// A stage with one host for each script, `one`, `two` and so on.
    pub(crate) fn new(configs: impl IntoIterator<Item = serde_json::Value>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at("2026-05-01T12:00:00Z".parse().unwrap()));
        let provider = |config| MockProvider::new(MockConfig::from_value(&config).unwrap(), Arc::clone(&clock));
        let providers: Vec<_> = configs.into_iter().map(provider).collect();
        let names = ["one", "two", "three"].iter().take(providers.len());
        let host = |name: &&str| {
            ExecutionHost::builder().name(name.parse().unwrap()).executor_type("mock".parse().unwrap()).build()
        };
        let lost_after = Duration::from_secs(7 * 24 * 3600);
        Self {
            hosts: names.map(host).collect(),
            store: MemoryStore::with_clock(Arc::clone(&clock)),
            clock,
            logs: LogStore::in_memory(),
            providers,
            lost_after,
            retention: None,
            through: Box::new(|executor| Arc::new(executor)),
            seen_through: Box::new(|store| Arc::new(store)),
        }
    }

    pub(crate) fn limited(mut self, most: u32) -> Self {
        for host in &mut self.hosts {
            host.max_concurrent_jobs = most.try_into().ok();
        }
        self
    }

    /// Every host goes on with what it has, and takes nothing new.
    pub(crate) fn disable(&mut self) {
        self.hosts.iter_mut().for_each(|host| host.enabled = false);
    }

    /// Fences off every session, as if their leases had passed.
    pub(crate) async fn fence_all(&self) {
        let session = SessionId::new(self.now());
        self.store.open_session(session, "test").await.unwrap();
        for other in self.store.beat(session).await.unwrap() {
            assert!(self.store.fence(session, &other).await.unwrap());
        }
        self.store.close_session(session).await.unwrap();
    }

    /// Another router over the same places.
    pub(crate) fn router(&self) -> Arc<Router> {
        self.router_by(&self.clock)
    }

    fn router_by(&self, clock: &Arc<dyn Clock>) -> Arc<Router> {
        Arc::new(Router::new(self.table_by(clock)))
    }

    /// The hosts that there are.
    pub(crate) fn table(&self) -> RoutingTable {
        self.table_by(&self.clock)
    }

    fn table_by(&self, clock: &Arc<dyn Clock>) -> RoutingTable {
        let context = ExecutorContext::new("unused").with_clock(Arc::clone(clock));
        let hosts = self.hosts.iter().zip(&self.providers).map(|(host, provider)| {
            let executor = MockExecutor::attach(host, &provider.another_link(), &context);
            RoutedHost::new(host.clone(), (self.through)(executor))
        });
        RoutingTable::builder().hosts(hosts.collect()).build().unwrap()
    }

    /// Another dispatcher over the same store and places.
    pub(crate) fn dispatcher(&self) -> Dispatcher {
        self.dispatcher_by(&self.clock)
    }

    /// The same with a router that the caller keeps.
    pub(crate) fn dispatcher_over(&self, router: &Arc<Router>) -> Dispatcher {
        self.dispatcher_of(router, &self.clock)
    }

    /// The same on a machine with another clock.
    pub(crate) fn dispatcher_by(&self, clock: &Arc<dyn Clock>) -> Dispatcher {
        self.dispatcher_of(&self.router_by(clock), clock)
    }

    fn dispatcher_of(&self, router: &Arc<Router>, clock: &Arc<dyn Clock>) -> Dispatcher {
        Dispatcher::new(Parts {
            store: (self.seen_through)(self.store.clone()),
            logs: Arc::new(self.logs.clone()),
            router: Arc::clone(router),
            clock: Arc::clone(clock),
            settings: Settings::builder()
                .owner("test".parse().unwrap())
                .lost_after(self.lost_after)
                .maybe_retention(self.retention)
                .build(),
        })
    }

    /// The same, at work in the background. Aborting the task is the death of its process.
    pub(crate) fn dispatch(&self) -> JoinHandle<Result<()>> {
        let dispatcher = self.dispatcher();
        tokio::spawn(async move { dispatcher.run().await })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn job(&self, script: &[&str]) -> ContainerJob {
        let template = JobTemplate::builder().name("job".parse().unwrap()).image("probe".parse().unwrap());
        ContainerJob::new(template.args(script.iter().copied()).build(), self.now())
    }

    pub(crate) async fn submit(&self, job: ContainerJob) -> JobId {
        let submission = Submission::builder(job).build();
        self.store.submit(vec![submission], self.now()).await.unwrap().remove(0).unwrap().id()
    }

    /// Waits until the job is as the condition says.
    pub(crate) async fn until(&self, id: JobId, is_so: impl Fn(&JobRecord) -> bool) -> JobRecord {
        for _ in 0..100_000 {
            let job = self.store.job(id).await.unwrap();
            if is_so(&job) {
                return job;
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        panic!("it never came to that: {:?}\n{:#?}", self.store.job(id).await, self.store.events(id).await);
    }

    pub(crate) async fn finished(&self, id: JobId) -> JobRecord {
        self.until(id, |job| job.status.is_terminal()).await
    }

    /// Waits until every attempt of the job is closed, and nothing of it is left anywhere.
    pub(crate) async fn closed(&self, id: JobId) {
        for _ in 0..10_000 {
            let attempts = self.store.attempts(id).await.unwrap();
            if attempts.iter().all(|attempt| !attempt.state.is_open()) {
                let left = self.providers.iter().flat_map(MockProvider::executions);
                assert_eq!(left.filter(|request| request.token.job() == id).count(), 0);
                return;
            }
            self.clock.sleep(Duration::from_millis(100)).await;
        }
        panic!("it was never closed: {:#?}", self.store.attempts(id).await);
    }

    pub(crate) async fn kinds(&self, id: JobId) -> Vec<String> {
        self.store.events(id).await.unwrap().into_iter().map(|event| event.kind).collect()
    }

    /// How many executions were ever launched for the job, on any host.
    pub(crate) async fn launches(&self, id: JobId) -> u32 {
        let tokens: Vec<_> = self.store.attempts(id).await.unwrap().iter().map(AttemptRecord::token).collect();
        tokens.iter().map(|token| self.providers.iter().map(|it| it.launches(token)).sum::<u32>()).sum()
    }
}
