//! The configured hosts, asked what they are, and the router over them.

use jiff::Timestamp;
use longshore::store::{JobStore, Pause};
use longshore::{
    Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, ExecutorContext, ExecutorRegistry,
    HostName, Owner, Result,
    config::Config,
    layers::{TimeoutLayer, Timeouts, TracingLayer},
    route::{Route, RouteDecision, RouteRequest, RoutedHost, Router, RoutingSnapshot, RoutingTable, Target},
};
use std::{sync::Arc, time::Duration};

use crate::{commands::own_variable, configuration::unusable, host};

/// How long a host may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// The router over the hosts of a configuration.
#[derive(Debug)]
pub(crate) struct Routing {
    pub(crate) router: Router,
    clock: Arc<dyn Clock>,
    owner: Owner,
    store: Option<Arc<dyn JobStore>>,
}

impl Routing {
    /// Makes the executors of a configuration; `owner` is whose jobs count against a host's limit.
    ///
    /// # Errors
    /// `Invalid` with every host whose executor can't be made.
    pub(crate) fn new(config: &Config, registry: &ExecutorRegistry, owner: Owner) -> Result<Self> {
        let context = context();
        let table = config.table(|host| executor(host, registry, &context)).map_err(unusable)?;
        Ok(Self { router: Router::new(table), clock: context.clock, owner, store: None })
    }

    /// The same, counting another owner's jobs, and heeding the pauses of a database.
    pub(crate) fn heeding(&mut self, owner: Owner, store: Option<Arc<dyn JobStore>>) {
        (self.owner, self.store) = (owner, store);
    }

    /// Asks the hosts what they are, and those with a limit how many of the owner's jobs run there.
    pub(crate) async fn look(&self, only: Option<&Target>) {
        self.router.discover(only, self.clock.as_ref(), PATIENCE).await;
        self.count(only).await;
        self.pause().await;
    }

    /// Marks the hosts that people have paused.
    async fn pause(&self) {
        let Some(store) = &self.store else { return };
        let pauses = match store.pauses().await {
            Ok(pauses) => pauses,
            Err(error) => return tracing::warn!(error = %error.chain(), "the pauses of hosts can't be read"),
        };
        for host in self.router.snapshot().table().hosts() {
            if let Some(pause) = pause_of(&pauses, &host.host.name) {
                self.router.update_host(&host.host.name, |state| state.paused = Some(in_words(pause)));
            }
        }
    }

    /// Counts the owner's jobs on the hosts with a limit.
    pub(crate) async fn count(&self, only: Option<&Target>) {
        let snapshot = self.router.snapshot();
        let limited = |host: &&RoutedHost| {
            let host = &host.host;
            host.enabled && host.max_concurrent_jobs.is_some() && only.is_none_or(|target| target.covers(host))
        };
        // One that has just not answered is not asked again.
        let answers = |host: &&RoutedHost| {
            snapshot.state(&host.host.name).is_some_and(|state| state.facts.is_some() && state.unreachable.is_none())
        };
        let counts = snapshot.table().hosts().iter().filter(limited).filter(answers).map(|host| async {
            let counted = tokio::select! {
                counted = host.executor.list_owned(&self.owner) => counted,
                () = self.clock.sleep(PATIENCE) => Err(Error::new(ErrorKind::Timeout, format!("no answer within {PATIENCE:?}"))),
            };
            self.router.update_host(&host.host.name, |state| match &counted {
                Ok(executions) => {
                    let live = executions.iter().filter(|execution| execution.live).count();
                    (state.running, state.paused) = (u32::try_from(live).unwrap_or(u32::MAX), None);
                }
                // A place that can't list what it runs has no limit that could be kept here.
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                Err(error) => state.paused = Some(format!("its jobs can't be counted: {}", error.chain())),
            });
        });
        futures::future::join_all(counts).await;
    }

    /// Decides where the job goes.
    pub(crate) fn route(&self, job: &ContainerJob, bound: Option<&Target>) -> Route {
        let request = RouteRequest::new(job, self.clock.now());
        let request = bound.map_or(request.clone(), |target| request.bound_to(target.clone()));
        self.router.route_job(&request)
    }

    /// The host of a route.
    pub(crate) fn host(&self, route: &Route) -> Option<ExecutionHost> {
        let name = route.decision.host()?;
        let snapshot = self.router.snapshot();
        snapshot.table().hosts().iter().find(|host| host.host.name == *name).map(|host| host.host.clone())
    }
}

/// The pause that holds for a host, if one does.
pub(crate) fn pause_of<'a>(pauses: &'a [Pause], host: &HostName) -> Option<&'a Pause> {
    pauses.iter().find(|pause| pause.host.as_ref().is_none_or(|paused| paused == host))
}

/// Who has paused a host, and why.
pub(crate) fn in_words(pause: &Pause) -> String {
    let why = pause.request.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("by {}{why}", pause.request.by)
}

/// The decision for a host that whoever types has chosen.
///
/// # Errors
/// When no table can be made of the host.
pub(crate) fn named(
    host: &ExecutionHost,
    executor: &Arc<dyn ContainerExecutor>,
    job: &ContainerJob,
    now: Timestamp,
) -> Result<RouteDecision> {
    let routed = RoutedHost::new(host.clone(), Arc::clone(executor));
    let table = RoutingTable::builder().hosts(vec![routed]).build()?;
    let router = Router::new(table);
    router.update(RoutingSnapshot::assuming_reachable);
    let request = RouteRequest::new(job, now).bound_to(Target::Host(host.name.clone()));
    Ok(router.route_job(&request).decision)
}

/// What executors are given here.
pub(crate) fn context() -> ExecutorContext {
    ExecutorContext::new(host::state_dir(&own_variable))
}

/// The executor of a host, with limits on how long each question may take, and traced.
///
/// # Errors
/// As [`ExecutorRegistry::build`].
pub(crate) fn executor(
    host: &ExecutionHost,
    registry: &ExecutorRegistry,
    context: &ExecutorContext,
) -> Result<Arc<dyn ContainerExecutor>> {
    let limited = TimeoutLayer::new(registry.build(host, context)?, Arc::clone(&context.clock), Timeouts::default());
    Ok(Arc::new(TracingLayer::new(Arc::new(limited))))
}
