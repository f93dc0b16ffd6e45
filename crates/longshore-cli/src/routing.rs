//! The configured hosts, asked what they are, and the router over them.

use longshore::{
    Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, ExecutorContext, ExecutorRegistry, Owner,
    Result,
    config::Config,
    layers::{TimeoutLayer, Timeouts, TracingLayer},
    route::{Route, RouteRequest, RoutedHost, Router, Target},
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
}

impl Routing {
    /// Makes the executors of a configuration; `owner` is whose jobs count against a host's limit.
    ///
    /// # Errors
    /// `Invalid` with every host whose executor can't be made.
    pub(crate) fn new(config: &Config, registry: &ExecutorRegistry, owner: Owner) -> Result<Self> {
        let context = context();
        let table = config.table(|host| executor(host, registry, &context)).map_err(unusable)?;
        Ok(Self { router: Router::new(table), clock: context.clock, owner })
    }

    /// Asks the hosts what they are, and those with a limit how many of the owner's jobs run there.
    pub(crate) async fn look(&self, only: Option<&Target>) {
        self.router.discover(only, self.clock.as_ref(), PATIENCE).await;
        self.count(only).await;
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
