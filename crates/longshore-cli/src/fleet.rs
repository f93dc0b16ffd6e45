//! The hosts on which a dispatcher runs jobs: those of the configuration, and those that `run` uses without one.

use longshore::{
    ContainerExecutor, Error, ErrorKind, ExecutionHost, ExecutorContext, ExecutorRegistry, ExecutorType, HostName,
    Result,
    config::{Config, LiveConfig, Problems},
    route::{RoutedHost, Router, RoutingTable, Target},
};
use std::{convert::Infallible, path::Path, sync::Arc};

use crate::{
    args::ConfigurationArgs,
    choice::{DOCKER, EMBEDDED},
    commands::{notice, own_variable},
    configuration::{self, unusable},
    host,
    machine::Machine,
    routing,
};

/// The hosts, and what finds places on them.
pub(crate) struct Fleet {
    /// What finds places.
    pub(crate) router: Arc<Router>,
    live: Option<LiveConfig>,
}

impl Fleet {
    /// The hosts of the configuration where there is one, and the others beside them, reachable by name only.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong with the configuration.
    pub(crate) async fn open(args: &ConfigurationArgs, machine: &Machine) -> Result<Self> {
        let loader = configuration::loader();
        let context = routing::context();
        let Some(path) = configuration::path(args)? else {
            let hosts = usual(loader.registry(), &context, machine)?;
            return Ok(Self { router: Arc::new(Router::new(table(hosts)?)), live: None });
        };
        let beside = beside(loader.registry(), &context, machine)?;
        let registry = longshore::registry();
        let clock = Arc::clone(&context.clock);
        let build = move |host: &ExecutionHost| routing::executor(host, &registry, &context);
        let live = LiveConfig::open_beside(path, loader, clock, beside, build).await.map_err(unusable)?;
        configuration::warnings(&live.config()).iter().for_each(|warning| notice(warning));
        Ok(Self { router: live.shared_router(), live: Some(live) })
    }

    /// How many hosts are configured, and where; none without a configuration.
    pub(crate) fn configured(&self) -> Option<(usize, &Path)> {
        self.live.as_ref().map(|live| (live.config().hosts().count(), live.path()))
    }

    /// Follows the configuration, where there is one, for as long as this is waited for.
    pub(crate) async fn follow(&self, tell: impl Fn(&str)) -> Infallible {
        if let Some(live) = &self.live {
            let told = |reloaded: Result<Arc<Config>, Problems>| match reloaded {
                Ok(_) => tell("the configuration has changed and is in force"),
                Err(problems) => tell(&format!(
                    "the configuration has changed and can't be used; the former one stays in force\n{}",
                    configuration::rendered(&problems)
                )),
            };
            if let Err(error) = live.follow(told).await {
                tell(&format!("changes of the configuration can't be followed: {error}"));
            }
        }
        std::future::pending().await
    }

    /// What serves a host.
    ///
    /// # Errors
    /// `NotFound` when there is no such host, naming those that there are.
    pub(crate) fn executor(&self, host: &HostName) -> Result<Arc<dyn ContainerExecutor>> {
        self.router.get_executor(host)
    }
}

/// Where jobs go without a configuration: to the engine that Docker itself would use, and where none answers to the
/// embedded executor.
fn table(hosts: Vec<RoutedHost>) -> Result<RoutingTable> {
    let target = |kind: &str| {
        let has = hosts.iter().any(|host| host.host.executor_type.as_str() == kind);
        has.then(|| ExecutorType::new(kind)).transpose().map(|kind| kind.map(Target::Executor))
    };
    let (docker, embedded) = (target(DOCKER)?, target(EMBEDDED)?);
    let (default, fallback) = match (docker, embedded) {
        (Some(docker), embedded) => (Some(docker), embedded),
        (None, embedded) => (embedded, None),
    };
    let table = RoutingTable::builder().maybe_default(default).fallback(fallback.into_iter().collect());
    table.hosts(hosts).build().map_err(|violations| Error::new(ErrorKind::Invalid, violations.to_string()))
}

/// The hosts that `run` uses without a configuration.
fn usual(registry: &ExecutorRegistry, context: &ExecutorContext, machine: &Machine) -> Result<Vec<RoutedHost>> {
    let kinds = [DOCKER, EMBEDDED].into_iter().filter(|kind| host::has(registry, kind));
    kinds.map(|kind| routed(host::unconfigured(kind, &own_variable, machine)?, registry, context)).collect()
}

/// The same beside those of a configuration: no rule sends jobs there, and jobs of `run` that are there can be taken over.
fn beside(registry: &ExecutorRegistry, context: &ExecutorContext, machine: &Machine) -> Result<Vec<RoutedHost>> {
    let by_name = |mut host: RoutedHost| {
        host.host.weight = 0;
        host
    };
    Ok(usual(registry, context, machine)?.into_iter().map(by_name).collect())
}

fn routed(host: ExecutionHost, registry: &ExecutorRegistry, context: &ExecutorContext) -> Result<RoutedHost> {
    let executor = routing::executor(&host, registry, context)?;
    Ok(RoutedHost::new(host, executor))
}
